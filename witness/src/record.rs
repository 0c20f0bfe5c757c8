//! What is kept of a log: a checkpoint, and the time of what was said of it.

use kiln_tiles::{Checkpoint, Note, TreeHead};

/// How many bytes the time has that stands before the note.
const TIME_SIZE: usize = 8;

/// A checkpoint in the store: the note, and the time in seconds since 1970 of the cosignature that was granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    time: u64,
    head: TreeHead,
    note: Note,
}

impl Record {
    /// The record of a note, which is a checkpoint of this head.
    pub(crate) const fn new(time: u64, head: TreeHead, note: Note) -> Self {
        Self { time, head, note }
    }

    /// Tree size and root hash.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }

    /// The time of the cosignature, in seconds since 1970.
    #[must_use]
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// The checkpoint with its signatures.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Whether this one is to stand in place of `other`: it is of a larger tree, or says later that the tree is the
    /// largest.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        (self.head.size(), self.time) >= (other.head.size(), other.time)
    }

    /// As it is stored: time, big-endian, and note.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&self.time.to_be_bytes(), self.note.to_string().as_bytes()].concat()
    }

    /// `None` for what [`to_bytes`](Self::to_bytes) never wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, note) = bytes.split_first_chunk::<TIME_SIZE>()?;
        let note = Note::parse(note).ok()?;
        let checkpoint: Checkpoint = note.unverified_text().parse().ok()?;
        Some(Self { time: u64::from_be_bytes(*time), head: checkpoint.head(), note })
    }
}

#[cfg(test)]
mod tests {
    use kiln_tiles::{Hash, SigningKey};

    use super::*;

    pub(crate) fn record(size: u64, time: u64) -> Record {
        let head = if size == 0 { TreeHead::empty() } else { TreeHead::new(size, Hash::leaf(b"x")).unwrap() };
        let log = SigningKey::from_seed("example.com/log".parse().unwrap(), [7; 32]);
        let note = log.sign(Checkpoint::new("example.com/log", head).unwrap().to_string()).unwrap();
        Record::new(time, head, note)
    }

    #[test]
    fn a_record_reads_what_it_wrote() {
        for record in [record(0, 1), record(12, u64::MAX)] {
            assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record));
        }
        for bad in [&b""[..], b"1234567", b"12345678", b"12345678no note"] {
            assert_eq!(Record::from_bytes(bad), None);
        }
    }

    #[test]
    fn no_record_gives_way_to_one_of_a_smaller_tree_or_an_earlier_time() {
        let record = record(12, 100);
        for (size, time, supersedes) in
            [(12, 100, true), (12, 101, true), (12, 99, false), (13, 1, true), (11, 200, false)]
        {
            assert_eq!(self::record(size, time).supersedes(&record), supersedes, "{size} at {time}");
        }
    }
}
