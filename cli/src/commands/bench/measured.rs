//! What came of the requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::histogram::Histogram;

/// What came of the requests.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) latencies: Histogram,
    pub(super) entries: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) took: Duration,
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
    pub(super) fn answered(&self, who: usize, entries: u64, latency: Duration) {
        self.with(who, |part| {
            part.entries += entries;
            part.latencies.record(latency);
        });
    }

    pub(super) fn failed(&self, who: usize, error: &impl ToString, times: u64) {
        self.with(who, |part| *part.errors.entry(error.to_string()).or_default() += times);
    }

    /// All of it.
    pub(super) fn sum(&self, took: Duration) -> Measured {
        let mut sum = Measured { took, ..Measured::nothing() };
        (0..PARTS).for_each(|part| self.with(part, |part| sum.merge(part)));
        sum
    }

    fn with(&self, who: usize, change: impl FnOnce(&mut Measured)) {
        change(&mut self.0[who % PARTS].lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Measured {
    fn nothing() -> Self {
        let (latencies, errors) = (Histogram::new(), BTreeMap::new());
        Self { latencies, entries: 0, errors, took: Duration::ZERO }
    }

    fn merge(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        self.entries += other.entries;
        for (error, count) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
    }
}
