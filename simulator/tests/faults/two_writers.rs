//! Two writers at once on one store, with no lock between them: at most one commits an index.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_sequencer::{Dedup, Entry, LoadError, Log, Options, Sequencer, Shared, Status, Wait, create_log};
use kiln_simulator::faulty::{Faults, FaultyRegister, FaultyStore};
use kiln_simulator::world::{
    Ledger, Patience, SeededEnvironment, entries, live, signing_key, simulate, trusted_log,
};
use kiln_storage::{ImmutableObjects, Memory, MemoryRegister, Register};
use kiln_tiles::TreeHead;
use tokio::sync::watch;

type SharedLog = Shared<FaultyStore, FaultyRegister>;

struct Running {
    shared: Arc<SharedLog>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<(), Arc<LoadError>>>,
}

/// Starts a writer; `None` where a fault comes too early.
async fn start(memory: &Memory, guard: &MemoryRegister, faults: Faults, seed: u64) -> Option<Running> {
    let store = FaultyStore::new(memory.clone(), faults.clone());
    let guard = FaultyRegister::new(guard.clone(), faults);
    let log = Log::new(signing_key(), store, guard, Dedup::in_memory(), SeededEnvironment::new(seed));
    create_log(&log).await.ok()?;
    let options = Options { interval: Duration::from_millis(100), ..Options::default() };
    let sequencer = Sequencer::new(log, options);
    let shared = sequencer.shared();
    let writer = sequencer.load().await.ok()?;
    let (stop, stopped) = watch::channel(false);
    Some(Running { shared, stop, task: tokio::spawn(sequencer.run(writer, stopped)) })
}

/// Submits now to one writer, now to the other, and returns what was acknowledged.
async fn feed(writers: &[Running], rng: &mut fastrand::Rng, label: &str) -> Vec<(Bytes, u64)> {
    let mut submitted = Vec::new();
    for entry in entries(label, 30) {
        let shared = writers[rng.usize(..writers.len())].shared.clone();
        let wait = if rng.bool() { Wait::Published } else { Wait::Sequenced };
        submitted.push(tokio::spawn(async move {
            let answer = shared.pool.submit(vec![Entry::new(entry.clone()).expect("an entry")], wait).await;
            answer.ok().map(|answer| (entry, answer.indices[0]))
        }));
        tokio::time::sleep(Duration::from_millis(rng.u64(..300))).await;
    }
    let mut acknowledged = Vec::new();
    for submission in submitted {
        acknowledged.extend(submission.await.expect("a submitter does not panic"));
    }
    acknowledged
}

/// Sees to it that neither the guard nor the published checkpoint ever goes back.
async fn watch_sizes(memory: Memory, guard: MemoryRegister) {
    let (mut guarded, mut published) = (Seen::default(), Seen::default());
    loop {
        guarded.look(guard.load().await.expect("memory").value, size_in_guard);
        published
            .look(memory.read(&"checkpoint".parse().expect("a name")).await.expect("memory"), size_in_note);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What was seen last of something that states a tree size.
#[derive(Default)]
struct Seen {
    text: Option<Bytes>,
    size: u64,
}

impl Seen {
    fn look(&mut self, text: Option<Bytes>, size: fn(&Bytes) -> u64) {
        if text != self.text {
            let size = text.as_ref().map_or(0, size);
            assert!(size >= self.size, "it went back from {} to {size}: {text:?}", self.size);
            (self.text, self.size) = (text, size);
        }
    }
}

fn size_in_guard(value: &Bytes) -> u64 {
    let text = str::from_utf8(value).expect("a guard is text");
    let tree: TreeHead = text.lines().nth(2).and_then(|line| line.parse().ok()).expect("a tree in line 3");
    tree.size()
}

fn size_in_note(note: &Bytes) -> u64 {
    trusted_log().open(note).expect("it verifies").head().size()
}

fn duel(seed: u64, probability: f64) -> usize {
    simulate(async {
        let (memory, guard) = (Memory::new(), MemoryRegister::default());
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut acknowledged = Vec::new();
        let mut writers = Vec::new();
        let watcher = tokio::spawn(watch_sizes(memory.clone(), guard.clone()));
        for number in 0..2 {
            let faults = Faults::random(seed * 2 + number, probability);
            writers.extend(start(&memory, &guard, faults, seed * 2 + number).await);
        }
        if !writers.is_empty() {
            acknowledged = feed(&writers, &mut rng, "duel").await;
        }
        for writer in writers {
            // Nobody tampered with anything: whoever was fenced or is behind loads again.
            let status = writer.shared.state().status;
            assert!(!matches!(status, Status::Alarmed(_)), "seed {seed}: {status}");
            writer.stop.send_replace(true);
            drop(writer.task.await.expect("no panic"));
        }
        watcher.abort();
        assert!(watcher.await.expect_err("it never ends by itself").is_cancelled(), "seed {seed}");
        // Somebody goes on without faults, and the log is what everybody was told.
        let mut ledger = Ledger::default();
        let last = [entries("last", 3)];
        live(
            memory.clone(),
            guard,
            SeededEnvironment::new(seed),
            &mut ledger,
            &last,
            Patience::UntilAcknowledged,
        )
        .await
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let size = ledger.check_at_rest(&memory).await;
        let log = kiln_simulator::check::check_log(&memory, &trusted_log()).await;
        for (entry, index) in &acknowledged {
            let found = usize::try_from(*index).ok().and_then(|index| log.entries.get(index));
            assert_eq!(found, Some(entry), "seed {seed}: index {index} of {size}");
        }
        acknowledged.len()
    })
}

#[test]
fn two_writers_never_share_an_index() {
    let acknowledged: usize = (0..60).map(|seed| duel(seed, 0.0)).sum();
    assert!(acknowledged > 60 * 10, "only {acknowledged} entries got through");
}

#[test]
fn two_writers_in_a_storm_never_share_an_index() {
    for seed in 1000..1120 {
        duel(seed, 0.05);
    }
}

/// Two processes made one log at once. The one that lost the swap of the guard said that the store had
/// gone back in time, though the guard held what it had wanted to put there.
#[test]
fn two_processes_that_make_a_log_at_once_raise_no_alarm() {
    simulate(async {
        for apart in 0..30 {
            let (memory, guard) = (Memory::new(), MemoryRegister::default());
            let make = async |number: u64, wait: u64| {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                let faults = Faults::slow(Duration::from_millis(10));
                let store = FaultyStore::new(memory.clone(), faults.clone());
                let guard = FaultyRegister::new(guard.clone(), faults);
                let environment = SeededEnvironment::new(number);
                create_log(&Log::new(signing_key(), store, guard, Dedup::off(), environment)).await
            };
            let (first, second) = tokio::join!(make(1, 0), make(2, apart));
            for made in [first, second] {
                let error = made.err().filter(LoadError::is_bad_log);
                assert!(error.is_none(), "{apart} ms apart: {error:?}");
            }
        }
    });
}

/// A process that was to make a log found none; until it looked at the guard another had made the log
/// and used it. The first said that the store had gone back in time.
#[test]
fn a_log_that_is_made_and_used_meanwhile_raises_no_alarm() {
    simulate(async {
        let (memory, guard) = (Memory::new(), MemoryRegister::default());
        let faults = Faults::default();
        faults.pause_at(1, Duration::from_secs(60)); // between the head and the guard
        let slow = FaultyRegister::new(guard.clone(), faults.clone());
        let store = FaultyStore::new(memory.clone(), faults);
        let log = Log::new(signing_key(), store, slow, Dedup::off(), SeededEnvironment::new(1));
        let (mut ledger, patience) = (Ledger::default(), Patience::UntilAcknowledged);
        let rounds = [entries("meanwhile", 3)];
        let used = live(memory, guard, SeededEnvironment::new(2), &mut ledger, &rounds, patience);
        let (made, used) = tokio::join!(create_log(&log), used);
        used.expect("a sound log");
        made.expect("there is a log");
    });
}
