//! A witness in a folder of its own, and a clock that can be set.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kiln_tiles::Cosigner;
use kiln_witness::{Clock, Cosigners, KnownLogs, Prefixes, Store, Witness};

use crate::testing::TestLog;

/// A clock that stands still until it is set.
#[derive(Debug)]
pub(crate) struct TestClock(pub(crate) AtomicU64);

impl Clock for TestClock {
    fn unix_time(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.unix_time())
    }
}

/// When all tests begin.
pub(crate) const NOW: u64 = 1_800_000_000;

/// A folder, and the witness that is started in it again and again.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(TestClock(AtomicU64::new(NOW))) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A witness that knows these logs, each under a quota if there is one.
    pub(crate) fn witness(&self, logs: &[&TestLog], per_day: Option<&str>) -> Witness {
        let known = KnownLogs::open(self.folder.path()).unwrap();
        let quota = per_day.map(|per_day| format!("qpd {per_day}\n")).unwrap_or_default();
        let list: String = logs
            .iter()
            .map(|log| {
                let vkey = log.key.verifier_key();
                format!("vkey {vkey}\n{quota}")
            })
            .collect();
        known.take(&[format!("logs/v0\n{list}").parse().unwrap()]).unwrap();
        let state = self.path("state.redb");
        let store = if state.exists() { Store::open(&state) } else { Store::create(&state) };
        let store = store.unwrap();
        let prefixes = Prefixes { submission: "http://w".to_owned(), monitoring: "http://m".to_owned() };
        let evidence = self.path("evidence");
        Witness::new(cosigners(), known, store, &evidence, prefixes, self.clock.clone()).unwrap()
    }
}

pub(crate) fn cosigners() -> Cosigners {
    let name = || "witness.example/w1".parse().unwrap();
    let keys = [Cosigner::ed25519_from_seed(name(), [1; 32]), Cosigner::ml_dsa_44_from_seed(name(), [2; 32])];
    Cosigners::new(keys.into()).unwrap()
}
