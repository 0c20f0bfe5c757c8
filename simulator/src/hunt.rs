//! Many seeds, side by side, until one breaks a promise.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::scenario::{Counts, Report, run};

/// Which seeds are run, and how many side by side.
#[derive(Debug)]
pub struct Hunt {
    /// The seeds.
    pub seeds: Vec<u64>,
    /// How many side by side.
    pub jobs: usize,
}

impl Default for Hunt {
    fn default() -> Self {
        Self { seeds: Vec::new(), jobs: thread::available_parallelism().map_or(1, usize::from) }
    }
}

/// A seed takes milliseconds. One that takes this long goes round in a circle.
const LONGEST: Duration = Duration::from_secs(120);

/// How often it is said how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Runs the seeds. Says now and then how far it is, at last what happened in all of them, and of the
/// first that broke a promise how to run it again.
#[must_use]
pub fn hunt(hunt: &Hunt) -> ExitCode {
    let begun: Arc<Vec<Begun>> = Arc::new((0..hunt.jobs).map(|_| Begun::default()).collect());
    let (report, reports) = channel();
    let (seeds, next) = (Arc::new(hunt.seeds.clone()), Arc::new(AtomicUsize::new(0)));
    for job in 0..hunt.jobs {
        let (seeds, next, begun, report) = (seeds.clone(), next.clone(), begun.clone(), report.clone());
        thread::spawn(move || {
            while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                begun[job].set(Some(seed));
                let sent = report.send(run(seed, false));
                begun[job].set(None);
                if sent.is_err() {
                    return;
                }
            }
        });
    }
    drop(report);
    let mut tally = Tally::new(hunt.seeds.len());
    let outcome = tally.collect(&reports, &begun);
    tally.print();
    outcome
}

/// The seed that a job runs, and since when.
#[derive(Default)]
struct Begun(Mutex<Option<(u64, Instant)>>);

impl Begun {
    fn set(&self, seed: Option<u64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seed.map(|seed| (seed, Instant::now()));
    }

    fn hangs(&self) -> Option<u64> {
        let begun = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.filter(|(_, since)| since.elapsed() > LONGEST).map(|(seed, _)| seed)
    }
}

/// What came of the seeds so far.
struct Tally {
    start: Instant,
    said: Instant,
    of: usize,
    done: usize,
    counts: Counts,
}

impl Tally {
    fn new(of: usize) -> Self {
        Self { start: Instant::now(), said: Instant::now(), of, done: 0, counts: Counts::default() }
    }

    fn collect(&mut self, reports: &Receiver<Report>, begun: &[Begun]) -> ExitCode {
        loop {
            match reports.recv_timeout(Duration::from_secs(1)) {
                Ok(report) => {
                    self.add(&report);
                    if let Some(violation) = report.violation {
                        return broken(report.seed, &violation);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return ExitCode::SUCCESS,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(seed) = begun.iter().find_map(Begun::hangs) {
                return broken(seed, "it does not end");
            }
            self.say();
        }
    }

    fn add(&mut self, report: &Report) {
        self.done += 1;
        self.counts.merge(&report.counts);
    }

    fn say(&mut self) {
        if self.said.elapsed() >= PROGRESS {
            self.said = Instant::now();
            println!("{self}");
        }
    }

    fn print(&self) {
        print!("{}", self.counts);
        println!("{self}");
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { done, of, counts, .. } = self;
        let seconds = self.start.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate, for people")]
        let rate = *done as f64 / seconds;
        let (crashes, cuts) = (counts.get("crashes"), counts.get("power cuts"));
        let (answered, faults) = (counts.get("entries answered"), counts.get("faults of calls"));
        write!(
            f,
            "{done} of {of} seeds in {seconds:.0} s, {rate:.0} a second: {crashes} crashes, {cuts} power cuts, \
             {faults} faults, {answered} entries answered"
        )
    }
}

fn broken(seed: u64, violation: &str) -> ExitCode {
    println!("seed {seed}: {violation}");
    println!("again: simulator/run --seed {seed} --trace");
    ExitCode::FAILURE
}
