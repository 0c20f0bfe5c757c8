//! An entry on its way into the log.

use bytes::Bytes;
use kiln_tiles::{Hash, MAX_ENTRY_SIZE};

/// The bytes of an entry and their leaf hash: 1 to 65,535 bytes. What they mean is not known here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    bytes: Bytes,
    leaf: Hash,
}

/// Why bytes cannot be logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EntryError {
    /// There are none.
    #[error("an entry has at least one byte")]
    Empty,
    /// There are more than fit.
    #[error("an entry has at most {MAX_ENTRY_SIZE} bytes, not {0}")]
    TooLong(usize),
}

impl Entry {
    /// Takes the bytes and hashes them.
    ///
    /// # Errors
    /// Where there are none or too many.
    pub fn new(bytes: Bytes) -> Result<Self, EntryError> {
        match bytes.len() {
            0 => Err(EntryError::Empty),
            1..=MAX_ENTRY_SIZE => Ok(Self { leaf: Hash::leaf(&bytes), bytes }),
            length => Err(EntryError::TooLong(length)),
        }
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The leaf hash.
    #[must_use]
    pub const fn leaf(&self) -> Hash {
        self.leaf
    }
}
