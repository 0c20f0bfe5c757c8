//! Checks of requests, a few at a time, where they hold up nobody: a signature takes a tenth of a millisecond, and so
//! long a thread that answers requests must not be away.

use std::sync::Arc;

use bytes::Bytes;
use kiln_http::Turns;
use kiln_rekor::{CreateEntryRequest, EntryKind, Policy};
use kiln_sequencer::Entry;

use crate::error::ApiError;

/// How many requests are checked at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChecksAtOnce(usize);

impl ChecksAtOnce {
    /// So many, one at least.
    #[must_use]
    pub const fn new(checks: usize) -> Self {
        Self(if checks == 0 { 1 } else { checks })
    }
}

/// As many as the machine has cores.
impl Default for ChecksAtOnce {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// An entry that may be logged.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) kind: EntryKind,
    pub(crate) entry: Entry,
}

/// Who checks.
#[derive(Debug)]
pub(crate) struct Checker {
    policy: Arc<Policy>,
    turns: Turns,
}

impl Checker {
    pub(crate) fn new(policy: Policy, at_once: ChecksAtOnce) -> Self {
        Self { policy: Arc::new(policy), turns: Turns::new(at_once.0) }
    }

    /// Reads and checks the body of a request.
    pub(crate) async fn check(&self, body: Bytes) -> Result<Checked, ApiError> {
        let policy = Arc::clone(&self.policy);
        self.turns.run(move || check(&body, &policy)).await
    }
}

fn check(body: &[u8], policy: &Policy) -> Result<Checked, ApiError> {
    let request = CreateEntryRequest::parse(body, policy).map_err(ApiError::Unreadable)?;
    let entry = request.verify(policy).map_err(ApiError::Invalid)?;
    let kind = entry.kind();
    let entry = Entry::new(entry.into_body().into()).expect("a canonical body is neither empty nor too long");
    Ok(Checked { kind, entry })
}
