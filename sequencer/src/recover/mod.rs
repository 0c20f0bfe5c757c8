//! Bringing a log back whose store lost something: objects, or entries, or all of it.
//!
//! What is lost comes from others who hold it, a mirror, a CDN or a backup, and is verified against a
//! checkpoint that the log's key signed. This module decides what has to be brought back and changes
//! the head; whoever calls it reads the others and fills the store:
//!
//! 1. [`Recovery::begin`] reads the floors, then the head, as a load does;
//! 2. the caller reads the newest checkpoint that the others have, and verifies that it extends
//!    [what is known](Recovery::known), as far as it reaches;
//! 3. [`Recovery::plan`] says which tree the store must have;
//! 4. the caller makes the store have it, every tile and bundle, durably;
//! 5. [`Recovery::finish`] verifies it once more from the store, and replaces the head if it must;
//! 6. a usual load goes on: it raises or makes the guard, and publishes.
//!
//! There is no way to go on with less than somebody knows, and none to go on with a log that has ended: its head
//! stays frozen, and where that is lost the note of its end counts.

mod error;

use bytes::Bytes;
use kiln_storage::{Loaded, PutError, Register, Store};
use kiln_tiles::{OpenCheckpointError, SignedCheckpoint, TreeHead, VerifyNoteError};

use crate::alarm::Voice;
use crate::entry::Entry;
use crate::floors::read_public;
use crate::lineage::Lineage;
use crate::load::LoadError;
use crate::log::Log;
use crate::publish::checkpoint_path;
use crate::read::{self, Tiles};
use crate::record::HeadRecord;
use crate::replace::{at_rest, replace};
pub use error::RecoverError;

/// What has to be done to bring a log back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plan {
    /// The head is as large as anything that is known. The store must have all of this tree, on which
    /// the rounds in the head stand.
    Fill(TreeHead),
    /// The head is lost, or behind. The store must have all of this tree, and the head becomes that of
    /// a log at rest there.
    Replace(TreeHead),
}

impl Plan {
    /// The tree that the store must have before the head may say so.
    #[must_use]
    pub const fn tree(self) -> TreeHead {
        match self {
            Self::Fill(tree) | Self::Replace(tree) => tree,
        }
    }
}

/// A log that is being brought back. While this exists on a folder, nobody else writes there.
pub struct Recovery<'a, S: Store, G: Register> {
    log: &'a Log<S, G>,
    floors: Vec<(Voice, TreeHead)>,
    is_guarded: bool,
    /// Where the checkpoint is damaged: what it is now.
    damaged: Option<S::Version>,
    held: <S::Head as Register>::Held,
    before: Option<Bytes>,
    record: Option<HeadRecord>,
}

impl<'a, S: Store, G: Register> Recovery<'a, S, G> {
    /// Reads who knows what of the log: the floors first, then the head, which may grow in between.
    /// A head or a checkpoint that is missing or damaged is one that knows nothing.
    ///
    /// # Errors
    /// Where it is another log's store, the guard is damaged, a store does not answer, or another
    /// process holds it.
    pub async fn begin(log: &'a Log<S, G>) -> Result<Self, RecoverError> {
        let guards = log.guard.read(log.fingerprint()).await.map_err(LoadError::from)?;
        let public = read_public(log).await;
        let (checkpoint, damaged) = read_checkpoint(log).await?;
        let Loaded { held, value: before } = log.store.head().load().await?;
        let record = before.as_ref().and_then(|bytes| HeadRecord::parse(bytes).ok());
        let (expected, other) = (log.fingerprint(), record.as_ref().map(|record| record.log));
        if let Some(found) = other.filter(|&found| found != expected) {
            return Err(LoadError::OtherLog { expected, found }.into());
        }
        let is_guarded = guards.iter().any(Option::is_some);
        let guards = guards.into_iter().map(|tree| (Voice::Guard, tree));
        let floors = guards.chain([(Voice::Checkpoint, checkpoint), (Voice::Public, public)]);
        let floors = floors.chain([(Voice::End, log.end.as_ref().map(|end| end.head()))]);
        let floors = floors.filter_map(|(voice, tree)| Some((voice, tree?))).collect();
        Ok(Self { log, floors, is_guarded, damaged, held, before, record })
    }

    /// Every tree that is known of the log, and who knows it: the tree that it goes on from must
    /// extend each of them.
    pub fn known(&self) -> impl Iterator<Item = (Voice, TreeHead)> {
        let head = self.record.iter().map(|record| (Voice::Head, record.head));
        self.floors.iter().copied().chain(head)
    }

    /// The tree that the rounds in the head stand on, which is in the store unless it was lost there.
    #[must_use]
    pub fn base(&self) -> Option<TreeHead> {
        self.record.as_ref().map(|record| record.base)
    }

    /// Whether a checkpoint stands in the store that does not verify.
    #[must_use]
    pub const fn is_checkpoint_damaged(&self) -> bool {
        self.damaged.is_some()
    }

    /// What has to be done, where `best` is the largest tree that the others have a checkpoint of,
    /// signed by the log's key. Pure.
    ///
    /// `accept` is the tree that a person vouches for, where the guard is missing.
    ///
    /// # Errors
    /// Where `best` does not reach as far as what is known, or nothing vouches for it.
    pub fn plan(&self, best: TreeHead, accept: Option<TreeHead>) -> Result<Plan, RecoverError> {
        let highest = self.known().max_by_key(|(_, tree)| tree.size());
        let standing = self.record.as_ref().filter(|record| {
            let most = highest.map_or(0, |(_, tree)| tree.size()).max(best.size());
            record.head.size() >= most
        });
        let (plan, target) = match (standing, highest) {
            (Some(HeadRecord { base, .. }), _) if best.size() < base.size() => {
                return Err(RecoverError::Short { base: *base, best });
            }
            (Some(record), _) => (Plan::Fill(record.base), record.head),
            (None, Some((voice, theirs))) if best.size() < theirs.size() => {
                return Err(RecoverError::Unreached { voice, theirs, best });
            }
            (None, _) => (Plan::Replace(best), best),
        };
        self.check_end(target)?;
        self.vouch(target, accept)?;
        Ok(plan)
    }

    /// A log that has ended is brought back at its end.
    fn check_end(&self, target: TreeHead) -> Result<(), RecoverError> {
        let record = self.record.as_ref().filter(|record| record.frozen).map(|record| record.head);
        let ends = record.into_iter().chain(self.log.end.as_ref().map(|end| end.head()));
        match ends.into_iter().find(|end| end.size() < target.size()) {
            Some(end) => Err(RecoverError::WentOn { end, theirs: target }),
            None => Ok(()),
        }
    }

    /// Without a guard only an empty log, or the tree that a person accepts, may go on: the rule of
    /// a load, applied before anything is written.
    fn vouch(&self, target: TreeHead, accept: Option<TreeHead>) -> Result<(), RecoverError> {
        match accept {
            _ if self.is_guarded || target.size() == 0 => Ok(()),
            Some(accepted) if accepted == target => Ok(()),
            Some(accepted) => Err(RecoverError::NotAccepted { accepted, target }),
            None => Err(RecoverError::NoVoice { target }),
        }
    }

    /// Makes the head say what the store has, now that it has all of `plan`'s tree, and of `best`'s
    /// where its own checkpoint is damaged. `best` is the checkpoint that the plan was made for.
    ///
    /// What is verified is read from the store, and every known tree must be a prefix of it. This
    /// process may end after any line:
    ///
    /// | last line done | the log is...                              | and repeating it will...              |
    /// |----------------|--------------------------------------------|---------------------------------------|
    /// | (the filling)  | refused by a load, as before; its tiles are back | find them there, and go on       |
    /// | verify         | the same                                   | the same                              |
    /// | replace        | at rest at the tree that was brought back; any load goes on from there | find the head at or above everything known |
    /// | mend           | the same, and readers see a checkpoint     | the same                              |
    ///
    /// # Errors
    /// [`RecoverError::Fork`] where a known tree is no prefix; else the store failed, or another
    /// process wrote to it.
    pub async fn finish(self, plan: Plan, best: &SignedCheckpoint) -> Result<(), RecoverError> {
        self.verify(plan, best.head()).await?;
        let Self { log, damaged, held, before, record, .. } = self;
        if let Plan::Replace(target) = plan {
            let writer = log.environment.0.random_id();
            let ended = log.end.as_ref().is_some_and(|end| end.head() == target);
            let frozen = ended || before.as_deref().is_some_and(HeadRecord::is_frozen);
            let next = at_rest(log.fingerprint(), writer, record.as_ref(), target, frozen);
            replace(log.store.head(), held, before.as_ref(), &next).await.map_err(LoadError::from)?;
        }
        match damaged {
            Some(version) => mend_checkpoint(log, best, version).await,
            None => Ok(()),
        }
    }

    /// The tree that the log goes on from, with the rounds that stay in its head, extends every tree
    /// that is known.
    async fn verify(&self, plan: Plan, best: TreeHead) -> Result<(), RecoverError> {
        let (tree, store) = (plan.tree(), &self.log.store);
        let (head, rounds): (_, Vec<&[Entry]>) = match (plan, &self.record) {
            (Plan::Fill(_), Some(record)) => {
                (record.head, record.rounds.iter().map(|round| &round.entries[..]).collect())
            }
            _ => (tree, Vec::new()),
        };
        let base = read::load_tree(Tiles::new(store, head), tree).await?;
        let lineage = Lineage { store, base: &base, rounds: &rounds, head };
        for (voice, theirs) in self.known().chain([(Voice::Source, best)]) {
            if !lineage.extends(theirs).await? {
                return Err(RecoverError::Fork { voice, theirs, ours: head });
            }
        }
        Ok(())
    }
}

impl<S: Store, G: Register> std::fmt::Debug for Recovery<'_, S, G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known: Vec<_> = self.known().collect();
        f.debug_struct("Recovery").field("known", &known).finish_non_exhaustive()
    }
}

/// The tree of the published checkpoint, or the version of one that is damaged.
async fn read_checkpoint<S: Store, G: Register>(
    log: &Log<S, G>,
) -> Result<(Option<TreeHead>, Option<S::Version>), RecoverError> {
    let Some((body, version)) = log.store.read_version(&checkpoint_path()).await? else {
        return Ok((None, None));
    };
    match log.trusted().open(&body) {
        Ok(checkpoint) => Ok((Some(checkpoint.head()), None)),
        Err(error) if is_other_log(&error) => Err(RecoverError::OtherCheckpoint(error)),
        Err(_) => Ok((None, Some(version))),
    }
}

/// Whether a checkpoint is whole, and somebody else's.
const fn is_other_log(error: &OpenCheckpointError) -> bool {
    matches!(
        error,
        OpenCheckpointError::Origin { .. } | OpenCheckpointError::Signature(VerifyNoteError::UnknownKeys)
    )
}

/// Puts a checkpoint that the log signed in the place of a damaged one, which would stop a load.
async fn mend_checkpoint<S: Store, G: Register>(
    log: &Log<S, G>,
    signed: &SignedCheckpoint,
    damaged: S::Version,
) -> Result<(), RecoverError> {
    let body = Bytes::from(signed.note().to_string());
    match log.store.put(&checkpoint_path(), body, Some(damaged)).await {
        Ok(_) => Ok(()),
        Err(PutError::Conflict) => Err(RecoverError::Contended),
        Err(PutError::Storage(error)) => Err(error.into()),
    }
}
