//! A log in memory, for tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_sequencer::{Dedup, Entry, Environment, Log, Options, Sequencer, Wait, create_log};
use kiln_storage::{Memory, MemoryRegister};
use kiln_tiles::SigningKey;
use tokio::sync::watch;
use tokio::time::timeout;

/// A round takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A machine whose clock stands still.
pub(crate) struct Still;

impl Environment for Still {
    fn unix_time(&self) -> u64 {
        1_700_000_000
    }

    fn random_id(&self) -> [u8; 16] {
        [9; 16]
    }
}

/// The log of the key with this seed.
pub(crate) fn log(
    seed: u8,
    memory: &Memory,
    guard: &MemoryRegister,
    dedup: &Dedup,
) -> Log<Memory, MemoryRegister> {
    let key = SigningKey::from_seed("example.com/log".parse().expect("a name"), [seed; 32]);
    Log::new(key, memory.clone(), guard.clone(), dedup.clone(), Arc::new(Still))
}

/// One life of a log that submits these entries as one batch; returns their indices.
pub(crate) async fn add(
    memory: &Memory,
    guard: &MemoryRegister,
    dedup: &Dedup,
    entries: &[String],
) -> Vec<u64> {
    add_to(log(1, memory, guard, dedup), entries).await
}

/// The same, of a log that is put together.
pub(crate) async fn add_to(log: Log<Memory, MemoryRegister>, entries: &[String]) -> Vec<u64> {
    create_log(&log).await.expect("a log");
    let sequencer = Sequencer::new(log, Options::default());
    let shared = sequencer.shared();
    let writer = sequencer.load().await.expect("the log loads");
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(sequencer.run(writer, stopped));
    let batch =
        || entries.iter().map(|entry| Entry::new(Bytes::from(entry.clone())).expect("an entry")).collect();
    let answered = async {
        loop {
            match shared.pool.submit(batch(), Wait::Published).await {
                Ok(answer) => break answer,
                Err(_) => tokio::task::yield_now().await, // it opens in a moment
            }
        }
    };
    let answer = timeout(PATIENCE, answered).await.expect("the log goes on");
    stop.send_replace(true);
    running.await.expect("no panic").expect("all is published");
    answer.indices
}

/// Entries that differ.
pub(crate) fn entries(label: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{label}, entry {i}")).collect()
}
