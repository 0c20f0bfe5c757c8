//! The round: one compare-and-swap is the whole commit.
//!
//! Each state below exists only after its write, so no other order compiles. Recovery enters at
//! [`Committed`], on the same code.

use std::sync::Arc;

use bytes::Bytes;
use kiln_storage::{CreateError, Loaded, Object, Register, Store};
use kiln_tiles::{Hash, SignedCheckpoint, TreeHead};

use crate::alarm::Alarm;
use crate::answers::{Answers, assign};
use crate::dedup::DedupError;
use crate::entry::Entry;
use crate::failed_round::{RoundError, back_off};
use crate::lineage::Lineage;
use crate::log::Log;
use crate::pool::Submission;
use crate::publish::publish;
use crate::record::{HeadRecord, Round};
use crate::tree::Tree;

type Held<S> = <<S as Store>::Head as Register>::Held;

/// The one who may add to a log. It is consumed by each round: one that failed or was cancelled
/// leaves nothing behind that could sign, and only a new load can go on.
pub struct Writer<S: Store, G: Register> {
    log: Arc<Log<S, G>>,
    id: [u8; 16],
    held: Held<S>,
    record: HeadRecord,
    committed: Bytes, // the record, as the head holds it
    tree: Tree,
    published: Arc<SignedCheckpoint>,
}

impl<S: Store, G: Register> Writer<S, G> {
    /// The tree that is committed and published.
    pub fn head(&self) -> TreeHead {
        self.tree.head()
    }

    /// The checkpoint that was published last.
    pub const fn published(&self) -> &Arc<SignedCheckpoint> {
        &self.published
    }

    /// Adds `batch` to the log. This process may end after any line:
    ///
    /// | last line done | the batch is...             | and a load will...                |
    /// |----------------|-----------------------------|-----------------------------------|
    /// | plan           | not in the log              | know nothing of it                |
    /// | commit         | in the log, tiles missing   | apply what head holds, publish it |
    /// | settle: guard, apply, sign | readable, not visible | the same; writes repeat      |
    /// | settle: publish | in the log for all         | the same, to no effect            |
    pub(crate) async fn round(self, batch: Vec<Submission>) -> Result<Self, RoundError> {
        let found = look_up(&self.log, &batch).await?;
        let assigned = assign(batch, &found, self.tree.size(), self.log.dedup.is_on());
        assigned.known.published(&self.published);
        if assigned.fresh.is_empty() {
            return Ok(self); // an empty round writes nothing
        }
        let planned = self.plan(assigned.fresh);
        let committed =
            planned.commit(self.log.store.head(), self.held, &self.committed, assigned.answers).await?;
        committed.settle(&self.log, self.id, &self.published).await
    }

    /// Pure: the tree after these entries, the objects it implies, and the record that commits it.
    fn plan(&self, entries: Vec<Entry>) -> Planned {
        let mut tree = self.tree.clone();
        let objects = tree.append(&entries);
        let time = self.log.environment.0.unix_time().max(self.record.time());
        let record = HeadRecord {
            log: self.log.fingerprint(),
            writer: self.id,
            number: self.record.number + 1,
            base: self.tree.head(),
            head: tree.head(),
            // Earlier rounds leave: this writer has applied and synced them.
            rounds: vec![Round { time, entries }],
        };
        Planned { base: self.tree.clone(), tree, record, objects: vec![objects] }
    }
}

/// Looks the batch up in the dedup index.
async fn look_up<S: Store, G: Register>(
    log: &Log<S, G>,
    batch: &[Submission],
) -> Result<Vec<Option<u64>>, DedupError> {
    let leaves: Vec<Hash> = batch.iter().flat_map(|s| s.entries.iter().map(Entry::leaf)).collect();
    log.index(move |dedup| dedup.look_up(&leaves)).await
}

/// A round that is not in the log.
#[derive(Debug)]
struct Planned {
    base: Tree,
    tree: Tree,
    record: HeadRecord,
    objects: Vec<Vec<Object>>,
}

/// How often a commit whose outcome is unknown is decided and sent again, before a new load has to
/// decide it.
const COMMIT_TRIES: u32 = 4;

impl Planned {
    /// Replaces the head if it is still `before`. The record is built once and sent again unchanged:
    /// "mine" means byte-equal to what was sent. After anything but a clear yes, a conflict
    /// included, only a read decides; until then nothing else happens.
    async fn commit<H: Register>(
        self,
        head: &H,
        mut held: H::Held,
        before: &Bytes,
        answers: Answers,
    ) -> Result<Committed<H>, RoundError> {
        let bytes = self.record.to_bytes();
        let mut last_error = RoundError::Fenced;
        for attempt in 0..COMMIT_TRIES {
            match head.swap(held, bytes.clone()).await {
                Ok(held) => return Ok(self.committed(held, bytes, answers)),
                Err(kiln_storage::SwapError::Storage(error)) => last_error = error.into(),
                Err(_) => {}
            }
            back_off(attempt).await;
            let Loaded { held: again, value } = head.load().await?;
            held = match value {
                Some(value) if value == bytes => return Ok(self.committed(again, bytes, answers)),
                Some(value) if value == *before => again,
                _ => return Err(RoundError::Fenced),
            };
        }
        Err(last_error)
    }

    fn committed<H: Register>(self, held: H::Held, bytes: Bytes, answers: Answers) -> Committed<H> {
        let Self { base, tree, record, objects } = self;
        Committed { held, bytes, record, base, tree, objects, answers }
    }
}

/// Rounds that are in the log for good, and of which some tile may be missing.
pub(crate) struct Committed<H: Register> {
    pub(crate) held: H::Held,
    pub(crate) bytes: Bytes,
    pub(crate) record: HeadRecord,
    pub(crate) base: Tree,
    pub(crate) tree: Tree,
    pub(crate) objects: Vec<Vec<Object>>, // by round, each for that round's own size
    pub(crate) answers: Answers,
}

impl<H: Register> Committed<H> {
    /// Raises the guard and applies the rounds, side by side; then signs and publishes, once, for
    /// the size of the head.
    pub(crate) async fn settle<S: Store<Head = H>, G: Register>(
        self,
        log: &Arc<Log<S, G>>,
        id: [u8; 16],
        newest: &Arc<SignedCheckpoint>,
    ) -> Result<Writer<S, G>, RoundError> {
        let Self { held, bytes, record, base, tree, objects, mut answers } = self;
        let rounds: Vec<&[Entry]> = record.rounds.iter().map(|round| &round.entries[..]).collect();
        let lineage = Lineage { store: &log.store, base: &base, rounds: &rounds, head: record.head };
        let guard = async {
            log.guard.raise(log.fingerprint(), id, &lineage).await?;
            answers.sequenced(newest);
            Ok::<(), RoundError>(())
        };
        let (guarded, applied, indexed) =
            tokio::join!(guard, apply(&log.store, objects), remember(log, &base, &rounds, record.head));
        guarded?;
        applied?;
        indexed?;
        let published = publish(log, &lineage, log.sign(record.head)).await?;
        answers.published(&published);
        Ok(Writer { log: log.clone(), id, held, record, committed: bytes, tree, published })
    }
}

const APPLY_TRIES: u32 = 4;

/// Writes what the rounds imply, oldest first. It is durable afterwards, so that a checkpoint may
/// be written and the rounds may leave the head.
async fn apply(store: &impl Store, rounds: Vec<Vec<Object>>) -> Result<(), RoundError> {
    for objects in rounds {
        let mut attempt = 0;
        while let Err(error) = store.create(objects.clone()).await {
            match error {
                CreateError::Differs(path) => return Err(Alarm::Differs(path).into()),
                CreateError::Storage(error) if attempt == APPLY_TRIES => return Err(error.into()),
                _ => back_off(attempt).await,
            }
            attempt += 1;
        }
    }
    Ok(())
}

/// Adds to the dedup index what it lacks of these rounds.
async fn remember<S: Store, G: Register>(
    log: &Log<S, G>,
    base: &Tree,
    rounds: &[&[Entry]],
    head: TreeHead,
) -> Result<(), DedupError> {
    let base = base.size();
    let leaves: Vec<Hash> = rounds.iter().flat_map(|round| round.iter()).map(Entry::leaf).collect();
    log.index(move |dedup| {
        let known = dedup.covered()?.size().saturating_sub(base);
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(leaves.len());
        dedup.insert(&leaves[known..], head)
    })
    .await
}
