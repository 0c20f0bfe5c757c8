//! What can go wrong with a store, by what the caller must do about it.

use std::error::Error;
use std::fmt::Display;
use std::io;

use crate::path::ObjectPath;

/// A store could not do what was asked. Of a write nobody knows whether it happened.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object}: {}", self.reason())]
pub struct StorageError {
    kind: StorageErrorKind,
    operation: &'static str,
    object: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What the caller of a store should do about an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// Try again: a time-out, a broken connection, an I/O error.
    Transient,
    /// Try again later, and tell the operator: no space or quota is left.
    Full,
    /// Tell the operator: permissions or credentials are missing.
    Denied,
    /// Refuse the object: it is longer than anything that Kiln writes.
    TooLarge,
    /// Stand by: another process holds the store.
    Held,
}

impl StorageError {
    /// An error of this kind, in `operation` on `object`.
    #[must_use]
    pub fn new(
        kind: StorageErrorKind,
        operation: &'static str,
        object: &dyn Display,
        source: Option<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, operation, object: object.to_string(), source }
    }

    pub(crate) fn io(operation: &'static str, object: &dyn Display, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageErrorKind::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StorageErrorKind::Denied,
            io::ErrorKind::FileTooLarge => StorageErrorKind::TooLarge,
            io::ErrorKind::WouldBlock => StorageErrorKind::Held,
            _ => StorageErrorKind::Transient,
        };
        Self::new(kind, operation, object, Some(error.into()))
    }

    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> StorageErrorKind {
        self.kind
    }

    fn reason(&self) -> String {
        match (&self.source, self.kind) {
            (Some(source), _) => source.to_string(),
            (None, StorageErrorKind::Transient) => "failed".into(),
            (None, StorageErrorKind::Full) => "no space is left".into(),
            (None, StorageErrorKind::Denied) => "permission denied".into(),
            (None, StorageErrorKind::TooLarge) => "too long".into(),
            (None, StorageErrorKind::Held) => "held by another process".into(),
        }
    }
}

/// Why immutable objects were not all created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// An object of this name exists with other bytes. On a store that never tears a write this is
    /// an alarm: two different logs were written here.
    #[error("{0} exists with other bytes: two different logs were written to this store")]
    Differs(ObjectPath),
    /// Some may exist now. Repeat the same call: it is safe.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a mutable object was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// It changed since it was read. Read it again.
    #[error("the object changed since it was read")]
    Conflict,
    /// It may have been replaced. Read it again.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why nobody knows what a register holds now. Only a new load tells.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// Another writer swapped first, or an earlier try of one's own arrived late.
    #[error("the register changed since it was loaded")]
    Conflict,
    /// The answer was lost, or the write failed on its way.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
