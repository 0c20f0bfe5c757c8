//! Pulling: the mirror reads a log itself, for one that pushes to nobody.
//!
//! A pull is its own client of the mirror: the checkpoint that it reads becomes pending as one that was sent, with the
//! consistency proof that the log's tiles give, and ends in the same `finish`. In between the client crate copies and
//! verifies, and goes on where an earlier copy broke off.

use std::sync::Arc;

use kiln_client::{BadLog, Client, ClientError, CopyError, Existing, Freshness, Source, Update};
use kiln_tiles::{AddCheckpoint, Note, Proof, SignedCheckpoint, TreeHead};

use tokio::sync::Semaphore;

use super::copy::LogCopyError;
use super::{FolderCopy, Mirror};
use crate::evidence::Case;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::store::StoreError;
use crate::submission::Submission;

/// After how many seconds the same tree is cosigned anew, so that monitors see that the mirror lives.
const COSIGNED_AGAIN_AFTER: u64 = 3_600;

/// So many more logs are looked at than are copied at once.
const LOOKS: usize = 16;

/// What a pull did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Pulled {
    /// More of the log is mirrored.
    Grown {
        /// What was mirrored before.
        from: u64,
        /// What is mirrored now.
        head: TreeHead,
    },
    /// There was nothing new.
    Same(TreeHead),
    /// The log shows a smaller tree than it did, which is part of the larger one: an old answer of a cache, or a log that
    /// went back. What is mirrored stays.
    Behind {
        /// What it shows.
        served: TreeHead,
        /// What it signed before.
        known: TreeHead,
    },
}

/// Turns of pulls that go on side by side. One that waits to copy holds up no look at another log.
#[derive(Debug)]
pub struct PullTurns {
    looks: Semaphore,
    copies: Semaphore,
}

impl PullTurns {
    /// So many logs are copied at once, and more are looked at.
    #[must_use]
    pub fn new(copies: usize) -> Self {
        let copies = copies.clamp(1, Semaphore::MAX_PERMITS - LOOKS);
        Self { looks: Semaphore::new(copies + LOOKS), copies: Semaphore::new(copies) }
    }
}

/// Why a log was not pulled. What is mirrored stays as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The log cannot be read, or is bad: [`is_bad_log`](Self::is_bad_log) tells which.
    #[error(transparent)]
    Log(#[from] ClientError),
    /// The log signed two trees, neither of which extends the other. Both are kept as evidence.
    #[error("the log is forked: it signed {known} before, and {served} does not go with that")]
    Forked {
        /// What it signed before.
        known: TreeHead,
        /// What it shows now.
        served: TreeHead,
    },
    /// No list names the log, or the operator disabled it.
    #[error("no log of this origin is mirrored here")]
    Unknown,
    /// The checkpoint was not made pending, or not mirrored: another upload was faster, or the mirror fails.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It could not be copied.
    #[error(transparent)]
    Copy(CopyError),
    /// The copy cannot be read or written.
    #[error(transparent)]
    Own(#[from] LogCopyError),
    /// The state of the mirror cannot be read.
    #[error(transparent)]
    State(#[from] StoreError),
}

impl PullError {
    /// Whether the log, or what is served in its name, is bad. Otherwise nothing is said about it.
    #[must_use]
    pub const fn is_bad_log(&self) -> bool {
        match self {
            Self::Log(error) => error.is_bad_log(),
            Self::Copy(CopyError::Source(error)) => error.is_bad_log(),
            Self::Forked { .. } => true,
            _ => false,
        }
    }

    const fn outcome(&self) -> &'static str {
        match self {
            Self::Forked { .. } => "forked",
            _ if self.is_bad_log() => "bad_log",
            Self::Log(_) | Self::Copy(CopyError::Source(_)) => "unreadable",
            Self::Unknown => "unknown",
            Self::Refused(_) => "refused",
            _ => "undone",
        }
    }
}

impl From<CopyError> for PullError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Source(error) => Self::Log(error),
            error => Self::Copy(error),
        }
    }
}

impl Pulled {
    const fn outcome(&self) -> &'static str {
        match self {
            Self::Grown { .. } => "grown",
            Self::Same(_) => "same",
            Self::Behind { .. } => "behind",
        }
    }
}

impl Mirror {
    /// Looks whether a log has grown, copies what is new, and mirrors it. Interrupted anywhere, the next call goes on.
    /// Call it for one log once at a time. `progress` is told how many entries are copied, of how many.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn pull<S: Source + 'static>(
        &self,
        client: &Client<S>,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Pulled, PullError> {
        self.pull_in_turn(client, &PullTurns::new(1), progress).await
    }

    /// The same, in turn with the pulls of other logs.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn pull_in_turn<S: Source + 'static>(
        &self,
        client: &Client<S>,
        turns: &PullTurns,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Pulled, PullError> {
        let pulled = self.try_pull(client, turns, progress).await;
        let outcome = pulled.as_ref().map_or_else(PullError::outcome, Pulled::outcome);
        let well = matches!(pulled, Ok(Pulled::Grown { .. } | Pulled::Same(_)));
        let time = well.then(|| self.0.clock.unix_time());
        self.0.mirror_metrics.count_pull(client.log().origin(), outcome, time);
        pulled
    }

    /// The order is that of a push: what is pending is durable before entries are copied, entries before the mirror
    /// checkpoint moves, and that before it is signed.
    async fn try_pull<S: Source + 'static>(
        &self,
        client: &Client<S>,
        turns: &PullTurns,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Pulled, PullError> {
        let looking = turns.looks.acquire().await;
        let origin_hash = self.origin_hash_of(client)?;
        let copy = self.copy(origin_hash).await?;
        let latest = self.latest(origin_hash).await?;
        let known = latest.as_ref().map_or_else(TreeHead::empty, Record::head);
        let Update { checkpoint: served, freshness, .. } = match client.update().await {
            // The log has not the tiles any more that would show whether it only went back. The copy has.
            Err(ClientError::BadLog(BadLog::Rollback(shown)))
                if shown.served.head().size() < known.size() =>
            {
                return self.behind(&copy, &shown.served, known).await;
            }
            updated => self.kept_against(updated).await?,
        };
        if let Freshness::Stale { served: shown } = freshness {
            // This process saw more of it before, and the client has seen that this is part of that.
            return Ok(Pulled::Behind { served: shown, known: served.head() });
        }
        if served.head().size() < known.size() {
            return self.behind(&copy, &served, known).await;
        }
        let mirrored = self.mirrored(origin_hash).await?;
        if let Some(mirrored) = mirrored.as_ref().filter(|mirrored| mirrored.head() == served.head()) {
            if self.0.clock.unix_time().saturating_sub(mirrored.time()) >= COSIGNED_AGAIN_AFTER {
                self.finish(&copy, mirrored).await?;
            }
            return Ok(Pulled::Same(served.head()));
        }
        let pending = self.pend_pulled(client, latest.as_ref(), &served).await?;
        drop(looking);
        {
            let _copying = turns.copies.acquire().await;
            self.fill(client, &copy, pending.head(), progress).await?;
        }
        self.finish(&copy, &pending).await?;
        let from = mirrored.map_or(0, |mirrored| mirrored.head().size());
        Ok(Pulled::Grown { from, head: pending.head() })
    }

    fn origin_hash_of<S>(&self, client: &Client<S>) -> Result<kiln_tiles::Hash, PullError> {
        let logs = self.0.logs.now();
        logs.get(client.log().origin()).map(|log| log.origin_hash()).ok_or(PullError::Unknown)
    }

    /// What the log shows now. A checkpoint that does not go with what this process saw before is kept as evidence.
    async fn kept_against(&self, updated: Result<Update, ClientError>) -> Result<Update, ClientError> {
        if let Err(ClientError::BadLog(BadLog::Fork(shown) | BadLog::Rollback(shown))) = &updated {
            self.keep_evidence(&shown.served).await;
        }
        updated
    }

    /// Makes the checkpoint pending, with the proof that the log itself gives.
    async fn pend_pulled<S: Source + 'static>(
        &self,
        client: &Client<S>,
        latest: Option<&Record>,
        served: &SignedCheckpoint,
    ) -> Result<Record, PullError> {
        let known = latest.map_or_else(TreeHead::empty, Record::head);
        if let Some(latest) = latest.filter(|latest| latest.head() == served.head()) {
            return Ok(latest.clone()); // an earlier pull broke off
        }
        let (proof, checkpoint) = match client.consistency(known).await {
            Ok(proved) => proved,
            Err(ClientError::BadLog(BadLog::Inconsistent { .. })) => {
                self.keep_evidence(served).await;
                return Err(PullError::Forked { known, served: served.head() });
            }
            Err(error) => return Err(error.into()),
        };
        let submission = self.submission(known.size(), proof, checkpoint.note())?;
        Ok(self.pend(submission).await?)
    }

    fn submission(&self, old: u64, proof: Proof, note: &Note) -> Result<Submission, Refusal> {
        let request = AddCheckpoint { old, proof, checkpoint: note.clone() };
        Submission::open(request.to_string().as_bytes(), &self.0.logs.now())
    }

    /// Copies what of a tree is not held yet, and holds it.
    async fn fill<S: Source + 'static>(
        &self,
        client: &Client<S>,
        copy: &Arc<FolderCopy>,
        head: TreeHead,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<(), PullError> {
        let held = copy.held().await;
        if held.size() < head.size() {
            let copied = client.copy_into(copy.store(), head, Existing::Keep(held), |now| {
                progress(now.done, now.total);
            });
            copied.await?;
            copy.adopt(head, &self.0.writer).await?;
        }
        Ok(())
    }

    /// A tree that is smaller than the one that is pending: what is held says whether it is part of that.
    async fn behind(
        &self,
        copy: &FolderCopy,
        served: &SignedCheckpoint,
        known: TreeHead,
    ) -> Result<Pulled, PullError> {
        let held = copy.root_at(served.head().size()).await?;
        if held.is_some_and(|held| held != served.head().root()) {
            self.keep_evidence(served).await;
            return Err(PullError::Forked { known, served: served.head() });
        }
        Ok(Pulled::Behind { served: served.head(), known })
    }

    /// Keeps a checkpoint that the log signed beside the one that it does not go with.
    async fn keep_evidence(&self, served: &SignedCheckpoint) {
        let Ok(submission) = self.submission(0, Proof::default(), served.note()) else { return };
        let Ok(recorded) = self.latest(submission.log().origin_hash()).await else { return };
        let same_size = recorded.as_ref().is_some_and(|known| known.head().size() == served.head().size());
        let case = if same_size { Case::Fork } else { Case::Rewrite };
        self.0.evidence.keep(case, &submission, recorded.as_ref(), self.0.clock.unix_time());
    }
}
