//! Two writers at once on one store, with no lock between them: at most one commits an index.

use std::sync::Arc;
use std::time::Duration;

use kiln_sequencer::{Dedup, Entry, Log, Options, Sequencer, Shared, Wait, create_log};
use kiln_simulator::faulty::{Faults, FaultyRegister, FaultyStore};
use kiln_simulator::world::{Ledger, Patience, SeededEnvironment, entries, live, signing_key, simulate};
use kiln_storage::{Memory, MemoryRegister};
use tokio::sync::watch;

type SharedLog = Shared<FaultyStore, FaultyRegister>;

struct Running {
    shared: Arc<SharedLog>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
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

/// Submits to one writer after the other, and notes what was acknowledged.
async fn feed(
    writers: &[Running],
    rng: &mut fastrand::Rng,
    label: &str,
    ledger: &mut Vec<(bytes::Bytes, u64)>,
) {
    for entry in entries(label, 30) {
        let shared = writers[rng.usize(..writers.len())].shared.clone();
        let wait = if rng.bool() { Wait::Published } else { Wait::Sequenced };
        let submitted = shared.pool.submit(vec![Entry::new(entry.clone()).expect("an entry")], wait).await;
        if let Ok(answer) = submitted {
            ledger.push((entry, answer.indices[0]));
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(..300))).await;
    }
}

fn duel(seed: u64, probability: f64) -> usize {
    simulate(async {
        let (memory, guard) = (Memory::new(), MemoryRegister::default());
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut acknowledged = Vec::new();
        let mut writers = Vec::new();
        for number in 0..2 {
            let faults = Faults::random(seed * 2 + number, probability);
            writers.extend(start(&memory, &guard, faults, seed * 2 + number).await);
        }
        if !writers.is_empty() {
            feed(&writers, &mut rng, "duel", &mut acknowledged).await;
        }
        for writer in writers {
            writer.stop.send_replace(true);
            writer.task.await.expect("no panic");
        }
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
        let log = kiln_simulator::check::check_log(&memory, &kiln_simulator::world::trusted_log()).await;
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
