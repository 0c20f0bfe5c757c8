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

const fn check(bytes: &Bytes) -> Result<(), EntryError> {
    match bytes.len() {
        0 => Err(EntryError::Empty),
        1..=MAX_ENTRY_SIZE => Ok(()),
        length => Err(EntryError::TooLong(length)),
    }
}

impl Entry {
    /// Takes the bytes and hashes them.
    ///
    /// # Errors
    /// Where there are none or too many.
    pub fn new(bytes: Bytes) -> Result<Self, EntryError> {
        check(&bytes)?;
        Ok(Self { leaf: Hash::leaf(&bytes), bytes })
    }

    /// Takes the bytes of many entries and hashes them side by side.
    ///
    /// # Errors
    /// The number of the first that has no bytes or too many.
    pub fn batch(entries: Vec<Bytes>) -> Result<Vec<Self>, (usize, EntryError)> {
        for (number, bytes) in entries.iter().enumerate() {
            check(bytes).map_err(|error| (number, error))?;
        }
        let leaves = Hash::leaves(entries.iter().map(Bytes::as_ref));
        Ok(entries.into_iter().zip(leaves).map(|(bytes, leaf)| Self { bytes, leaf }).collect())
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
