//! Which logs are witnessed.

mod known;
mod list;
mod per_day;

use std::collections::HashMap;
use std::sync::Arc;

use kiln_tiles::{Hash, Quorum, VerifierKey, origin_hash};

pub use known::{KnownLogs, KnownLogsError, Taken};
pub use list::{LogList, ParseLogListError};
pub use per_day::PerDay;

/// A log that is witnessed: whoever holds one of its keys may extend it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    pub(crate) origin: String,
    pub(crate) keys: Vec<VerifierKey>,
    pub(crate) per_day: Option<PerDay>,
    /// The witnesses that must have cosigned what is taken of it, whoever brings it.
    pub(crate) quorum: Quorum,
}

impl Log {
    /// A log without a limit.
    #[must_use]
    pub const fn new(origin: String, keys: Vec<VerifierKey>) -> Self {
        Self { origin, keys, per_day: None, quorum: Quorum::none() }
    }

    /// The origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// What it is called in URLs and in the store: the
    /// [origin hash](https://c2sp.org/tlog-witness#monitor-retrieval-mechanism).
    #[must_use]
    pub fn origin_hash(&self) -> Hash {
        origin_hash(&self.origin)
    }
}

/// Logs by their origin.
#[derive(Clone, Debug, Default)]
pub struct Logs(HashMap<String, Arc<Log>>);

impl Logs {
    /// The log of this origin.
    #[must_use]
    pub fn get(&self, origin: &str) -> Option<&Arc<Log>> {
        self.0.get(origin)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Log>> {
        self.0.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Log> for Logs {
    fn from_iter<I: IntoIterator<Item = Log>>(logs: I) -> Self {
        Self(logs.into_iter().map(|log| (log.origin.clone(), Arc::new(log))).collect())
    }
}
