//! What of a round is traced.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::{Span, debug_span, field};

use crate::round::CommittedRound;

/// The span of a round, from its start to its publication, however long anybody keeps the round.
#[derive(Debug)]
pub(crate) struct RoundSpan(Mutex<Span>);

impl RoundSpan {
    /// That of a round which begins.
    pub(crate) fn begin(log: &str) -> Span {
        debug_span!("round", log, entries = field::Empty, size = field::Empty)
    }

    /// The one that the caller is in.
    pub(crate) fn current() -> Self {
        Self(Mutex::new(Span::current()))
    }

    /// That of a round which is not traced: another process began it.
    pub(crate) fn none() -> Self {
        Self(Mutex::new(Span::none()))
    }

    fn get(&self) -> Span {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The round is published.
    pub(crate) fn end(&self) {
        let span =
            std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Span::none());
        span.in_scope(|| ()); // a span ends when it was left last
    }
}

/// Notes what a round has become.
pub(crate) fn record(span: &Span, round: &CommittedRound) {
    // Traces have no unsigned numbers.
    span.record("entries", i64::try_from(round.round.entries.len()).unwrap_or(i64::MAX));
    span.record("size", i64::try_from(round.head().size()).unwrap_or(i64::MAX));
}

/// The span of a step. That of several rounds is one of the newest of them, and linked to the others.
pub(crate) fn step(rounds: &[Arc<CommittedRound>], span: impl FnOnce(&Span) -> Span) -> Span {
    let Some((newest, others)) = rounds.split_last() else { return Span::none() };
    let span = span(&newest.span.get());
    for round in others {
        span.follows_from(round.span.get());
    }
    span
}
