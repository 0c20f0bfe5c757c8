//! Where lists of logs go: of a witness and of a mirror alike.

use std::sync::Arc;

use crate::logs::{KnownLogs, LogList, ParseLogListError};
use crate::metrics::Metrics;

/// The logs of a server, and what it counts of lists. Clones share both.
#[derive(Clone, Debug)]
pub struct Listing {
    logs: Arc<KnownLogs>,
    metrics: Metrics,
}

impl Listing {
    pub(crate) const fn new(logs: Arc<KnownLogs>, metrics: Metrics) -> Self {
        Self { logs, metrics }
    }

    /// The logs.
    #[must_use]
    pub fn logs(&self) -> &KnownLogs {
        &self.logs
    }

    /// Notes that a list of logs was read, or was none.
    pub fn count_list(&self, read: &Result<LogList, ParseLogListError>) {
        self.metrics.count_list(if read.is_ok() { "ok" } else { "malformed" });
    }

    /// Notes that a list of logs could not be had.
    pub fn count_missing_list(&self) {
        self.metrics.count_list("unavailable");
    }
}
