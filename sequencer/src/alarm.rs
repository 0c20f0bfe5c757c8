//! Alarms: what must never be, and after which a log neither signs nor accepts.

use kiln_storage::ObjectPath;
use kiln_tiles::TreeHead;

/// Who remembers another tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Voice {
    /// The guard, outside of the store.
    Guard,
    /// The checkpoint that was published.
    Checkpoint,
    /// The checkpoint that readers see elsewhere, at the log's public URL.
    Public,
    /// A tree that a witness cosigned, and shows.
    Witness,
    /// The log's own note of its end.
    End,
    /// The head, in the store.
    Head,
    /// A checkpoint that somebody else holds, whom a log is brought back from.
    Source,
}

impl std::fmt::Display for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Guard => "the guard",
            Self::Checkpoint => "the published checkpoint",
            Self::Public => "the checkpoint at the public URL",
            Self::Witness => "a witness",
            Self::End => "the note of the log's end",
            Self::Head => "the head",
            Self::Source => "the log to recover from",
        })
    }
}

/// The log is not what it was. A log with an alarm goes on serving reads, and does nothing else.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Alarm {
    /// The tree in the store does not extend a tree that was committed or published.
    #[error(
        "{voice} knows tree size {} with root {}, which the store's tree of size {} with root {} does not extend: \
         the store went back in time, or is a fork. Bring back what was lost (a mirror or a backup at size {} or above); nothing is signed until then",
        theirs.size(), theirs.root().to_hex(), ours.size(), ours.root().to_hex(), theirs.size()
    )]
    Fork {
        /// Who knows otherwise.
        voice: Voice,
        /// The tree it knows.
        theirs: TreeHead,
        /// The tree in the store.
        ours: TreeHead,
    },
    /// A witness cosigned a larger tree of this log.
    #[error(
        "the witness {witness} cosigned a tree of size {theirs} of this log, and the store's has size {} with root {}: the store went back in \
         time, or is a fork. Bring back what was lost (a mirror or a backup at size {theirs} or above); nothing is signed until then",
        ours.size(), ours.root().to_hex()
    )]
    Witness {
        /// What the policy calls it.
        witness: String,
        /// The size that it knows.
        theirs: u64,
        /// The tree in the store.
        ours: TreeHead,
    },
    /// The log's key signed that it had ended, and it went on.
    #[error(
        "the log's key signed that it ended at tree size {} with root {}, and the store's tree has size {} with root {}: a copy that did not \
         know went on. Nothing is signed until somebody has looked",
        end.size(), end.root().to_hex(), ours.size(), ours.root().to_hex()
    )]
    WentOn {
        /// Where it ended.
        end: TreeHead,
        /// The tree in the store.
        ours: TreeHead,
    },
    /// An immutable object exists with other bytes.
    #[error("{0} exists in the store with other bytes: two different logs were written here")]
    Differs(ObjectPath),
    /// The published checkpoint is not this log's, or was damaged.
    #[error(
        "the checkpoint in the store does not verify ({0}): it was damaged, or is another log's. Put the right one back, or remove it and it is signed anew from the head"
    )]
    Checkpoint(kiln_tiles::OpenCheckpointError),
}
