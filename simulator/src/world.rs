//! Runs a log through rounds, and remembers what it promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kiln_sequencer::{
    Dedup, Entry, Environment, LoadError, Log, Options, Sequencer, Shared, Wait, create_log,
};
use kiln_storage::{ImmutableObjects, Register, Store};
use kiln_tiles::{SigningKey, TreeHead, TrustedLog};
use tokio::sync::watch;

use crate::check::{Checked, check_log};

/// The key of every simulated log.
#[must_use]
pub fn signing_key() -> SigningKey {
    SigningKey::from_seed("example.com/simulated".parse().expect("a key name"), [7; 32])
}

/// The simulated log, as its readers know it.
#[must_use]
pub fn trusted_log() -> TrustedLog {
    TrustedLog::from(signing_key().verifier_key())
}

/// A clock that steps now and then, also back, and dice with a seed.
#[derive(Debug)]
pub struct SeededEnvironment {
    time: AtomicU64,
    dice: Mutex<fastrand::Rng>,
}

impl SeededEnvironment {
    /// The environment of one run.
    #[must_use]
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { time: AtomicU64::new(1_000_000), dice: Mutex::new(fastrand::Rng::with_seed(seed)) })
    }

    /// Somebody sets the clock back.
    pub fn step_back(&self, seconds: u64) {
        self.time.fetch_sub(seconds, Ordering::Relaxed);
    }

    fn roll(&self) -> u64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }
}

impl Environment for SeededEnvironment {
    fn unix_time(&self) -> u64 {
        let step = self.roll() % 5; // -1..=3 seconds
        self.time.fetch_add(step, Ordering::Relaxed) + step - 1
    }

    fn random_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.roll().to_be_bytes());
        id[8..].copy_from_slice(&self.roll().to_be_bytes());
        id
    }
}

/// What a log promised so far, over all its crashes.
#[derive(Debug, Default)]
pub struct Ledger {
    acknowledged: BTreeMap<Bytes, u64>,
    published: Vec<Bytes>,
    head: Option<TreeHead>,
}

impl Ledger {
    /// How many entries were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// The tree that was seen published last.
    #[must_use]
    pub const fn head(&self) -> Option<TreeHead> {
        self.head
    }

    /// The index that was acknowledged for an entry.
    #[must_use]
    pub fn index_of(&self, entry: &Bytes) -> Option<u64> {
        self.acknowledged.get(entry).copied()
    }

    /// The entries that were seen published, in order.
    #[must_use]
    pub fn published(&self) -> &[Bytes] {
        &self.published
    }

    fn acknowledge(&mut self, entry: &Bytes, index: u64) {
        let before = *self.acknowledged.entry(entry.clone()).or_insert(index);
        assert_eq!(before, index, "an entry has one index for ever: {entry:?}");
    }

    /// Reads the whole log and compares: it only grew, no entry is in it twice, and what it covers
    /// of what was acknowledged is where it was said to be.
    ///
    /// # Panics
    /// Where a promise is broken.
    pub async fn check(&mut self, store: &impl ImmutableObjects) -> u64 {
        let Checked { checkpoint, entries } = check_log(store, &trusted_log()).await;
        let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.head().size());
        assert!(entries.len() >= self.published.len(), "the published log shrank");
        assert_eq!(entries[..self.published.len()], self.published, "the published log changed");
        let distinct: BTreeSet<&Bytes> = entries.iter().collect();
        assert_eq!(distinct.len(), entries.len(), "an entry is in the log twice");
        self.published = entries;
        self.head = checkpoint.map(|checkpoint| checkpoint.head());
        size
    }

    /// As [`check`](Self::check), for a log at rest: everything acknowledged is published.
    ///
    /// # Panics
    /// Where a promise is broken.
    pub async fn check_at_rest(&mut self, store: &impl ImmutableObjects) -> u64 {
        let size = self.check(store).await;
        for (entry, index) in &self.acknowledged {
            let found = usize::try_from(*index).ok().and_then(|index| self.published.get(index));
            assert_eq!(found, Some(entry), "index {index} was acknowledged for {entry:?}");
        }
        size
    }
}

/// Entries that differ from all others of a run.
#[must_use]
pub fn entries(label: &str, count: usize) -> Vec<Bytes> {
    (0..count).map(|i| Bytes::from(format!("{label}, entry {i}"))).collect()
}

/// How hard a submitter tries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// Once, and then gives up for good.
    Once,
    /// Until the entry is acknowledged, which it must be within an hour of simulated time.
    UntilAcknowledged,
}

/// One life of a process: loads the log, or makes it, submits each batch of entries as a round of
/// its own, and stops. Whatever is acknowledged goes into the ledger.
///
/// # Errors
/// Where the log cannot be loaded.
///
/// # Panics
/// Where a promise is broken.
pub async fn live<S: Store, G: Register>(
    store: S,
    guard: G,
    environment: Arc<SeededEnvironment>,
    ledger: &mut Ledger,
    rounds: &[Vec<Bytes>],
    patience: Patience,
) -> Result<(), LoadError> {
    let log = Log::new(signing_key(), store, guard, Dedup::in_memory(), environment);
    create_log(&log).await?;
    let sequencer = Sequencer::new(log, Options::default());
    let shared = sequencer.shared();
    let writer = sequencer.load().await?;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(sequencer.run(writer, stopped));
    for round in rounds {
        submit_all(&shared, ledger, round, patience).await;
    }
    stop.send_replace(true);
    // A store may be failing when it is stopped; what it answered stands in the ledger.
    drop(running.await.expect("the sequencer does not panic"));
    Ok(())
}

/// Submits the entries of one round side by side, every other one waiting for less.
async fn submit_all<S: Store, G: Register>(
    shared: &Arc<Shared<S, G>>,
    ledger: &mut Ledger,
    round: &[Bytes],
    patience: Patience,
) {
    let submit = |(entry, wait): (&Bytes, Wait)| {
        let (shared, entry) = (shared.clone(), entry.clone());
        tokio::spawn(async move {
            let index = submit_one(&shared, &entry, wait, patience).await;
            (entry, index)
        })
    };
    let waits = [Wait::Published, Wait::Sequenced].into_iter().cycle();
    let submitted: Vec<_> = round.iter().zip(waits).map(submit).collect();
    for submission in submitted {
        let (entry, index) = submission.await.expect("a submitter does not panic");
        if let Some(index) = index {
            ledger.acknowledge(&entry, index);
        }
    }
}

async fn submit_one<S: Store, G: Register>(
    shared: &Shared<S, G>,
    entry: &Bytes,
    wait: Wait,
    patience: Patience,
) -> Option<u64> {
    for _ in 0..3600 {
        let entry = Entry::new(entry.clone()).expect("an entry");
        match shared.pool.submit(vec![entry], wait).await {
            Ok(answer) => return Some(answer.indices[0]),
            Err(_) if patience == Patience::Once => return None,
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
    panic!("an hour of trying was not enough: {}", shared.state().status);
}

/// Runs a simulation: time stands still but when everybody waits, and file work has one thread, so
/// that the seed decides everything.
pub fn simulate<T>(simulation: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).max_blocking_threads(1).build();
    runtime.expect("a runtime").block_on(simulation)
}
