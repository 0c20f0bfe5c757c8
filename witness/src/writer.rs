//! The one thread that writes: it decides all requests that wait in one transaction, and commits them together.
//!
//! To check the old size and to record the new one [must be one step](https://c2sp.org/tlog-witness#add-checkpoint): two
//! requests that were checked side by side would roll the log back. A commit waits for the disk, whatever it holds, so
//! that many requests share one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kiln_tiles::{Checkpoint, Hash, Note, NoteSignature, TreeHead};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::evidence::Evidence;
use crate::metrics::Metrics;
use crate::mirror::Settled;
use crate::quota::{Kind, Quotas};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::store::{Store, StoreError, Tables};
use crate::submission::Submission;

/// How many requests may wait. What comes beyond is told so.
const WAITING: usize = 4096;

/// The most that are committed together: enough that the disk is not what counts.
const TOGETHER: usize = 256;

/// While the store fails: between two looks for a request, and for a store that works again.
const AGAIN: Duration = Duration::from_millis(200);

/// A mirror says the same again, with the same time, for so many seconds.
pub(crate) const SIGNED_AGAIN_AFTER: u64 = 60;

/// A clock that was set back by less than this is not believed: it stands still until it has caught up.
const SMALL_STEP: u64 = 60;

/// What is recorded durably, and may be cosigned at this time and no other.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) origin_hash: Hash,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Note,
    pub(crate) time: u64,
}

impl Grant {
    /// The grant that was recorded so.
    pub(crate) fn again(origin_hash: Hash, record: &Record) -> Option<Self> {
        let checkpoint = record.note().unverified_text().parse().ok()?;
        Some(Self { origin_hash, checkpoint, note: record.note().clone(), time: record.time() })
    }

    /// What monitors get: the checkpoint, with the signatures of the log that were verified and these cosignatures.
    /// `None` where they are more than a note can have.
    pub(crate) fn cosigned(&self, lines: &[NoteSignature]) -> Option<Record> {
        let signatures = [self.note.signatures(), lines].concat();
        let note = Note::new(self.note.unverified_text().to_owned(), signatures).ok()?;
        Some(Record::new(self.time, self.checkpoint.head(), note))
    }
}

/// A mirror checkpoint that is recorded durably. A mirror signs these and no others: what was merely granted as
/// pending is a [`Grant`].
#[derive(Debug)]
pub(crate) struct MirrorGrant(Grant);

impl MirrorGrant {
    /// The grant that was recorded so.
    pub(crate) fn again(origin_hash: Hash, record: &Record) -> Option<Self> {
        Grant::again(origin_hash, record).map(Self)
    }

    pub(crate) const fn get(&self) -> &Grant {
        &self.0
    }
}

enum Job {
    Decide(Box<Submission>, oneshot::Sender<Result<Grant, Refusal>>),
    Mirror(Box<Settled>, oneshot::Sender<Result<MirrorGrant, Refusal>>),
    Hold(Hash, TreeHead, oneshot::Sender<Result<(), Refusal>>),
    Keep(Hash, Box<Record>),
}

/// What was decided, and who waits to hear it. Who is not told is told so by that: the sender is dropped.
enum Decided {
    Checkpoint(Box<Submission>, Result<Grant, Refusal>, oneshot::Sender<Result<Grant, Refusal>>),
    Mirror(Result<MirrorGrant, Refusal>, oneshot::Sender<Result<MirrorGrant, Refusal>>),
    Held(oneshot::Sender<Result<(), Refusal>>),
    Kept,
}

/// Hands jobs to the thread that writes. When it is dropped, the thread does what waits and ends.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    failing: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        evidence: Evidence,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let (sender, jobs) = mpsc::channel(WAITING);
        let failing = Arc::new(AtomicBool::new(false));
        let mut desk =
            Desk { store, clock, evidence, metrics, quotas: Quotas::default(), failing: failing.clone() };
        let thread = std::thread::Builder::new().name("witness-writer".to_owned());
        let thread = thread.spawn(move || desk.work(jobs))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread), failing })
    }

    /// Decides whether the checkpoint may be cosigned. What is granted is on disk.
    pub(crate) async fn decide(&self, submission: Submission) -> Result<Grant, Refusal> {
        self.ask(|answer| Job::Decide(Box::new(submission), answer)).await
    }

    /// Moves the mirror checkpoint to one whose whole tree is durable, unless it is further. What is granted is on disk.
    pub(crate) async fn mirror(&self, settled: Settled) -> Result<MirrorGrant, Refusal> {
        self.ask(|answer| Job::Mirror(Box::new(settled), answer)).await
    }

    /// Records the tree whose entries and full tiles are durable.
    pub(crate) async fn hold(&self, origin_hash: Hash, head: TreeHead) -> Result<(), Refusal> {
        self.ask(|answer| Job::Hold(origin_hash, head, answer)).await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Job,
    ) -> Result<T, Refusal> {
        let (answer, decided) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Refusal::Unavailable)?;
        jobs.try_send(job(answer)).map_err(|_| Refusal::Crowded)?;
        // Without an answer the commit has failed, or the thread has panicked.
        decided.await.unwrap_or(Err(Refusal::Unavailable))
    }

    /// Keeps what was cosigned for monitors, in its turn.
    pub(crate) async fn keep(&self, origin_hash: Hash, record: Record) {
        if let Some(jobs) = &self.jobs {
            // Where the thread is gone, nothing more is cosigned either.
            let _ = jobs.send(Job::Keep(origin_hash, Box::new(record))).await;
        }
    }

    /// Whether the last commit failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes has panicked");
        }
    }
}

struct Desk {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    evidence: Evidence,
    metrics: Metrics,
    quotas: Quotas,
    failing: Arc<AtomicBool>,
}

impl Desk {
    fn work(&mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = self.next(&mut jobs) {
            let mut together = vec![job];
            while together.len() < TOGETHER
                && let Ok(job) = jobs.try_recv()
            {
                together.push(job);
            }
            self.commit(together);
        }
    }

    /// The next job; `None` once nobody can send one. While the store fails it is tried without one too: who is told
    /// that the witness is not ready sends none.
    fn next(&self, jobs: &mut mpsc::Receiver<Job>) -> Option<Job> {
        while self.failing.load(Ordering::Relaxed) {
            match jobs.try_recv() {
                Ok(job) => return Some(job),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {
                    std::thread::sleep(AGAIN);
                    self.note_outcome(&self.store.probe());
                }
            }
        }
        jobs.blocking_recv()
    }

    /// Decides all of `jobs` and answers. This process may end after any line:
    ///
    /// | last line done | the log's record | the client | and then |
    /// |---|---|---|---|
    /// | decide | the old one | has no answer | sends the same again, to the same effect |
    /// | commit | the new one | has no answer, and nothing is signed | is told the new size, and asks again from there |
    /// | answer | the new one | has a grant that is signed, or nothing | the same |
    ///
    /// Where the commit fails nobody knows which of the first two it is, so that all are told to come back: those too
    /// that were refused, for what they were compared with may not be there. What a mirror holds is decided here as well.
    fn commit(&mut self, jobs: Vec<Job>) {
        let (requests, started) = (jobs.len(), self.clock.elapsed());
        let store = self.store.clone();
        let committed = store.write(|tables| jobs.into_iter().map(|job| self.work_on(job, tables)).collect());
        self.note_outcome(&committed);
        // Who is dropped here is told that nobody knows.
        let decided: Vec<Decided> = committed.unwrap_or_default();
        if !decided.is_empty() {
            self.metrics.count_commit(requests, self.clock.elapsed().saturating_sub(started));
        }
        decided.into_iter().for_each(|decided| self.tell(decided));
    }

    fn work_on(&mut self, job: Job, tables: &mut Tables<'_>) -> Result<Decided, StoreError> {
        Ok(match job {
            Job::Decide(submission, answer) => {
                let decided = self.decide(&submission, tables)?;
                Decided::Checkpoint(submission, decided, answer)
            }
            Job::Mirror(settled, answer) => Decided::Mirror(self.mirror(*settled, tables)?, answer),
            Job::Hold(origin_hash, head, answer) => {
                tables.hold(origin_hash, head)?;
                Decided::Held(answer)
            }
            Job::Keep(origin_hash, record) => {
                tables.keep(origin_hash, &record)?;
                Decided::Kept
            }
        })
    }

    /// Answers. Who went away asks again.
    fn tell(&self, decided: Decided) {
        match decided {
            Decided::Checkpoint(submission, decided, answer) => {
                self.count(&submission, &decided);
                let _ = answer.send(decided);
            }
            Decided::Mirror(decided, answer) => drop(answer.send(decided)),
            Decided::Held(answer) => drop(answer.send(Ok(()))),
            Decided::Kept => {}
        }
    }

    /// [Atomically](https://c2sp.org/tlog-mirror#processing): not back, and recorded before it is signed.
    fn mirror(
        &self,
        settled: Settled,
        tables: &mut Tables<'_>,
    ) -> Result<Result<MirrorGrant, Refusal>, StoreError> {
        let Settled { origin_hash, checkpoint, note } = settled;
        let record = tables.mirrored(origin_hash)?;
        let (before, head) = (record.as_ref().map(Record::head), checkpoint.head());
        if let Some(before) = before.filter(|before| before.size() > head.size()) {
            return Ok(Err(Refusal::Conflict(before.size())));
        }
        if before.is_some_and(|before| before.size() == head.size() && before != head) {
            tracing::error!(%head, "another tree of this size is mirrored already: nothing is signed");
            return Ok(Err(Refusal::Fork));
        }
        let now = self.clock.unix_time();
        let Some(mut time) = time_of_grant(now, record.as_ref()) else {
            return Ok(Err(Refusal::Unavailable));
        };
        let text = note.unverified_text();
        if let Some(record) = record.as_ref().filter(|record| record.note().unverified_text() == text) {
            // Anybody may ask for the same again: it costs no more than the signatures did, for a while.
            let fresh = now.saturating_sub(record.time()) < SIGNED_AGAIN_AFTER;
            time = if fresh { record.time() } else { time };
        }
        let granted = Record::new(time, head, note.clone());
        if record.as_ref() != Some(&granted) {
            tables.mirror(origin_hash, &granted)?;
        }
        Ok(Ok(MirrorGrant(Grant { origin_hash, checkpoint, note, time })))
    }

    /// Compares with what is recorded, and records. What is recorded is granted once the transaction is committed.
    fn decide(
        &mut self,
        submission: &Submission,
        tables: &mut Tables<'_>,
    ) -> Result<Result<Grant, Refusal>, StoreError> {
        let origin_hash = submission.log().origin_hash();
        let record = tables.latest(origin_hash)?;
        let latest = record.as_ref().map_or_else(TreeHead::empty, Record::head);
        let checkpoint = match submission.check(latest) {
            Ok(checkpoint) => checkpoint.clone(),
            Err(refusal) => {
                self.keep_evidence(submission, record.as_ref(), latest);
                return Ok(Err(refusal));
            }
        };
        let Some(time) = time_of_grant(self.clock.unix_time(), record.as_ref()) else {
            tracing::error!("the clock says 1970: nothing is cosigned at such a time");
            return Ok(Err(Refusal::Unavailable));
        };
        let kind = if submission.is_repeated() { Kind::Repeat } else { Kind::Growth };
        if let Err(retry_after) = self.quotas.take(submission.log(), kind, self.clock.elapsed()) {
            return Ok(Err(Refusal::TooMany { retry_after }));
        }
        let note = submission.note().clone();
        let granted = Record::new(time, checkpoint.head(), note.clone());
        // Who repeats a request within a second finds it recorded.
        if record.as_ref() != Some(&granted) {
            tables.grant(origin_hash, &granted)?;
        }
        Ok(Ok(Grant { origin_hash, checkpoint, note, time }))
    }

    fn keep_evidence(&self, submission: &Submission, record: Option<&Record>, latest: TreeHead) {
        if let Some(case) = submission.shows(latest) {
            self.evidence.keep(case, submission, record, self.clock.unix_time());
        }
    }

    fn count(&self, submission: &Submission, decided: &Result<Grant, Refusal>) {
        let origin = submission.log().origin();
        match decided {
            Ok(grant) => {
                self.metrics.count_of_log(origin, "granted");
                let record = Record::new(grant.time, grant.checkpoint.head(), grant.note.clone());
                self.metrics.set_log(origin, &record);
            }
            Err(refusal) => self.metrics.count_of_log(origin, refusal.outcome()),
        }
    }

    /// Tells when the store begins to fail, and when it works again: not of each time in between.
    fn note_outcome<T>(&self, committed: &Result<T, StoreError>) {
        let failed_before = self.failing.swap(committed.is_err(), Ordering::Relaxed);
        match committed {
            Err(error) if !failed_before => {
                tracing::error!(%error, "the store failed: nothing is cosigned until it works again");
            }
            Ok(_) if failed_before => tracing::info!("the store works again"),
            _ => {}
        }
    }
}

/// The time of a cosignature: now, but not before the last one of the same log, where a clock was set back a little. A
/// cosignature says that no larger tree was known [as of that time], and two whose times are swapped would contradict
/// each other. A clock that was set back far had been wrong before.
///
/// `None` for a clock that was never set: the time [must not be zero].
///
/// [as of that time]: https://c2sp.org/tlog-cosignature#ed25519-signed-message
/// [must not be zero]: https://c2sp.org/tlog-witness#add-checkpoint
fn time_of_grant(now: u64, record: Option<&Record>) -> Option<u64> {
    let last = record.map(Record::time).filter(|&last| last <= now.saturating_add(SMALL_STEP));
    let time = now.max(last.unwrap_or(0));
    let valid = now > 0 && time <= kiln_tiles::MAX_TREE_SIZE;
    valid.then_some(time)
}
