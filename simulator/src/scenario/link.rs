//! How one process reaches its stores: how long a call takes, what becomes of it, and whether the
//! process is awake to send it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_storage::{StorageError, StorageErrorKind};
use tokio::time::{Instant, sleep, sleep_until};

use super::world::World;

/// One process's way to its stores.
pub(crate) struct Link {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
    state: Mutex<State>,
}

struct State {
    rng: fastrand::Rng,
    asleep_until: Option<Instant>,
    cut_off_until: Option<Instant>,
}

/// How a call fares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trip {
    pub(crate) fate: Fate,
    /// Until it is done.
    pub(crate) out: Duration,
    /// From then until the caller hears of it.
    pub(crate) back: Duration,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Call {
    /// To read something.
    Read,
    /// To make a tile or bundle.
    Create,
    /// To replace the checkpoint or the lease.
    Put,
    /// To swap the head.
    SwapHead,
    /// To swap a guard.
    SwapGuard,
}

/// What becomes of a call. All but two of these report the same error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It is done, and answered.
    Done,
    /// It is not done.
    Lost,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is done so much later, if it still can be.
    Late(Duration),
    /// It is done and answered, and done once more so much later, if it still can be.
    Twice(Duration),
    /// It is done twice in a row, and answered the second time: so a client fares that tries again.
    Retried,
}

impl Trip {
    /// After how long it is done, each time, and which of these the caller hears of.
    pub(crate) fn done(self) -> (Vec<Duration>, Option<usize>) {
        match self.fate {
            Fate::Done => (vec![self.out], Some(0)),
            Fate::Lost => (vec![], None),
            Fate::AnswerLost => (vec![self.out], None),
            Fate::Late(more) => (vec![self.out + more], None),
            Fate::Twice(more) => (vec![self.out, self.out + more], Some(0)),
            Fate::Retried => (vec![self.out, self.out], Some(1)),
        }
    }
}

impl Link {
    pub(crate) fn new(world: Arc<World>, process: usize, rng: fastrand::Rng) -> Self {
        Self { world, process, state: Mutex::new(State { rng, asleep_until: None, cut_off_until: None }) }
    }

    /// The process stands still for so long: none of its calls goes out, no answer comes in.
    pub(crate) fn pause(&self, length: Duration) {
        self.state().asleep_until = Some(Instant::now() + length);
    }

    /// None of its calls arrives for so long.
    pub(crate) fn cut_off(&self, length: Duration) {
        self.state().cut_off_until = Some(Instant::now() + length);
    }

    /// It goes on.
    pub(crate) fn wake(&self) {
        let mut state = self.state();
        (state.asleep_until, state.cut_off_until) = (None, None);
    }

    pub(crate) async fn be_awake(&self) {
        loop {
            let until = self.state().asleep_until;
            match until.filter(|until| *until > Instant::now()) {
                // In steps: it may be woken before.
                Some(until) => sleep_until(until.min(Instant::now() + Duration::from_secs(20))).await,
                None => return,
            }
        }
    }

    /// Sends a call as soon as the process is awake. It is still on its way when this returns.
    pub(crate) async fn send(&self, call: Call) -> Trip {
        self.be_awake().await;
        let weather = *self.world.weather();
        let State { rng, cut_off_until, .. } = &mut *self.state();
        let latency = weather.latency_now();
        let nothing_arrives =
            weather.is_outage_for(call) || cut_off_until.is_some_and(|until| Instant::now() < until);
        let fate = match rng.f64() < weather.faults_now() {
            _ if nothing_arrives => Fate::Lost,
            true => draw_fate(rng),
            false => Fate::Done,
        };
        let trip = Trip { fate, out: latency.draw(rng), back: latency.draw(rng) };
        if let Fate::Late(more) | Fate::Twice(more) = fate {
            self.world.is_late_until(Instant::now() + trip.out + more);
        }
        trip
    }

    /// The way back: the process hears of it when it is awake.
    pub(crate) async fn hear(&self, back: Duration) {
        pass(back).await;
        self.be_awake().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn draw_fate(rng: &mut fastrand::Rng) -> Fate {
    match rng.u8(..6) {
        0 | 1 => Fate::Lost,
        2 => Fate::AnswerLost,
        3 => Fate::Late(draw_lateness(rng)),
        4 => Fate::Twice(draw_lateness(rng)),
        _ => Fate::Retried,
    }
}

fn draw_lateness(rng: &mut fastrand::Rng) -> Duration {
    let longest = match rng.u8(..10) {
        0..5 => 1_000,
        5..8 => 10_000,
        _ => 80_000,
    };
    Duration::from_millis(rng.u64(..longest))
}

/// Sleeps, unless it is for no time at all.
pub(crate) async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

pub(crate) fn fault() -> StorageError {
    StorageError::new(StorageErrorKind::Transient, "a simulated fault in", &"a call", None)
}
