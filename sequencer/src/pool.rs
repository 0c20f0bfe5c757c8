//! The pool: entries that wait for the next round, bounded in number and bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_tiles::SignedCheckpoint;
use tokio::sync::{Notify, oneshot};

use crate::entry::Entry;

/// No round is larger, whatever is asked for: the head holds four of them, and a store reads it whole.
pub const MAX_ROUND_BYTES: usize = 16 << 20;

/// What the pool and a round may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PoolLimits {
    /// The most entries that wait.
    pub entries: usize,
    /// The most bytes of entries that wait, and two more for each.
    pub bytes: usize,
    /// A round starts early when this many bytes wait, and takes no more than that; at most
    /// [`MAX_ROUND_BYTES`].
    pub round_bytes: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { entries: 1 << 20, bytes: 64 << 20, round_bytes: 16 << 20 }
    }
}

/// What a submitter waits for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wait {
    /// The index is durable.
    Sequenced,
    /// A checkpoint that covers the entry can be seen.
    #[default]
    Published,
}

/// What a submitter is told: the index of each entry, in order, and the newest checkpoint, which
/// covers them if that is what was waited for.
#[derive(Clone, Debug)]
pub struct Answer {
    /// One index an entry.
    pub indices: Vec<u64>,
    /// How many of the entries had theirs before: the log had them, or they were sent twice for one round.
    pub duplicates: usize,
    /// The newest published checkpoint.
    pub checkpoint: Arc<SignedCheckpoint>,
}

/// Why a submission was not taken, or not answered. Whoever is told may try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The pool is full.
    #[error("too many entries are waiting; nothing was logged, try again")]
    Full,
    /// The log does not take entries now.
    #[error("the log takes no entries at the moment; nothing was logged, try again")]
    Closed,
    /// The round failed on its way. The entry may be in the log; the same entry sent again gets the
    /// same index.
    #[error("the round failed; the entry may be logged already, send the same again to learn its index")]
    Unknown,
}

/// Entries of one request, which go into one round together.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) entries: Vec<Entry>,
    pub(crate) wait: Wait,
    pub(crate) answer: oneshot::Sender<Answer>,
}

impl Submission {
    /// As framed in the head: tiny entries do not make a round that the head cannot hold.
    fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| 2 + entry.bytes().len()).sum()
    }
}

/// Entries that wait for the next round.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    submissions: std::collections::VecDeque<Submission>,
    entries: usize,
    bytes: usize,
}

impl Pool {
    /// An empty pool, closed.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Self {
        let limits = PoolLimits { round_bytes: limits.round_bytes.min(MAX_ROUND_BYTES), ..limits };
        Self { limits, state: Mutex::default(), changed: Notify::new() }
    }

    /// Submits entries, which get into one round together, and waits for the answer.
    ///
    /// # Errors
    /// Where they were not taken, or the round failed.
    pub async fn submit(&self, entries: Vec<Entry>, wait: Wait) -> Result<Answer, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.push(Submission { entries, wait, answer })?;
        answered.await.map_err(|_| Refusal::Unknown)
    }

    fn push(&self, submission: Submission) -> Result<(), Refusal> {
        let mut state = self.state();
        let (entries, bytes) = (state.entries + submission.entries.len(), state.bytes + submission.bytes());
        if !state.open {
            return Err(Refusal::Closed);
        }
        if entries > self.limits.entries || bytes > self.limits.bytes {
            return Err(Refusal::Full);
        }
        // The round has to be woken by the first entry, and by the one that fills it.
        let wakes = state.entries == 0
            || (state.bytes < self.limits.round_bytes) != (bytes < self.limits.round_bytes);
        (state.entries, state.bytes) = (entries, bytes);
        state.submissions.push_back(submission);
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Starts taking submissions.
    pub(crate) fn open(&self) {
        self.state().open = true;
    }

    /// Takes no more submissions; those that wait stay.
    pub(crate) fn close(&self) {
        self.state().open = false;
        self.changed.notify_one();
    }

    /// Takes no more submissions and tells those that wait that their outcome is unknown.
    pub(crate) fn close_and_drop(&self) {
        *self.state() = State::default();
    }

    /// How many entries wait, and how many bytes they have.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let state = self.state();
        (state.entries, state.bytes)
    }

    /// Waits until something waits and `due` has come, or enough waits for a round to start early.
    pub(crate) async fn round_is_due(&self, due: tokio::time::Instant) {
        self.not_empty().await;
        tokio::select! {
            biased; // no dice but those that were handed in
            () = tokio::time::sleep_until(due) => {}
            () = self.round_is_full() => {}
        }
    }

    async fn not_empty(&self) {
        while self.waiting().0 == 0 {
            self.changed.notified().await;
        }
    }

    async fn round_is_full(&self) {
        while self.waiting().1 < self.limits.round_bytes {
            self.changed.notified().await;
        }
    }

    /// The submissions of the next round, oldest first: all that wait, or as many as fit.
    pub(crate) fn take_round(&self) -> Vec<Submission> {
        let mut state = self.state();
        let (mut entries, mut bytes) = (0, 0);
        let mut fits = |submission: &Submission| {
            bytes += submission.bytes();
            entries += submission.entries.len();
            bytes <= self.limits.round_bytes
        };
        // The first always goes, so that a round is never stuck behind one large submission.
        let count =
            state.submissions.iter().take_while(|s| fits(s)).count().max(1).min(state.submissions.len());
        let round: Vec<Submission> = state.submissions.drain(..count).collect();
        state.entries -= round.iter().map(|submission| submission.entries.len()).sum::<usize>();
        state.bytes -= round.iter().map(Submission::bytes).sum::<usize>();
        if state.entries > 0 {
            self.changed.notify_one();
        }
        round
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn entries(count: usize, length: usize) -> Vec<Entry> {
        (0..count).map(|_| Entry::new(Bytes::from(vec![b'x'; length])).unwrap()).collect()
    }

    fn submission(entries: Vec<Entry>) -> Submission {
        Submission { entries, wait: Wait::Published, answer: oneshot::channel().0 }
    }

    fn pool(limits: PoolLimits) -> Pool {
        let pool = Pool::new(limits);
        pool.open();
        pool
    }

    #[test]
    fn a_full_pool_refuses_and_takes_again_after_a_round() {
        let pool = pool(PoolLimits { entries: 3, bytes: 100, round_bytes: 50 });
        pool.push(submission(entries(2, 1))).unwrap();
        assert_eq!(pool.push(submission(entries(2, 1))), Err(Refusal::Full), "entries");
        assert_eq!(pool.push(submission(entries(1, 93))), Err(Refusal::Full), "bytes");
        assert_eq!(pool.waiting(), (2, 6));
        assert_eq!(pool.take_round().len(), 1);
        assert_eq!(pool.waiting(), (0, 0));
        pool.push(submission(entries(3, 1))).unwrap();
    }

    #[test]
    fn a_round_takes_what_fits_and_at_least_one_submission() {
        let pool = pool(PoolLimits { entries: 100, bytes: 1000, round_bytes: 50 });
        for length in [20, 20, 20, 200] {
            pool.push(submission(entries(1, length))).unwrap();
        }
        let lengths = |round: Vec<Submission>| round.iter().map(Submission::bytes).collect::<Vec<_>>();
        assert_eq!(lengths(pool.take_round()), [22, 22]);
        assert_eq!(lengths(pool.take_round()), [22]);
        assert_eq!(lengths(pool.take_round()), [202]);
        assert_eq!(lengths(pool.take_round()), [0; 0]);
    }

    #[tokio::test]
    async fn who_waits_when_the_log_closes_is_told_that_nothing_is_known() {
        let pool = Arc::new(pool(PoolLimits::default()));
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.submit(entries(1, 1), Wait::Sequenced).await }
        });
        pool.not_empty().await;
        pool.close_and_drop();
        assert_eq!(waiting.await.unwrap().unwrap_err(), Refusal::Unknown);
        assert_eq!(pool.submit(entries(1, 1), Wait::Sequenced).await.unwrap_err(), Refusal::Closed);
    }
}
