//! A store that went back in time is noticed: nothing that contradicts what was said is signed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_sequencer::{
    Alarm, Dedup, Entry, LoadError, Log, Options, Refusal, RoundError, Sequencer, Shared, Status, Voice, Wait,
};
use kiln_simulator::disk::SimulatedDisk;
use kiln_simulator::world::{Ledger, Patience, SeededEnvironment, entries, live, signing_key, simulate};
use kiln_storage::{Folder, FolderRegister, ImmutableObjects, Memory, MemoryRegister, Register, Store};
use tokio::sync::watch;
use tokio::time::timeout;

/// One life on a folder: as many rounds, of as many entries each.
async fn live_on(
    disk: &SimulatedDisk,
    ledger: &mut Ledger,
    label: &str,
    rounds: usize,
) -> Result<(), LoadError> {
    let rounds: Vec<_> = (0..rounds).map(|round| entries(&format!("{label}, round {round}"), 100)).collect();
    let store = Folder::on(Arc::new(disk.below("log")), "a test".into())?;
    let guard = Arc::new(disk.below("state"));
    let guard = FolderRegister::new(guard, "/state/guard".into(), "a test".into(), Duration::from_secs(1));
    live(store, guard, SeededEnvironment::new(1), ledger, &rounds, Patience::UntilAcknowledged).await
}

fn fork(error: &LoadError) -> (Voice, u64, u64) {
    match error {
        LoadError::Round(RoundError::Alarm(Alarm::Fork { voice, theirs, ours })) => {
            (*voice, theirs.size(), ours.size())
        }
        other => panic!("not the alarm that was expected: {other}"),
    }
}

#[test]
fn a_folder_restored_wholly_is_refused_with_both_sizes() {
    simulate(async {
        let (disk, mut ledger) = (SimulatedDisk::new(1), Ledger::default());
        live_on(&disk, &mut ledger, "first", 2).await.expect("a new log");
        let backup = disk.snapshot("log");
        live_on(&disk, &mut ledger, "second", 2).await.expect("the same log");
        disk.put_back("log", &backup);
        let error = live_on(&disk, &mut ledger, "third", 1).await.expect_err("the store went back");
        assert_eq!(fork(&error), (Voice::Guard, 400, 200));
        assert!(error.to_string().contains("400") && error.to_string().contains("200"), "{error}");
        assert!(error.is_bad_log());
        assert_eq!(disk.snapshot("log/public"), public_half(&backup), "nothing was written");
    });
}

#[test]
fn a_private_half_restored_alone_is_refused_with_both_sizes() {
    simulate(async {
        let (disk, mut ledger) = (SimulatedDisk::new(2), Ledger::default());
        live_on(&disk, &mut ledger, "first", 2).await.expect("a new log");
        let backup = disk.snapshot("log/private");
        live_on(&disk, &mut ledger, "second", 2).await.expect("the same log");
        disk.put_back("log/private", &backup);
        let error = live_on(&disk, &mut ledger, "third", 1).await.expect_err("the head went back");
        assert_eq!(fork(&error), (Voice::Guard, 400, 200));
    });
}

/// The guard went back too, as where the whole machine was restored; what readers saw did not.
#[test]
fn a_head_and_guard_restored_without_the_public_half_are_refused_with_both_sizes() {
    simulate(async {
        let (disk, mut ledger) = (SimulatedDisk::new(2), Ledger::default());
        live_on(&disk, &mut ledger, "first", 2).await.expect("a new log");
        let backup = ["log/private", "state"].map(|folder| (folder, disk.snapshot(folder)));
        live_on(&disk, &mut ledger, "second", 2).await.expect("the same log");
        backup.iter().for_each(|(folder, copy)| disk.put_back(folder, copy));
        let error = live_on(&disk, &mut ledger, "third", 1).await.expect_err("the head went back");
        assert_eq!(fork(&error), (Voice::Checkpoint, 400, 200));
    });
}

/// The store went back and grew another way, out of the guard's sight. A folder replaces tiles that
/// differ, so this has to be noticed before the rounds of the head are applied.
#[test]
fn a_fork_is_refused_before_anything_is_written() {
    // As large as what the guard knows, and larger.
    for rounds in [2, 3] {
        simulate(async {
            let (disk, mut ledger) = (SimulatedDisk::new(5), Ledger::default());
            live_on(&disk, &mut ledger, "first", 2).await.expect("a new log");
            let backup = ["log", "state"].map(|folder| (folder, disk.snapshot(folder)));
            live_on(&disk, &mut ledger, "second", 2).await.expect("the same log");
            let guard = disk.snapshot("state");
            backup.iter().for_each(|(folder, copy)| disk.put_back(folder, copy));
            live_on(&disk, &mut Ledger::default(), "other", rounds).await.expect("a sound log by itself");
            disk.put_back("state", &guard);
            // Its newest round is not applied yet.
            let mut fork_of_it = disk.snapshot("log");
            let newest = format!("public/tile/0/001.p/{}", 200 + 100 * rounds - 256);
            assert!(fork_of_it.remove(&PathBuf::from("/log").join(newest)).is_some());
            disk.put_back("log", &fork_of_it);

            let error = live_on(&disk, &mut ledger, "third", 1).await.expect_err("a fork");
            assert_eq!(fork(&error), (Voice::Guard, 400, 200 + 100 * rounds as u64));
            assert_eq!(disk.snapshot("log/public"), public_half(&fork_of_it), "nothing was written");
        });
    }
}

#[test]
fn a_store_that_was_emptied_is_refused_and_stays_empty() {
    simulate(async {
        let (disk, mut ledger) = (SimulatedDisk::new(6), Ledger::default());
        live_on(&disk, &mut ledger, "first", 2).await.expect("a new log");
        disk.put_back("log", &BTreeMap::new());
        let error = live_on(&disk, &mut ledger, "second", 1).await.expect_err("the store is empty");
        assert_eq!(fork(&error), (Voice::Guard, 200, 0));
        assert_eq!(disk.snapshot("log"), BTreeMap::new(), "no new log was made");
    });
}

#[test]
fn a_public_half_restored_alone_is_brought_up_to_what_was_acknowledged_or_refused() {
    simulate(async {
        for lost_rounds in [1, 2] {
            let (disk, mut ledger) = (SimulatedDisk::new(3), Ledger::default());
            live_on(&disk, &mut ledger, "first", 3).await.expect("a new log");
            let backup = disk.snapshot("log/public");
            live_on(&disk, &mut ledger, "second", lost_rounds).await.expect("the same log");
            disk.put_back("log/public", &backup);
            let lived = live_on(&disk, &mut ledger, "third", 1).await;
            if lost_rounds == 1 {
                // The head still holds the last round: nothing is lost.
                lived.expect("the round in the head is applied again");
                let store = Folder::on(Arc::new(disk.below("log")), "a test".into()).expect("a folder");
                assert_eq!(ledger.check_at_rest(&store).await, 500);
            } else {
                let error = lived.expect_err("tiles are missing");
                assert!(matches!(error, LoadError::Read(_)), "{error}");
                assert!(error.is_bad_log());
                assert!(error.to_string().contains("missing from the store"), "{error}");
            }
        }
    });
}

fn public_half(backup: &BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
    backup.clone().into_iter().filter(|(path, _)| path.starts_with("/log/public")).collect()
}

/// A writer that runs in memory.
struct Running {
    memory: Memory,
    shared: Arc<Shared<Memory, MemoryRegister>>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<(), Arc<LoadError>>>,
}

impl Running {
    async fn start(memory: &Memory, guard: &MemoryRegister) -> Self {
        let environment = SeededEnvironment::new(5);
        let log = Log::new(signing_key(), memory.clone(), guard.clone(), Dedup::in_memory(), environment);
        let sequencer = Sequencer::new(log, Options::default());
        let shared = sequencer.shared();
        let writer = sequencer.load().await.expect("the log");
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(sequencer.run(writer, stopped));
        tokio::task::yield_now().await;
        Self { memory: memory.clone(), shared, stop, task }
    }

    /// Submits, is told nothing but that nothing is known, and finds the alarm raised and the
    /// checkpoint as it was before.
    async fn expect_alarm(self, batch: Vec<Bytes>, wait: Wait) {
        let before = checkpoint(&self.memory).await;
        let batch = batch.into_iter().map(|entry| Entry::new(entry).expect("an entry")).collect();
        let answer = timeout(Duration::from_secs(3600), self.shared.pool.submit(batch, wait)).await;
        let refusal = answer.expect("the round ends").expect_err("nothing is acknowledged");
        assert_eq!(refusal, Refusal::Unknown);
        tokio::time::sleep(Duration::from_secs(10)).await; // for the load that follows
        let status = self.shared.state().status;
        assert!(matches!(status, Status::Alarmed(_)), "{status}");
        assert_eq!(checkpoint(&self.memory).await, before, "nothing more was signed");
        self.stop.send_replace(true);
        drop(self.task.await.expect("no panic"));
    }
}

async fn checkpoint(memory: &Memory) -> Option<Bytes> {
    memory.read(&"checkpoint".parse().expect("a name")).await.expect("memory")
}

/// One life in memory, of one round.
async fn live_in(memory: &Memory, guard: &MemoryRegister, label: &str, count: usize) {
    let (round, environment) = ([entries(label, count)], SeededEnvironment::new(4));
    let (mut ledger, patience) = (Ledger::default(), Patience::UntilAcknowledged);
    let lived = live(memory.clone(), guard.clone(), environment, &mut ledger, &round, patience).await;
    lived.expect("a sound log");
}

/// A writer loads; another commits and publishes more; the store goes back to what the first has
/// seen, so its swap wins. Sizes alone would not tell: the first commits just as much.
async fn fork_under_a_running_writer(count: usize) {
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    live_in(&memory, &guard, "first", 10).await;
    let running = Running::start(&memory, &guard).await;
    let backup = memory.copy();
    live_in(&memory, &guard, "second", 10).await;
    memory.go_back_to(&backup);
    running.expect_alarm(entries("on the fork", count), Wait::Sequenced).await;
}

#[test]
fn a_store_that_goes_back_under_a_running_writer_raises_the_alarm_before_anything_is_signed() {
    // Fewer entries than the other writer committed, as many, and more.
    for count in [5, 10, 20] {
        simulate(fork_under_a_running_writer(count));
    }
}

/// Somebody else with the log's key, and with a guard of their own, publishes another tree.
#[test]
fn a_forked_checkpoint_under_a_running_writer_is_not_replaced_but_alarms() {
    // Smaller than the tree of this writer, and as large.
    for count in [5, 20] {
        simulate(async {
            let (memory, guard) = (Memory::new(), Memory::new());
            live_in(&memory, guard.head(), "first", 10).await;
            let running = Running::start(&memory, guard.head()).await;
            let (other, other_guard) = (memory.copy(), guard.copy());
            live_in(&other, other_guard.head(), "on the fork", count).await;
            memory.tamper(&"checkpoint".parse().expect("a name"), checkpoint(&other).await);
            running.expect_alarm(entries("second", 20), Wait::Published).await;
        });
    }
}

/// Two logs were written into one store: who differs from what stands there must not wait for it to change.
#[test]
fn a_tile_that_stands_with_other_bytes_raises_the_alarm() {
    simulate(async {
        let (memory, guard) = (Memory::new(), MemoryRegister::default());
        live_in(&memory, &guard, "first", 10).await;
        let running = Running::start(&memory, &guard).await;
        let tile = "tile/0/000.p/20".parse().expect("a name");
        memory.tamper(&tile, Some(Bytes::from_static(b"of another log")));
        running.expect_alarm(entries("second", 10), Wait::Published).await;
    });
}

/// Without it a rollback would go unnoticed, so nobody but a person may make it anew.
#[test]
fn a_guard_that_vanishes_under_a_running_writer_is_not_made_anew() {
    simulate(async {
        let (memory, guard) = (Memory::new(), Memory::new());
        live_in(&memory, guard.head(), "first", 10).await;
        let running = Running::start(&memory, guard.head()).await;
        guard.go_back_to(&Memory::new());
        running.expect_alarm(entries("second", 10), Wait::Sequenced).await;
        assert_eq!(guard.head().load().await.expect("memory").value, None);
    });
}
