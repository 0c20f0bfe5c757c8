//! The requests: a closed loop with a number of connections, or an open one at a rate.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use kiln_client::{Submitter, Wait};
use kiln_tiles::TrustedLog;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::Bench;
use super::entries::Entries;
use super::line::{Line, LineError, Target};
use super::measured::{Counts, Measured};
use crate::environment;
use crate::failure::Failure;
use crate::reading::http_options;

/// What is sent, and what came of it.
pub(super) struct Load {
    /// One for each connection; or one for all, which has as many as it takes.
    lines: Vec<Arc<Line>>,
    streams: u32,
    rate: Option<u32>,
    duration: Duration,
    entries: Entries,
    counts: Counts,
}

/// The most requests of an open loop that wait for an answer.
const MOST_UNANSWERED: u32 = 65_536;

/// How long the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// So many connections are made at once.
const CONNECTING: usize = 64;

/// A server that refuses at once must not be asked a million times a second.
const AFTER_AN_ERROR: Duration = Duration::from_millis(10);

impl Load {
    /// With all of its connections made.
    pub(super) async fn connect(bench: &Bench) -> Result<Self, Failure> {
        let entries = Entries::new(u64::from_le_bytes(environment::random()?), bench.batch, bench.size);
        let target = Arc::new(Target::new(&resource(bench), bench.streams.is_some(), entries.batch())?);
        check(bench).await?;
        let connections = bench.connections().unwrap_or(1);
        let lines: Vec<_> = (0..connections).map(|_| Arc::new(Line::new(&target))).collect();
        let open = stream::iter(&lines).map(Ok).try_for_each_concurrent(CONNECTING, |line| line.open());
        open.await.map_err(Failure::undone)?;
        let Bench { rate, duration, .. } = *bench;
        Ok(Self {
            lines,
            streams: bench.streams.unwrap_or(1),
            rate,
            duration,
            entries,
            counts: Counts::new(),
        })
    }

    /// Runs until the time is over and the last request is answered, or given up.
    pub(super) async fn run(self: &Arc<Self>) -> Result<Measured, Failure> {
        let start = Instant::now();
        let until = start + self.duration;
        let unanswered = match self.rate {
            Some(rate) => self.open_loop(rate, start, until).await,
            None => self.closed_loop(until).await?,
        };
        if unanswered > 0 {
            self.counts.failed(0, &format!("no answer within {LAST_ANSWERS:?}"), unanswered);
        }
        Ok(self.counts.sum(start, self.rate))
    }

    async fn closed_loop(self: &Arc<Self>, until: Instant) -> Result<u64, Failure> {
        let mut tasks = JoinSet::new();
        for line in &self.lines {
            for _ in 0..self.streams {
                tasks.spawn(self.clone().one_after_another(tasks.len(), line.clone(), until));
            }
        }
        while let Ok(Some(ended)) = timeout_at(until + LAST_ANSWERS, tasks.join_next()).await {
            ended.map_err(Failure::undone)?;
        }
        Ok(tasks.len() as u64)
    }

    async fn one_after_another(self: Arc<Self>, who: usize, line: Arc<Line>, until: Instant) {
        let mut body = Bytes::new();
        while Instant::now() < until {
            body = self.entries.body(body);
            if self.send(who, &line, body.clone(), Instant::now()).await.is_err() {
                sleep(AFTER_AN_ERROR).await;
            }
        }
    }

    async fn open_loop(self: &Arc<Self>, rate: u32, start: Instant, until: Instant) -> u64 {
        let room = Arc::new(Semaphore::new(MOST_UNANSWERED as usize));
        for (number, line) in (0_usize..).zip(self.lines.iter().cycle()) {
            let due = start + Duration::from_nanos(number as u64 * 1_000_000_000 / u64::from(rate));
            if due >= until {
                break;
            }
            sleep_until(due).await;
            let Ok(permit) = room.clone().try_acquire_owned() else {
                self.counts.failed(number, &"too many unanswered, not sent", 1);
                continue;
            };
            let (load, line) = (self.clone(), line.clone());
            tokio::spawn(async move {
                // What went wrong is counted.
                let _ = load.send(number, &line, load.entries.body(Bytes::new()), due).await;
                drop(permit);
            });
        }
        let _ = timeout_at(until + LAST_ANSWERS, room.acquire_many(MOST_UNANSWERED)).await;
        u64::from(MOST_UNANSWERED) - room.available_permits() as u64
    }

    /// One request that was due at `since`.
    async fn send(&self, who: usize, line: &Line, body: Bytes, since: Instant) -> Result<(), LineError> {
        let answer = line.post(body).await;
        let checked = answer.and_then(|answer| indices(&answer, self.entries.batch()));
        match checked {
            Ok(()) => self.counts.answered(who, self.entries.batch(), since),
            Err(error) => self.counts.failed(who, &error, 1),
        }
        checked
    }
}

/// One entry, so that an address where no log is, is told from a log that is slow.
async fn check(bench: &Bench) -> Result<(), Failure> {
    let nobody = TrustedLog::new(String::new(), Vec::new());
    let submitter = Submitter::with_options(&bench.url, nobody, http_options().retries(0))?;
    let entry: [u8; 32] = environment::random()?;
    submitter.wait_for(bench.wait()).submit(entry.to_vec()).await?;
    Ok(())
}

/// Where a bench posts to.
fn resource(bench: &Bench) -> String {
    let path = if bench.batch > 1 { "add-batch" } else { "add" };
    let wait = if bench.wait() == Wait::Sequenced { "?wait=sequenced" } else { "" };
    format!("{}/{path}{wait}", bench.url.trim_end_matches('/'))
}

/// Whether the answer is an index in decimal for each of so many entries.
fn indices(answer: &[u8], entries: u64) -> Result<(), LineError> {
    let lines = answer.strip_suffix(b"\n").unwrap_or(answer).split(|&byte| byte == b'\n');
    let is_index = |line: &[u8]| !line.is_empty() && line.iter().all(u8::is_ascii_digit);
    let mut count = 0;
    let good = lines.inspect(|_| count += 1).all(is_index);
    if good && count == entries { Ok(()) } else { Err(LineError::Answer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_an_index_for_each_entry() {
        for (answer, entries) in [(&b"0"[..], 1), (b"17\n", 1), (b"1\n2\n3\n", 3), (b"1\n2\n3", 3)] {
            assert_eq!(indices(answer, entries), Ok(()), "{answer:?}");
        }
        for (answer, entries) in
            [(&b""[..], 1), (b"\n", 1), (b"x", 1), (b"1\n2", 1), (b"1\n", 2), (b"1\n\n", 2)]
        {
            assert_eq!(indices(answer, entries), Err(LineError::Answer), "{answer:?}");
        }
    }
}
