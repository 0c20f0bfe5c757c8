//! What can happen in a run, and when it does.

use std::time::Duration;

use super::link::Call;
use super::world::Latency;
use crate::disk::Trouble;

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A process is killed, and starts again after a while.
    Crash { process: usize, down: Duration },
    /// It is killed in the operation of its disk after so many.
    KillAfter { process: usize, operations: usize },
    /// It stands still.
    Pause { process: usize, length: Duration },
    /// Whoever writes stands still.
    PauseWriter { length: Duration },
    /// It is cut off from its stores.
    CutOff { process: usize, length: Duration },
    /// It is told to stop, and starts again after a while.
    Stop { process: usize, down: Duration },
    /// Its clock is set back.
    ClockBack { process: usize, seconds: u64 },
    /// An operation of the disk, after so many, goes wrong.
    Trouble { operations: usize, trouble: Trouble },
    /// The power goes out, if it is not out yet, and comes back. All processes start again.
    PowerCut { down: Duration },
    /// Calls fail for a while.
    Storm { faults: f64, length: Duration },
    /// Calls take long for a while.
    Slow { latency: Latency, length: Duration },
    /// All calls of one kind fail for a while.
    Refused { call: Call, length: Duration },
    /// All calls fail for a while.
    Outage { length: Duration },
    /// Somebody removes the lease, or writes nonsense there.
    LoseLease { nonsense: bool },
    /// A collector removes partial tiles that are not needed any more.
    Collect,
    /// Its operator ends the log, having stopped all processes for so long, if at all, and tries until it is done.
    Freeze { stopped: Option<Duration> },
    /// Somebody copies the store.
    Copy,
    /// And puts the copy back: all of it, or the head alone.
    GoBack { whole: bool },
}

impl Event {
    /// By what it is counted.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crashes",
            Self::KillAfter { .. } => "kills in an operation",
            Self::Pause { .. } | Self::PauseWriter { .. } => "pauses",
            Self::CutOff { .. } => "processes cut off",
            Self::Stop { .. } => "stops",
            Self::ClockBack { .. } => "clocks set back",
            Self::Trouble { trouble: Trouble::PowerCut, .. } => "power cuts in an operation",
            Self::Trouble { .. } => "failed operations of the disk",
            Self::PowerCut { .. } => "power cuts",
            Self::Storm { .. } => "storms of faults",
            Self::Slow { .. } => "storms of latency",
            Self::Refused { .. } => "outages of one kind of call",
            Self::Outage { .. } => "outages",
            Self::LoseLease { .. } => "leases lost",
            Self::Collect => "collections",
            Self::Freeze { .. } => "freezes begun",
            Self::Copy => "copies",
            Self::GoBack { .. } => "stores that went back in time",
        }
    }
}

/// Draws what happens in a run, in order.
pub(crate) fn draw_events(
    rng: &mut fastrand::Rng,
    is_bucket: bool,
    processes: usize,
    length: Duration,
) -> Vec<(Duration, Event)> {
    let mut events = Vec::new();
    let at = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(..millis(length)));
    for _ in 0..[0, 1, 2, 3, 5, 8][rng.usize(..6)] {
        let begin = at(rng);
        draw_event(rng, is_bucket, processes, begin, &mut events);
    }
    if rng.u8(..8) == 0 {
        let (copied, back) = (at(rng), at(rng));
        if is_bucket && processes > 1 && rng.u8(..3) > 0 {
            draw_ambush(rng, copied.min(back), &mut events);
        } else {
            events.push((copied.min(back), Event::Copy));
            events.push((copied.max(back), Event::GoBack { whole: rng.bool() }));
        }
    }
    // Of equal times the one drawn first comes first.
    events.sort_by_key(|(at, _)| *at);
    events
}

/// Draws whether the log is ended, when, and what happens to whoever ends it, the last of the processes.
pub(crate) fn draw_freeze(
    rng: &mut fastrand::Rng,
    operator: usize,
    length: Duration,
) -> Vec<(Duration, Event)> {
    if rng.u8(..4) > 0 {
        return Vec::new();
    }
    let begin = Duration::from_millis(rng.u64(..millis(length)));
    let stopped = (rng.u8(..4) > 0).then(|| Duration::from_millis(rng.u64(..25_000)));
    let latest = [300, 3_000, 20_000][rng.usize(..3)];
    let soon = begin + Duration::from_millis(rng.u64(..latest));
    let (process, length) = (operator, draw_pause(rng));
    let trouble = match rng.u8(..4) {
        0 => Some(Event::Crash { process, down: Duration::from_millis(rng.u64(..5_000)) }),
        1 => Some(Event::Pause { process, length }),
        2 => Some(Event::CutOff { process, length: length.min(Duration::from_secs(25)) }),
        _ => None,
    };
    let freeze = (begin, Event::Freeze { stopped });
    [freeze].into_iter().chain(trouble.map(|trouble| (soon, trouble))).collect()
}

/// The writer sleeps, another takes over, and the first wakes to the store as it knew it.
fn draw_ambush(rng: &mut fastrand::Rng, begin: Duration, events: &mut Vec<(Duration, Event)>) {
    let length = Duration::from_secs(rng.u64(6..30));
    events.push((begin, Event::Copy));
    events.push((begin, Event::PauseWriter { length: length + Duration::from_millis(200) }));
    events.push((begin + length, Event::GoBack { whole: rng.bool() }));
}

fn draw_event(
    rng: &mut fastrand::Rng,
    is_bucket: bool,
    processes: usize,
    begin: Duration,
    events: &mut Vec<(Duration, Event)>,
) {
    let process = rng.usize(..processes);
    let soon = Duration::from_millis(rng.u64(..1_500));
    let down = Duration::from_millis([10, 500, 3_000, 20_000][rng.usize(..4)]);
    let length = Duration::from_millis([300, 2_000, 8_000, 25_000][rng.usize(..4)]);
    let few = [8, 20, 60][rng.usize(..3)];
    let operations = rng.usize(..few);
    let event = match rng.u8(..26) {
        24 | 25 => Event::Refused { call: CALLS[rng.usize(..CALLS.len())], length },
        22 | 23 if is_bucket => Event::CutOff { process, length },
        0..4 => Event::Crash { process, down },
        4..8 if is_bucket => Event::Pause { process, length: draw_pause(rng) },
        4..6 => Event::Pause { process, length: draw_pause(rng) },
        6..8 => {
            events.push((begin, Event::KillAfter { process, operations }));
            events.push((begin + soon, Event::Crash { process, down }));
            return draw_next(rng, is_bucket, processes, begin + soon + down, events);
        }
        8 | 9 => Event::Stop { process, down },
        10 => Event::ClockBack { process, seconds: rng.u64(1..5_000) },
        11 | 12 => Event::Storm { faults: [0.2, 0.5, 0.9][rng.usize(..3)], length },
        13 => Event::Outage { length },
        14 | 15 => Event::Slow { latency: Latency { usual: 900, worst: 4_000, rare: 4 }, length },
        16 | 17 if is_bucket => Event::Collect,
        18 if is_bucket => Event::LoseLease { nonsense: rng.bool() },
        19.. if is_bucket => Event::Crash { process, down },
        16 | 17 => Event::Trouble { operations, trouble: draw_trouble(rng) },
        _ => {
            events.push((begin, Event::Trouble { operations, trouble: Trouble::PowerCut }));
            events.push((begin + soon, Event::PowerCut { down }));
            return draw_next(rng, is_bucket, processes, begin + soon + down, events);
        }
    };
    events.push((begin, event));
}

/// Trouble likes to come again while somebody recovers from the last.
fn draw_next(
    rng: &mut fastrand::Rng,
    is_bucket: bool,
    processes: usize,
    begin: Duration,
    events: &mut Vec<(Duration, Event)>,
) {
    if rng.bool() {
        let begin = begin + Duration::from_millis(rng.u64(..400));
        draw_event(rng, is_bucket, processes, begin, events);
    }
}

const CALLS: [Call; 6] = [Call::Read, Call::Create, Call::Create, Call::Put, Call::SwapHead, Call::SwapGuard];

/// Seconds mostly, and now and then as long as it takes to be forgotten.
fn draw_pause(rng: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(match rng.u8(..100) {
        0..50 => rng.u64(..5_000),
        50..97 => rng.u64(5_000..60_000),
        97..99 => rng.u64(60_000..900_000),
        _ if rng.u8(..10) == 0 => 86_400_000,
        _ => 3_600_000,
    })
}

fn draw_trouble(rng: &mut fastrand::Rng) -> Trouble {
    [Trouble::FailsUndone, Trouble::FailsSeen, Trouble::FailsTorn][rng.usize(..3)]
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
