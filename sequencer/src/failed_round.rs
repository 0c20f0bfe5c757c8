//! Why a round failed, and how long to wait before a part of it is tried again.

use std::time::Duration;

use kiln_storage::StorageError;

use crate::alarm::Alarm;
use crate::dedup::DedupError;
use crate::guard::GuardError;
use crate::read::ReadError;
use crate::signer::SignError;

/// Why a round failed. The writer is gone; load again, unless it is an alarm.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError {
    /// Another writer has committed. Stand by, and load again.
    #[error("another writer of this log has taken over")]
    Fenced,
    /// The log has ended. Nothing is ever committed to it again.
    #[error("the log is frozen: it has ended, and takes no more entries")]
    Frozen,
    /// The store did not do its part.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The guard did not do its part, or knows better.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The log's own tiles could not be read back.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The dedup index failed.
    #[error(transparent)]
    Dedup(#[from] DedupError),
    /// The log's key did not sign. Nothing was published; a load tries it again.
    #[error(transparent)]
    Signer(#[from] SignError),
    /// Too few witnesses cosigned, and nothing may be published without them.
    #[error(
        "too few witnesses cosigned: the quorum of the policy is not met, and nothing is published without it"
    )]
    Unwitnessed,
    /// A witness knows a larger tree of this log. Load again, and see.
    #[error("a witness knows a larger tree of this log")]
    WitnessAhead,
    /// Nothing may be signed or accepted any more.
    #[error(transparent)]
    Alarm(#[from] Alarm),
}

impl RoundError {
    /// All that it may be called in metrics.
    pub(crate) const LABELS: [&'static str; 9] =
        ["fenced", "storage", "alarm", "guard", "read", "dedup", "signer", "unwitnessed", "witness_ahead"];

    /// What it is called in metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::Frozen => "frozen",
            Self::Storage(_) => "storage",
            Self::Guard(GuardError::Alarm(_)) | Self::Alarm(_) => "alarm",
            Self::Guard(_) => "guard",
            Self::Read(_) => "read",
            Self::Dedup(_) => "dedup",
            Self::Signer(_) => "signer",
            Self::Unwitnessed => "unwitnessed",
            Self::WitnessAhead => "witness_ahead",
        }
    }

    /// The alarm, if it is one.
    #[must_use]
    pub const fn alarm(&self) -> Option<&Alarm> {
        match self {
            Self::Alarm(alarm) | Self::Guard(GuardError::Alarm(alarm)) => Some(alarm),
            _ => None,
        }
    }
}

/// Waits before another try: 50 ms, then four times as long each time.
pub(crate) async fn back_off(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(50 << (2 * attempt.min(3)))).await;
}
