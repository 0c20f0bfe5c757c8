//! What came of the requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::histogram::Histogram;

/// What came of the requests.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) latencies: Histogram,
    pub(super) entries: u64,
    pub(super) errors: BTreeMap<String, u64>,
    /// The time that its rate is of.
    pub(super) took: Duration,
    /// When the first answer came, and the last.
    answers: Option<(Instant, Instant)>,
}

/// The same while they go on, in parts, so that they do not wait for one another to say it.
#[derive(Debug)]
pub(super) struct Counts(Vec<Mutex<Measured>>);

/// In so many parts is counted.
const PARTS: usize = 16;

impl Counts {
    pub(super) fn new() -> Self {
        Self((0..PARTS).map(|_| Mutex::new(Measured::nothing())).collect())
    }

    /// `who` is the number of a task.
    pub(super) fn answered(&self, who: usize, entries: u64, since: Instant) {
        let now = Instant::now();
        self.with(who, |part| {
            part.entries += entries;
            part.latencies.record(now - since);
            part.answers = earliest_and_latest(part.answers, Some((now, now)));
        });
    }

    pub(super) fn failed(&self, who: usize, error: &impl ToString, times: u64) {
        self.with(who, |part| *part.errors.entry(error.to_string()).or_default() += times);
    }

    /// All of it, of a load that began at `start`, an open loop if it has a `rate`.
    pub(super) fn sum(&self, start: Instant, rate: Option<u32>) -> Measured {
        let mut sum = Measured::nothing();
        (0..PARTS).for_each(|part| self.with(part, |part| sum.merge(part)));
        sum.took = sum.took(start, rate);
        sum
    }

    fn with(&self, who: usize, change: impl FnOnce(&mut Measured)) {
        change(&mut self.0[who % PARTS].lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Measured {
    fn nothing() -> Self {
        let (latencies, errors) = (Histogram::new(), BTreeMap::new());
        Self { latencies, entries: 0, errors, took: Duration::ZERO, answers: None }
    }

    /// A closed loop is over with its last answer. In an open one answers come a latency after requests, so their rate is that
    /// from the first to the last of them; of a log, which answers in bursts, it is no more than was asked.
    fn took(&self, start: Instant, rate: Option<u32>) -> Duration {
        let Some((first, last)) = self.answers else { return Duration::ZERO };
        match rate {
            None => last - start,
            Some(rate) => {
                let asked = Duration::from_secs(self.latencies.count()) / rate;
                asked.max(last - first)
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        self.entries += other.entries;
        self.answers = earliest_and_latest(self.answers, other.answers);
        for (error, count) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
    }
}

type Span = Option<(Instant, Instant)>;

fn earliest_and_latest(one: Span, other: Span) -> Span {
    match (one, other) {
        (Some((first, last)), Some((begin, end))) => Some((first.min(begin), last.max(end))),
        _ => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_has_the_rate_of_its_answers_but_not_more_than_was_asked() {
        let second = Duration::from_secs(1);
        let start = Instant::now() - 10 * second;
        let counts = Counts::new();
        (0..20).for_each(|who| counts.answered(who, 3, start));
        for (rate, took) in [(5, 4 * second), (1000, Duration::from_millis(20))] {
            let sum = counts.sum(start, Some(rate));
            assert_eq!((sum.entries, sum.latencies.count()), (60, 20));
            assert!(sum.took >= took && sum.took < took + second, "{rate}: {:?}", sum.took);
        }
        assert!(counts.sum(start, None).took >= 10 * second);
        assert_eq!(Counts::new().sum(start, None).took, Duration::ZERO);
    }
}
