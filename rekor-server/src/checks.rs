//! Checks of requests, a few at a time, where they hold up nobody: a signature takes a tenth of a millisecond, and so
//! long a thread that answers requests must not be away.

use std::sync::Arc;

use bytes::Bytes;
use kiln_rekor::{CreateEntryRequest, EntryKind, Policy};
use kiln_sequencer::Entry;
use tokio::sync::Semaphore;

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
    turns: Arc<Semaphore>,
}

impl Checker {
    pub(crate) fn new(policy: Policy, at_once: ChecksAtOnce) -> Self {
        Self { policy: Arc::new(policy), turns: Arc::new(Semaphore::new(at_once.0)) }
    }

    /// Reads and checks the body of a request.
    pub(crate) async fn check(&self, body: Bytes) -> Result<Checked, ApiError> {
        let policy = Arc::clone(&self.policy);
        self.in_turn(move || check(&body, &policy)).await
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let turn = self.turns.clone().acquire_owned().await.expect("the semaphore is never closed");
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn); // here, for the work goes on when nobody waits for it any more
            done
        });
        working.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

fn check(body: &[u8], policy: &Policy) -> Result<Checked, ApiError> {
    let request = CreateEntryRequest::parse(body, policy).map_err(ApiError::Unreadable)?;
    let entry = request.verify(policy).map_err(ApiError::Invalid)?;
    let kind = entry.kind();
    let entry = Entry::new(entry.into_body().into()).expect("a canonical body is neither empty nor too long");
    Ok(Checked { kind, entry })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Clients that went away gave their turns back while their requests were still being checked: there was no
    /// bound on how many were checked at once.
    #[tokio::test]
    async fn who_goes_away_keeps_the_turn_until_the_work_is_done() {
        let checker = Arc::new(Checker::new(Policy::default(), ChecksAtOnce::new(1)));
        let ((started, starts), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        let gone = tokio::spawn({
            let checker = Arc::clone(&checker);
            async move {
                let work = move || (started.send(()), released.recv());
                checker.in_turn(work).await
            }
        });
        tokio::task::spawn_blocking(move || starts.recv()).await.unwrap().unwrap();
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(checker.turns.available_permits(), 0);
        release.send(()).unwrap();
        assert_eq!(checker.in_turn(|| 7).await, 7);
    }
}
