//! Why an operation on the index failed, and whether the index is to blame.

use std::io::{self, ErrorKind};

/// Why an operation on the index failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("another process has it open")]
    Held,
    #[error("a checksum in it is wrong")]
    Checksum,
    #[error("it says of itself what cannot be")]
    Absurd,
    #[error("it covers {covered} leaves, and the next ones were to be added from {first}")]
    Behind { covered: u64, first: u64 },
}

impl Fault {
    /// Whether what was read is to be thrown away. Everything is damage but what passes by itself or is
    /// no fault of the index: to report, and to try again.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Io(error) => !is_outside(error),
            Self::Held | Self::Behind { .. } => false,
            Self::Checksum | Self::Absurd => true,
        }
    }
}

/// Whether the fault is that of the machine, not of the files.
fn is_outside(error: &io::Error) -> bool {
    // No `ErrorKind` is stable for them; they are the same on every Unix.
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let kinds = [
        ErrorKind::PermissionDenied,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::OutOfMemory,
        ErrorKind::Interrupted,
        ErrorKind::WouldBlock,
        ErrorKind::ResourceBusy,
        ErrorKind::TimedOut,
        ErrorKind::StaleNetworkFileHandle,
    ];
    kinds.contains(&error.kind()) || matches!(error.raw_os_error(), Some(EIO | ENFILE | EMFILE))
}
