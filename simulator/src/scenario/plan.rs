//! What a seed makes: the store, the processes, the submitters, the weather, and what happens when.

use std::time::Duration;

use kiln_sequencer::PoolLimits;

use super::event::{Event, draw_events, draw_freeze};
use super::world::Latency;

/// All that a seed decides before a run begins.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) is_bucket: bool,
    pub(crate) processes: usize,
    pub(crate) settings: Settings,
    pub(crate) faults: f64,
    /// How likely the log's key does not sign as it should.
    pub(crate) signer: f64,
    pub(crate) latency: Latency,
    pub(crate) submitters: Vec<Submitter>,
    /// How long things happen; afterwards all must be well again.
    pub(crate) length: Duration,
    pub(crate) events: Vec<(Duration, Event)>,
    /// Whether one of the events is that the log is ended, by a process of its own, the last one.
    pub(crate) freezes: bool,
}

/// How every process of a run is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// By `stand_by`, or else by `load` and `run`.
    pub(crate) stand_by: bool,
    pub(crate) interval: Duration,
    pub(crate) lease: Duration,
    pub(crate) pool: PoolLimits,
    pub(crate) dedup: bool,
    pub(crate) guards: usize,
}

/// Somebody who sends entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submitter {
    pub(crate) submissions: usize,
    /// How many entries go together at most; the first submission has this many more.
    pub(crate) batch: usize,
    pub(crate) first: usize,
    /// Milliseconds between two submissions at most.
    pub(crate) pause: u64,
    /// How likely an entry is one that was sent before.
    pub(crate) again: f64,
    /// Seconds until it gives up a submission.
    pub(crate) patience: u64,
}

impl Plan {
    pub(crate) fn draw(rng: &mut fastrand::Rng) -> Self {
        let is_bucket = rng.u8(..5) < 3;
        let processes = [1, 1, 2, 2, 2, 3][rng.usize(..6)];
        let length = Duration::from_secs(rng.u64(3..40));
        let settings = Settings::draw(rng, processes);
        let latency = draw_latency(rng, is_bucket);
        let faults = if is_bucket {
            [0.0, 0.0, 0.01, 0.05, 0.15][rng.usize(..5)]
        } else {
            [0.0, 0.0, 0.02][rng.usize(..3)]
        };
        let submitters = (0..rng.usize(1..5)).map(|_| Submitter::draw(rng)).collect();
        let events = draw_events(rng, is_bucket, processes, length);
        let (signer, freezes) = (0.0, false);
        Self { is_bucket, processes, settings, faults, signer, latency, submitters, length, events, freezes }
    }

    /// The same, in which the log may be ended. It has dice of its own: a seed in which it is not does what it did
    /// before logs could be.
    pub(crate) fn with_freeze(mut self, rng: &mut fastrand::Rng) -> Self {
        let freeze = draw_freeze(rng, self.processes, self.length);
        self.freezes = !freeze.is_empty();
        self.events.extend(freeze);
        self.events.sort_by_key(|(at, _)| *at);
        self
    }

    /// The same, in which the log's key may not always sign. It has dice of its own, too.
    pub(crate) fn with_signer(mut self, rng: &mut fastrand::Rng) -> Self {
        if rng.u8(..4) == 0 {
            self.signer = [0.02, 0.2, 0.7][rng.usize(..3)];
        }
        self
    }
}

impl Settings {
    fn draw(rng: &mut fastrand::Rng, processes: usize) -> Self {
        let round_bytes = if rng.u8(..4) == 0 { rng.usize(20..400) } else { 16 << 20 };
        let entries = if rng.u8(..8) == 0 { 20 } else { 1 << 20 };
        Self {
            stand_by: rng.u8(..10) < if processes == 1 { 4 } else { 8 },
            interval: Duration::from_millis([50, 100, 300, 1000, 1000, 2000][rng.usize(..6)]),
            lease: Duration::from_secs([2, 5, 10][rng.usize(..3)]),
            pool: PoolLimits { entries, round_bytes, ..PoolLimits::default() },
            dedup: rng.u8(..10) > 0,
            guards: if rng.u8(..5) == 0 { 2 } else { 1 },
        }
    }
}

impl Submitter {
    fn draw(rng: &mut fastrand::Rng) -> Self {
        Self {
            submissions: rng.usize(1..20),
            batch: [1, 1, 1, 3, 40][rng.usize(..5)],
            first: if rng.u8(..8) == 0 { rng.usize(200..600) } else { 0 },
            pause: [20, 300, 1_500, 4_000][rng.usize(..4)],
            again: [0.0, 0.2, 0.5][rng.usize(..3)],
            patience: rng.u64(2..40),
        }
    }
}

fn draw_latency(rng: &mut fastrand::Rng, is_bucket: bool) -> Latency {
    let (usual, worst, rare) = match rng.u8(..6) {
        0 => return Latency::NONE,
        1 => (2, 20, 10),
        2 => (20, 300, 20),
        3 => (50, 3_000, 40),
        4 if is_bucket => (400, 700, 3),
        4 => (150, 300, 3),
        _ => (10, 100, 10),
    };
    Latency { usual, worst, rare }
}
