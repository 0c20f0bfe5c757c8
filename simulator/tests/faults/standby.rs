//! One writes, others stand by: who takes over, when, and what a writer may do that was paused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_sequencer::{
    Dedup, Entry, Holder, LoadError, Log, Options, Refusal, Sequencer, Shared, Status, Wait, create_log,
};
use kiln_simulator::disk::SimulatedDisk;
use kiln_simulator::faulty::{Faults, FaultyRegister, FaultyStore};
use kiln_simulator::world::{Ledger, Patience, SeededEnvironment, entries, live, signing_key, simulate};
use kiln_storage::{Folder, FolderRegister, Memory, MemoryRegister, ObjectPath, Register, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// No multiple of a second, which is how often a standby looks.
const LEASE: Duration = Duration::from_millis(9_500);

/// A process that writes a log or stands by.
struct Process<S, G> {
    shared: Arc<Shared<S, G>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Arc<LoadError>>>,
}

impl<S: Store, G: Register> Process<S, G> {
    async fn start(store: S, guard: G, number: u64) -> Self {
        Self::start_with(store, guard, number, true).await
    }

    async fn start_with(store: S, guard: G, number: u64, standby: bool) -> Self {
        let log = Log::new(signing_key(), store, guard, Dedup::in_memory(), SeededEnvironment::new(number));
        // Whoever is second finds the store locked, or a log in it.
        drop(create_log(&log).await);
        let holder = Holder { name: format!("process {number}"), url: None };
        let options = Options { standby, holder, lease: LEASE, ..Options::default() };
        let sequencer = Sequencer::new(log, options);
        let shared = sequencer.shared();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(sequencer.stand_by(stopped));
        Self { shared, stop, task }
    }

    async fn reach(&self, what: &str, reached: impl Fn(&Status) -> bool) -> Duration {
        let (start, mut states) = (Instant::now(), self.shared.watch());
        let waited = timeout(Duration::from_secs(120), states.wait_for(|state| reached(&state.status))).await;
        if waited.is_err() {
            panic!("not {what}: {}", self.shared.state().status);
        }
        start.elapsed()
    }

    async fn writes(&self) -> Duration {
        self.reach("a writer", |status| matches!(status, Status::Ready)).await
    }

    async fn stands_by(&self) {
        self.reach("standing by", |status| matches!(status, Status::StandingBy(_))).await;
    }

    async fn add(&self, entry: &Bytes) -> Result<u64, Refusal> {
        let entry = Entry::new(entry.clone()).expect("an entry");
        self.shared.pool.submit(vec![entry], Wait::Published).await.map(|answer| answer.indices[0])
    }

    fn size(&self) -> u64 {
        self.shared.state().published.map_or(0, |checkpoint| checkpoint.head().size())
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("no panic").expect("a clean end");
    }
}

type InMemory = Process<FaultyStore, FaultyRegister>;

async fn in_memory(memory: &Memory, guard: &MemoryRegister, faults: &Faults, number: u64) -> InMemory {
    let store = FaultyStore::new(memory.clone(), faults.clone());
    Process::start(store, FaultyRegister::new(guard.clone(), faults.clone()), number).await
}

/// Two processes on one store, the first of which writes.
async fn two() -> (Memory, MemoryRegister, [InMemory; 2], [Faults; 2]) {
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    let faults = [Faults::default(), Faults::default()];
    let first = in_memory(&memory, &guard, &faults[0], 1).await;
    first.writes().await;
    let second = in_memory(&memory, &guard, &faults[1], 2).await;
    second.stands_by().await;
    (memory, guard, [first, second], faults)
}

#[test]
fn a_standby_follows_refuses_and_does_not_take_over_while_the_writer_lives() {
    simulate(async {
        let (memory, _, [first, second], _) = two().await;
        for (index, entry) in (0..).zip(&entries("first", 40)) {
            assert_eq!(first.add(entry).await, Ok(index));
            assert_eq!(second.add(entry).await, Err(Refusal::Closed));
            sleep(Duration::from_secs(2)).await;
            assert_eq!(second.size(), index + 1, "it follows");
        }
        // Idle for an hour.
        sleep(Duration::from_secs(3600)).await;
        let Status::StandingBy(holder) = second.shared.state().status else { panic!("it took over") };
        assert_eq!(holder.name, "process 1");
        second.stop().await;
        first.stop().await;
        assert_eq!(Ledger::default().check_at_rest(&memory).await, 40);
    });
}

#[test]
fn a_standby_takes_over_within_the_lease_and_two_seconds() {
    simulate(async {
        let (memory, _, [first, second], _) = two().await;
        let all = entries("entry", 3);
        assert_eq!(first.add(&all[0]).await, Ok(0));
        first.task.abort(); // the process is killed
        assert!(second.writes().await <= LEASE + Duration::from_secs(2));
        assert_eq!(second.add(&all[0]).await, Ok(0), "the dedup index was kept warm");
        assert_eq!(second.add(&all[1]).await, Ok(1));
        second.stop().await;
        assert_eq!(Ledger::default().check_at_rest(&memory).await, 2);
    });
}

/// A standby looked each second, and so saw the last renewal up to a second late, and the end of the lease
/// up to a second late again: with the load, that was more than the lease and two seconds now and then.
#[test]
fn a_standby_notices_at_once_that_the_lease_has_run_out() {
    for killed_after in (0..3000).step_by(270) {
        simulate(async move {
            let (_, _, [first, second], _) = two().await;
            sleep(Duration::from_millis(17_000 + killed_after)).await;
            first.task.abort();
            let took = second.writes().await;
            assert!(took <= LEASE + Duration::from_millis(1100), "killed after {killed_after} ms: {took:?}");
            second.stop().await;
        });
    }
}

#[test]
fn a_writer_that_is_told_to_stop_hands_over_at_once() {
    simulate(async {
        let (_, _, [first, second], _) = two().await;
        assert_eq!(first.add(&entries("entry", 1)[0]).await, Ok(0));
        first.stop().await;
        assert!(second.writes().await <= Duration::from_secs(1));
        second.stop().await;
    });
}

/// Where nobody stands by, a log that is idle writes nothing at all.
#[test]
fn a_lease_that_nobody_waits_for_is_renewed_only_while_rounds_are_written() {
    simulate(async {
        let (memory, guard) = (Memory::new(), MemoryRegister::default());
        let process = Process::start_with(memory.clone(), guard, 1, false).await;
        process.writes().await;
        let name = "private/lease".parse().expect("a name");
        let lease = || memory.objects()[&name].clone();
        let taken = lease();
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(lease(), taken, "it was idle");
        process.add(&entries("entry", 1)[0]).await.expect("an index");
        sleep(LEASE).await;
        assert_ne!(lease(), taken, "it wrote");
        process.stop().await;
    });
}

/// Who is started without standing by waits for a lease that may run out, and not for one that is renewed.
#[test]
fn a_start_beside_a_writer_is_refused_while_that_lives() {
    simulate(async {
        let (memory, guard, [first, second], _) = two().await;
        second.stop().await;
        let start = async |number| {
            let environment = SeededEnvironment::new(number);
            let log = Log::new(signing_key(), memory.clone(), guard.clone(), Dedup::in_memory(), environment);
            let options = Options { lease: LEASE, ..Options::default() };
            let (sequencer, since) = (Sequencer::new(log, options), Instant::now());
            let loaded = timeout(Duration::from_secs(60), sequencer.load()).await;
            (loaded.expect("it does not wait for ever").map(drop), since.elapsed())
        };
        let (refused, took) = start(3).await;
        let error = refused.expect_err("two writers");
        assert!(error.is_held() && !error.is_bad_log(), "{error}");
        assert!(error.to_string().contains("process 1"), "{error}");
        assert!(took < LEASE, "it renews its lease three times in it: {took:?}");
        first.task.abort();
        let (started, took) = start(4).await;
        started.expect("nobody writes any more");
        assert!(took >= LEASE && took <= LEASE + Duration::from_secs(1), "{took:?}");
    });
}

/// A bucket is paid by the request, and logs are idle for years.
#[test]
fn a_log_that_is_idle_costs_few_requests() {
    simulate(async {
        let (_, _, [first, second], faults) = two().await;
        first.add(&entries("entry", 1)[0]).await.expect("an index");
        sleep(Duration::from_secs(2)).await;
        let before = faults.each_ref().map(Faults::calls);
        sleep(Duration::from_secs(60)).await;
        let [writer, standby] = [0, 1].map(|number| faults[number].calls() - before[number]);
        assert!((118..=122).contains(&standby), "the lease and the checkpoint, each second: {standby}");
        assert!((20..=22).contains(&writer), "three renewals in each lease: {writer}");
        second.stop().await;
        first.stop().await;
    });
}

#[test]
fn who_stands_by_and_is_stopped_says_so_where_its_store_fails() {
    simulate(async {
        let (_, _, [first, second], faults) = two().await;
        faults[1].fail_at_random(1, 1.0);
        second.reach("failing", |status| matches!(status, Status::Failing(_))).await;
        second.stop.send_replace(true);
        let error = second.task.await.expect("no panic").expect_err("its store fails");
        assert!(!error.is_held() && !error.is_bad_log(), "{error}");
        first.stop().await;
    });
}

/// Somebody else with the log's key publishes another tree: whoever reads from a standby must not see it.
#[test]
fn a_forked_checkpoint_is_not_followed_but_alarms() {
    // Smaller than the tree that was followed, and larger.
    for count in [3, 20] {
        simulate(async {
            let (memory, _, [first, second], _) = two().await;
            for entry in &entries("first", 5) {
                first.add(entry).await.expect("an index");
            }
            sleep(Duration::from_secs(2)).await;
            assert_eq!(second.size(), 5);
            let (other, rounds) = (Memory::new(), [entries("on the fork", count)]);
            let (environment, mut ledger) = (SeededEnvironment::new(3), Ledger::default());
            let (guard, patience) = (MemoryRegister::default(), Patience::UntilAcknowledged);
            let lived = live(other.clone(), guard, environment, &mut ledger, &rounds, patience).await;
            lived.expect("a sound log by itself");
            let public = |path: &ObjectPath| !path.as_str().starts_with("private/");
            for (path, body) in other.objects().into_iter().filter(|(path, _)| public(path)) {
                memory.tamper(&path, Some(body));
            }
            second.reach("alarmed", |status| matches!(status, Status::Alarmed(_))).await;
            assert_eq!(second.size(), 5, "{count}");
            second.stop.send_replace(true);
            second.task.await.expect("no panic").expect_err("an alarm");
            first.stop().await;
        });
    }
}

/// A write that arrives minutes late, or a power cut, brings a checkpoint back that was replaced.
#[test]
fn an_old_checkpoint_that_came_late_is_neither_followed_nor_an_alarm() {
    simulate(async {
        let (memory, _, [first, second], _) = two().await;
        let (name, mut old) = ("checkpoint".parse().expect("a name"), None);
        for entry in &entries("first", 5) {
            old = memory.objects().get(&name).cloned();
            first.add(entry).await.expect("an index");
        }
        sleep(Duration::from_secs(2)).await;
        memory.tamper(&name, old);
        sleep(Duration::from_secs(60)).await;
        second.stands_by().await;
        assert_eq!(second.size(), 5, "readers must not see the log shrink");
        second.stop().await;
        first.stop().await;
    });
}

/// The writer is paused for a day in the middle of a round, before or after any of its calls, and
/// wakes: it may neither commit nor replace the newer checkpoint.
#[test]
fn a_writer_that_was_paused_for_a_day_in_a_round_commits_nothing() {
    for call in 0..12 {
        simulate(async {
            let (memory, guard, [first, second], faults) = two().await;
            let all = entries("entry", 5);
            assert_eq!(first.add(&all[0]).await, Ok(0));
            faults[0].pause_at(call, Duration::from_secs(86_400));
            let shared = first.shared.clone();
            let entry = Entry::new(all[1].clone()).expect("an entry");
            let paused = tokio::spawn(async move { shared.pool.submit(vec![entry], Wait::Sequenced).await });
            sleep(Duration::from_millis(1100)).await;
            second.writes().await;
            assert!(matches!(second.add(&all[2]).await, Ok(1 | 2)), "call {call}");
            sleep(Duration::from_secs(86_400)).await;
            // It wakes, finds out, and stands by.
            sleep(Duration::from_secs(30)).await;
            let status = first.shared.state().status;
            assert!(matches!(status, Status::StandingBy(_)), "call {call}: {status}");
            let paused = paused.await.expect("no panic");
            assert!(matches!(second.add(&all[3]).await, Ok(2 | 3)), "call {call}");
            let mut ledger = Ledger::default();
            let size = ledger.check_at_rest(&memory).await;
            if let Ok(answer) = paused {
                assert_eq!(ledger.published()[usize::try_from(answer.indices[0]).unwrap()], all[1]);
            }
            assert!((3..=4).contains(&size), "call {call}: {size}");
            first.stop().await;
            second.stop().await;
            drop(guard);
        });
    }
}

/// On a folder the lock of the head is all there is: it goes with the process.
#[test]
fn on_a_folder_a_standby_follows_and_takes_over_when_the_lock_is_free() {
    simulate(async {
        let disk = SimulatedDisk::new(1);
        let process = async |number| {
            let store =
                Folder::on(Arc::new(disk.below("log")), format!("process {number}")).expect("a folder");
            let state = Arc::new(disk.below("state"));
            let guard =
                FolderRegister::new(state, "/state/guard".into(), "a test".into(), Duration::from_secs(1));
            Process::start(store, guard, number).await
        };
        let first = process(1).await;
        first.writes().await;
        let second = process(2).await;
        second.stands_by().await;
        let all = entries("entry", 2);
        assert_eq!(first.add(&all[0]).await, Ok(0));
        sleep(Duration::from_secs(2)).await;
        assert_eq!(second.size(), 1);
        let Status::StandingBy(holder) = second.shared.state().status else { panic!("it took over") };
        assert_eq!(holder.name, "process 1");
        sleep(Duration::from_secs(3600)).await;
        second.stands_by().await;
        first.task.abort();
        drop(first.task.await);
        assert!(second.writes().await <= Duration::from_secs(2));
        assert_eq!(second.add(&all[0]).await, Ok(0));
        assert_eq!(second.add(&all[1]).await, Ok(1));
        second.stop().await;
    });
}

/// Two processes started at once on an empty store: one of them said that the guard knew of a fork.
#[test]
fn a_log_can_be_made_by_several_at_once() {
    simulate(async {
        let (memory, guard) = (Memory::new(), MemoryRegister::default());
        let make = |number| {
            let faults = Faults::slow(Duration::from_millis(10));
            let store = FaultyStore::new(memory.clone(), faults.clone());
            let guard = FaultyRegister::new(guard.clone(), faults);
            let environment = SeededEnvironment::new(number);
            let log = Log::new(signing_key(), store, guard, Dedup::in_memory(), environment);
            tokio::spawn(async move { create_log(&log).await })
        };
        for making in [make(1), make(2), make(3)] {
            making.await.expect("no panic").expect("a log");
        }
        let process = in_memory(&memory, &guard, &Faults::default(), 4).await;
        process.writes().await;
        process.stop().await;
    });
}
