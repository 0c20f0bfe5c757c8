//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

use kiln_tiles::{
    EdgeError, Hash, HashTileError, OpenCheckpointError, ParseBundleError, QuorumNotMet, SignedCheckpoint,
    TreeHead,
};

use crate::signers::OtherKeys;
use crate::source::SourceError;

/// Why a [`Client`](crate::Client) could not answer.
///
/// [`is_bad_log`](Self::is_bad_log) tells a log that is at fault from everything else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// What was read is not what the log signed, or the log contradicts itself. Do not retry: keep
    /// the error and show it to somebody.
    #[error(transparent)]
    BadLog(#[from] BadLog),
    /// A resource could not be read. Nothing is said about the log.
    #[error("{path}: {error}")]
    Source {
        /// The resource.
        path: String,
        /// Why, and whether to try again.
        #[source]
        error: SourceError,
    },
    /// There is no checkpoint: no log here, or one that was never started.
    #[error("there is no checkpoint here: is this the log's address?")]
    NoCheckpoint,
    /// There is no entry at that index, after a look at the newest checkpoint.
    #[error("there is no entry {index}: {}", indices(*size))]
    NoEntry {
        /// The index that was asked for.
        index: u64,
        /// The size of the newest tree.
        size: u64,
    },
    /// The entry at an index is another than the one that somebody said: the log, if it was the log
    /// that said so.
    #[error("entry {index} of the log is another one")]
    OtherEntry {
        /// The first index at which the log has another entry.
        index: u64,
    },
    /// The tree does not reach that far, after a look at the newest checkpoint.
    #[error("the log has {size} entries, so it does not reach a size of {wanted}")]
    Beyond {
        /// The tree size that was asked for.
        wanted: u64,
        /// The size of the newest tree.
        size: u64,
    },
    /// The cache folder could not remember the newest checkpoint, which is what a rollback would be
    /// recognized by.
    #[error("the cache {}: {error}", path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The checkpoint that an earlier run left in the cache folder is not one of this log: somebody
    /// changed the file. Look who, then remove it to start without a memory.
    #[error("the checkpoint remembered in {} is none of this log: {error}", path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        #[source]
        error: OpenCheckpointError,
    },
}

/// How a log, or what is served in its name, is bad.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadLog {
    /// `checkpoint` is none that the log signed, or too few witnesses have cosigned it.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] OpenCheckpointError),
    /// `checkpoint` is signed, but by nobody who is known: this is another log, or the key is.
    #[error("checkpoint: {0}")]
    OtherKeys(#[from] OtherKeys),
    /// A resource that the checkpoint implies is not there.
    #[error("{path} is missing")]
    Missing {
        /// The resource.
        path: String,
    },
    /// A resource is not what the checkpoint commits to.
    #[error("{path}: {fault}")]
    Damaged {
        /// The resource.
        path: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The partial tiles do not hash to the root hash of the checkpoint.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The log signed two trees, neither of which extends the other.
    #[error("the log is forked: {0}")]
    Fork(Box<Evidence>),
    /// The log serves an older tree than it did, and cannot show the newer one any more (or the
    /// client was told to [refuse](crate::ClientBuilder::refuse_rollback) any older tree).
    #[error("the log went back: {0}")]
    Rollback(Box<Evidence>),
    /// The log's tree does not extend the tree that the caller named.
    #[error("the tree of {} does not extend the tree of {}", head, earlier)]
    Inconsistent {
        /// The tree of the caller.
        earlier: TreeHead,
        /// The tree of the log.
        head: TreeHead,
    },
}

/// Two checkpoints, both signed by the log, that do not go together. Keep both
/// [notes](SignedCheckpoint::note): they show anybody what the log did.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it signed {} before and now serves {}", known.head(), served.head())]
pub struct Evidence {
    /// The newest checkpoint seen before.
    pub known: SignedCheckpoint,
    /// The checkpoint that was served now.
    pub served: SignedCheckpoint,
}

/// What is wrong with a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is longer than a resource of its name can be.
    #[error("it is longer than the {0} bytes that it may have")]
    TooLong(usize),
    /// A tile of the wrong length.
    #[error("it is {} bytes long instead of {}", .0.length, usize::from(.0.coord.width()) * Hash::SIZE)]
    Tile(#[from] HashTileError),
    /// A bundle that is cut short, or has too few or too many entries.
    #[error("{0}")]
    Bundle(#[from] ParseBundleError),
    /// It does not hash to what the checkpoint commits to.
    #[error("it does not hash to what the checkpoint commits to")]
    Hash,
    /// The entry with this index is not the one in the tree.
    #[error("entry {0} does not hash to what the checkpoint commits to")]
    Entry(u64),
}

/// Which indices a log of this size has.
fn indices(size: u64) -> String {
    match size {
        0 => "the log has no entries yet".to_owned(),
        1 => "the log has 1 entry, number 0".to_owned(),
        size => format!("the log has {size} entries, 0 to {}", size - 1),
    }
}

impl ClientError {
    /// Whether the log, or what is served in its name, is bad. Otherwise nothing is said about it.
    #[must_use]
    pub const fn is_bad_log(&self) -> bool {
        matches!(self, Self::BadLog(_))
    }

    /// Whether the same call may succeed later, without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Source { error, .. } if error.is_retryable()) || self.lacks_cosignatures()
    }

    /// Whether the log signed the checkpoint, and too few witnesses have cosigned it. That counts as a
    /// [bad log](Self::is_bad_log), since it is what somebody sees who is shown another tree than everybody else. It
    /// is [retryable](Self::is_retryable) as well: some logs publish before the witnesses have come.
    #[must_use]
    pub const fn lacks_cosignatures(&self) -> bool {
        use OpenCheckpointError::Quorum;
        matches!(self, Self::BadLog(BadLog::Checkpoint(Quorum(QuorumNotMet::TooFew { .. }))))
    }

    /// The error of reading `path`. A resource that is too long is no fault of the network.
    pub(crate) fn reading(path: String, error: SourceError) -> Self {
        match error {
            SourceError::TooLong { limit } => Self::damaged(path, Fault::TooLong(limit)),
            error => Self::Source { path, error },
        }
    }

    pub(crate) fn damaged(path: String, fault: impl Into<Fault>) -> Self {
        Self::BadLog(BadLog::Damaged { path, fault: fault.into() })
    }
}
