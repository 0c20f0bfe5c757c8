//! The requests: a closed loop with a number of connections, or an open one at a rate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_client::{HttpError, SubmitError, Submitter};
use kiln_tiles::TrustedLog;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Bench;
use super::histogram::Histogram;
use crate::environment;
use crate::failure::Failure;
use crate::reading::http_options;

/// What is sent, and for how long.
pub(super) struct Load {
    bench: Bench,
    run: String,
    next: AtomicU64,
    /// What came of the requests, in parts, so that they do not wait for one another to say it.
    measured: Vec<Mutex<Measured>>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) latencies: Histogram,
    pub(super) entries: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) took: Duration,
}

/// The most requests of an open loop that wait for an answer.
const MOST_UNANSWERED: usize = 65_536;

/// In so many parts is counted.
const PARTS: usize = 16;

/// How long the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// A submitter that tries once: a retry would hide what is to be measured.
fn submitter(bench: &Bench) -> Result<Submitter, Failure> {
    let nobody = TrustedLog::new(String::new(), Vec::new());
    let options = http_options().retries(0);
    let options = if bench.streams.is_some() { options.http2() } else { options };
    Ok(Submitter::with_options(&bench.url, nobody, options)?.wait_for(bench.wait()))
}

impl Load {
    pub(super) fn new(bench: &Bench) -> Result<Self, Failure> {
        let run: [u8; 8] = environment::random()?;
        let run = run.iter().map(|byte| format!("{byte:02x}")).collect();
        let measured = (0..PARTS).map(|_| Mutex::new(Measured::nothing())).collect();
        Ok(Self { bench: bench.clone(), run, next: AtomicU64::new(0), measured })
    }

    /// One entry, so that an address where no log is, is told from a log that is slow.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        Ok(submitter(&self.bench)?.submit(self.entry()).await.map(drop)?)
    }

    /// Runs until the time is over and the last request is answered, or given up.
    pub(super) async fn run(self: &Arc<Self>) -> Result<Measured, Failure> {
        let start = Instant::now();
        let until = start + self.bench.duration;
        let mut requests = match self.bench.rate {
            Some(rate) => self.open_loop(rate, start, until).await?,
            None => self.closed_loop(until)?,
        };
        while let Ok(Some(ended)) = timeout_at(until + LAST_ANSWERS, requests.join_next()).await {
            ended.map_err(Failure::undone)?;
        }
        let mut measured = Measured::nothing();
        self.measured.iter().for_each(|part| measured.merge(&lock(part)));
        let unanswered = requests.len() as u64;
        if unanswered > 0 {
            measured.errors.insert(format!("no answer within {LAST_ANSWERS:?}"), unanswered);
        }
        measured.took = start.elapsed();
        Ok(measured)
    }

    fn closed_loop(self: &Arc<Self>, until: Instant) -> Result<JoinSet<()>, Failure> {
        let mut connections = JoinSet::new();
        for own in self.submitters()? {
            for _ in 0..self.bench.streams.unwrap_or(1) {
                connections.spawn(self.clone().one_after_another(own.clone(), until));
            }
        }
        Ok(connections)
    }

    /// One for each connection, of which its pool has then one; or one for all, whose pool has as many as it takes.
    fn submitters(&self) -> Result<Vec<Submitter>, Failure> {
        (0..self.bench.connections().unwrap_or(1)).map(|_| submitter(&self.bench)).collect()
    }

    async fn one_after_another(self: Arc<Self>, submitter: Submitter, until: Instant) {
        while Instant::now() < until {
            let outcome = self.send(&submitter, Instant::now()).await;
            // A server that refuses at once must not be asked a million times a second.
            if self.count(outcome).is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn open_loop(
        self: &Arc<Self>,
        rate: u32,
        start: Instant,
        until: Instant,
    ) -> Result<JoinSet<()>, Failure> {
        let submitters = self.submitters()?;
        let mut submitters = submitters.iter().cycle().cloned();
        let (mut requests, room) = (JoinSet::new(), Arc::new(Semaphore::new(MOST_UNANSWERED)));
        for number in 0_u64.. {
            let due = start + Duration::from_nanos(number * 1_000_000_000 / u64::from(rate));
            if due >= until {
                break;
            }
            sleep_until(due).await;
            let Ok(permit) = room.clone().try_acquire_owned() else {
                self.count_error("too many unanswered, not sent".into());
                continue;
            };
            let (load, submitter) = (self.clone(), submitters.next().expect("it goes round and round"));
            requests.spawn(async move {
                // What went wrong is counted.
                let _ = load.count(load.send(&submitter, due).await);
                drop(permit);
            });
        }
        Ok(requests)
    }

    /// One request that was due at `since`: entries and latency.
    async fn send(&self, submitter: &Submitter, since: Instant) -> Result<(u64, Duration), SubmitError> {
        if self.bench.batch == 1 {
            submitter.submit(self.entry()).await?;
        } else {
            let entries: Vec<Vec<u8>> = (0..self.bench.batch).map(|_| self.entry()).collect();
            submitter.submit_batch(&entries).await?;
        }
        Ok((u64::from(self.bench.batch), since.elapsed()))
    }

    fn count(&self, outcome: Result<(u64, Duration), SubmitError>) -> Result<(), ()> {
        match outcome {
            Ok((entries, latency)) => {
                let mut measured = self.part();
                measured.entries += entries;
                measured.latencies.record(latency);
                Ok(())
            }
            Err(error) => {
                self.count_error(label(&error));
                Err(())
            }
        }
    }

    fn count_error(&self, error: String) {
        *self.part().errors.entry(error).or_default() += 1;
    }

    fn part(&self) -> MutexGuard<'_, Measured> {
        lock(&self.measured[usize::try_from(self.next.load(Ordering::Relaxed)).unwrap_or(0) % PARTS])
    }

    /// An entry like no other.
    fn entry(&self) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut entry = format!("{} {number} ", self.run).into_bytes();
        entry.resize(usize::from(self.bench.size), b'.');
        entry
    }
}

fn lock(part: &Mutex<Measured>) -> MutexGuard<'_, Measured> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The kind of an error: few, however many there are.
fn label(error: &SubmitError) -> String {
    match error {
        SubmitError::Http(HttpError::Status { status, .. }) => format!("answer {status}"),
        SubmitError::Http(HttpError::Timeout(_)) => "no answer in time".to_owned(),
        SubmitError::Http(HttpError::Connection(_)) => "no connection, or one that broke".to_owned(),
        error => error.to_string(),
    }
}
