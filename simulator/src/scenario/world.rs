//! What all parts of a run share: the trace, the checker, and the weather.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::bucket::Which;
use super::checker::{Checker, Growth};
use super::link::Call;
use super::trace::Trace;

/// What all parts of a run share.
pub(crate) struct World {
    trace: Mutex<Trace>,
    checker: Mutex<Checker>,
    weather: Mutex<Weather>,
    violation: Mutex<Option<String>>,
    /// Every entry that was ever sent, to be sent again.
    sent: Mutex<Vec<Bytes>>,
    /// Until then something that was sent may still come.
    late: Mutex<Option<Instant>>,
    signer_dice: Mutex<fastrand::Rng>,
}

/// How bad the network and the stores are now, for everybody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// How likely a call fails.
    pub(crate) faults: f64,
    /// How likely the log's key does not sign as it should.
    pub(crate) signer: f64,
    pub(crate) latency: Latency,
    /// Worse weather, and how long it lasts.
    pub(crate) storm: Option<(Instant, Storm)>,
    /// Until then every call fails, undone.
    pub(crate) outage: Option<Instant>,
}

/// For a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Storm {
    /// Calls fail this often.
    Faults(f64),
    /// Calls take this long.
    Slow(Latency),
    /// All calls of this kind fail, undone.
    Refused(Call),
}

/// How long a call is under way: mostly up to `usual` milliseconds, one in `rare` up to `worst`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) usual: u64,
    pub(crate) worst: u64,
    pub(crate) rare: u32,
}

impl Latency {
    pub(crate) const NONE: Self = Self { usual: 0, worst: 0, rare: 1000 };

    pub(crate) fn draw(self, rng: &mut fastrand::Rng) -> Duration {
        let longest = if rng.u32(..self.rare) == 0 { self.worst } else { self.usual };
        Duration::from_millis(rng.u64(..=longest))
    }
}

impl Weather {
    pub(crate) fn faults_now(&self) -> f64 {
        match self.storm {
            Some((until, Storm::Faults(faults))) if Instant::now() < until => faults,
            _ => self.faults,
        }
    }

    pub(crate) fn latency_now(&self) -> Latency {
        match self.storm {
            Some((until, Storm::Slow(latency))) if Instant::now() < until => latency,
            _ => self.latency,
        }
    }

    pub(crate) fn is_outage_for(&self, call: Call) -> bool {
        let refused = match self.storm {
            Some((until, Storm::Refused(refused))) => Instant::now() < until && refused == call,
            _ => false,
        };
        refused || self.outage.is_some_and(|until| Instant::now() < until)
    }
}

impl World {
    pub(crate) fn new(trace: Trace, checker: Checker, weather: Weather, signer_dice: fastrand::Rng) -> Self {
        let (trace, checker, weather) = (Mutex::new(trace), Mutex::new(checker), Mutex::new(weather));
        Self {
            trace,
            checker,
            weather,
            violation: Mutex::default(),
            sent: Mutex::default(),
            late: Mutex::default(),
            signer_dice: Mutex::new(signer_dice),
        }
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.trace)
    }

    pub(crate) fn weather(&self) -> MutexGuard<'_, Weather> {
        lock(&self.weather)
    }

    pub(crate) fn signer_dice(&self) -> MutexGuard<'_, fastrand::Rng> {
        lock(&self.signer_dice)
    }

    pub(crate) fn sent(&self) -> MutexGuard<'_, Vec<Bytes>> {
        lock(&self.sent)
    }

    pub(crate) fn is_late_until(&self, until: Instant) {
        let mut late = lock(&self.late);
        *late = (*late).max(Some(until));
    }

    pub(crate) fn late_until(&self) -> Option<Instant> {
        *lock(&self.late)
    }

    pub(crate) fn note(&self, who: Option<usize>, what: fmt::Arguments<'_>) {
        self.trace().note(who, what);
    }

    pub(crate) fn count(&self, what: &'static str) {
        self.trace().counts.count(what);
    }

    /// Lets the checker see what was done just now. The first promise that is broken stands.
    pub(crate) fn check<T: Default>(&self, look: impl FnOnce(&mut Checker) -> Result<T, String>) -> T {
        let looked = look(&mut lock(&self.checker));
        looked.unwrap_or_else(|broken| {
            self.violate(broken);
            T::default()
        })
    }

    /// A register may have changed.
    pub(crate) fn look_at(&self, which: Which, process: usize) {
        match which {
            Which::Head => self.count_growth(self.check(|checker| checker.look_at_head(process))),
            Which::Guard(number) => self.check(|checker| checker.look_at_guard(number)),
        }
    }

    fn count_growth(&self, growth: Growth) {
        let counts = &mut self.trace().counts;
        counts.add("takeovers", growth.takeover.into());
        counts.add("rounds", (growth.rounds > 0).into());
        counts.add("rounds committed while others were settled", (growth.rounds > 1).into());
    }

    pub(crate) fn violate(&self, broken: String) {
        self.note(None, format_args!("VIOLATION: {broken}"));
        lock(&self.violation).get_or_insert(broken);
    }

    pub(crate) fn violation(&self) -> Option<String> {
        lock(&self.violation).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
