//! Why a log is not brought back, by what the caller can do about it.

use kiln_storage::StorageError;
use kiln_tiles::{OpenCheckpointError, TreeHead};

use crate::alarm::Voice;
use crate::load::LoadError;
use crate::read::ReadError;

/// Why a log is not brought back. Nothing was signed, and the head is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Somebody knows a larger tree than any of the others has. Find one that has it.
    #[error(
        "{voice} knows tree size {} with root {}, and the most that is there to recover from has size {}: \
         entries {} and above would be lost. Find a mirror, a CDN or a backup that has them; \
         where nobody has, this log has ended and only a new one remains",
        theirs.size(), theirs.root().to_hex(), best.size(), best.size()
    )]
    Unreached {
        /// Who knows it.
        voice: Voice,
        /// The tree that it knows.
        theirs: TreeHead,
        /// The largest tree that there is to recover from.
        best: TreeHead,
    },
    /// The head is sound, and its tiles and bundles are to be verified up to a size that none of the
    /// others has. Find a newer one.
    #[error(
        "the head is sound, and stands on the tiles of tree size {}, while the most that is there to recover from \
         has size {}: find a mirror, a CDN or a backup that is newer",
        base.size(), best.size()
    )]
    Short {
        /// The tree whose tiles and bundles must be there.
        base: TreeHead,
        /// The largest tree that there is to recover from.
        best: TreeHead,
    },
    /// The log's key signed, or the log committed, two trees, neither of which extends the other.
    #[error(
        "the log is forked: {voice} knows tree size {} with root {}, and the tree of size {} with root {} is no extension of it. \
         Nothing was changed: no tree can go on from both",
        theirs.size(), theirs.root().to_hex(), ours.size(), ours.root().to_hex()
    )]
    Fork {
        /// Who knows otherwise.
        voice: Voice,
        /// The tree that it knows.
        theirs: TreeHead,
        /// The tree that was to be brought back.
        ours: TreeHead,
    },
    /// The log has ended, and somebody knows of more: no tree can go on from both.
    #[error(
        "the log has ended at {end}, and there is a tree of it with size {} and root {}: somebody went on with a copy. Nothing was changed",
        theirs.size(), theirs.root().to_hex()
    )]
    WentOn {
        /// Where it ended.
        end: TreeHead,
        /// A larger tree.
        theirs: TreeHead,
    },
    /// The guard is missing, so that nothing outside of the store says what was committed.
    #[error(
        "the guard is missing, so that nothing outside of the store says what was committed. \
         If you know that no larger tree was ever signed, accept this one with --accept-head {target}"
    )]
    NoVoice {
        /// The tree that the log would go on from.
        target: TreeHead,
    },
    /// The log would go on from another tree than the one that was to be accepted.
    #[error("the log would go on from {target}, not from {accepted}, which --accept-head names")]
    NotAccepted {
        /// What was to be accepted.
        accepted: TreeHead,
        /// What it would go on from.
        target: TreeHead,
    },
    /// The checkpoint in the store is signed by another key: it is another log's store.
    #[error("the checkpoint in the store is another log's: {0}. If it is only damaged, remove it")]
    OtherCheckpoint(OpenCheckpointError),
    /// Somebody else published while this log was brought back. Repeat it.
    #[error("the checkpoint in the store changed: another process writes this log")]
    Contended,
    /// As in a load: another log's store, a damaged guard, a store that does not answer.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl RecoverError {
    /// Whether the log itself is bad, as opposed to a store that does not answer now or a wrong call.
    #[must_use]
    pub const fn is_bad_log(&self) -> bool {
        match self {
            Self::Load(error) => error.is_bad_log(),
            Self::NotAccepted { .. } | Self::Contended | Self::Short { .. } => false,
            _ => true,
        }
    }
}

impl From<StorageError> for RecoverError {
    fn from(error: StorageError) -> Self {
        Self::Load(error.into())
    }
}

impl From<ReadError> for RecoverError {
    fn from(error: ReadError) -> Self {
        Self::Load(error.into())
    }
}
