//! The record in the commit register: how large the log is, and the rounds not yet applied.
//!
//! Byte by byte, numbers big-endian:
//!
//! ```text
//! 14  "kiln-head/v1\n\0"; "kiln-frozen/v1" of a log that has ended, which has no rounds below
//! 32  SHA-256 of the log's vkey: whose head this is
//! 16  the writer's id, drawn at each of its starts
//! 8   round number: how many rounds were ever committed
//! 8   base size: the tree before the rounds below   32  its root hash
//! 8   size: the tree after them                     32  its root hash
//! 4   number of rounds, at most 4; then for each
//!     8  time, seconds since the epoch
//!     8  length of what follows
//!     -  its entries, framed as in an entry bundle; at least one
//! ```

use std::sync::Arc;

use bytes::Bytes;
use kiln_tiles::{Hash, TreeHead, split_entries};

use crate::entry::Entry;

const MAGIC: &[u8; 14] = b"kiln-head/v1\n\0";
/// Who does not know it cannot read the head, and so commits nothing to a log that has ended.
const FROZEN_MAGIC: &[u8; 14] = b"kiln-frozen/v1";

/// The most rounds that the head holds.
pub const MAX_ROUNDS: usize = 4;

/// What the commit register holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeadRecord {
    /// SHA-256 of the log's vkey.
    pub log: Hash,
    /// Random, drawn at each start of a writer.
    pub writer: [u8; 16],
    /// How many rounds were ever committed.
    pub number: u64,
    /// The tree before the rounds below, every round of which was applied.
    pub base: TreeHead,
    /// The tree after the rounds below.
    pub head: TreeHead,
    /// The rounds that may not be applied yet, oldest first.
    pub rounds: Vec<Arc<Round>>,
    /// Whether the log has ended: there is no next record. Then there are no rounds.
    pub frozen: bool,
}

/// One round: its time and its entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Round {
    /// Seconds since the epoch; never less than an earlier round's.
    pub time: u64,
    /// At least one.
    pub entries: Vec<Entry>,
}

/// Why bytes are no head record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseHeadError {
    /// They do not start as one.
    #[error("the head is not in the format kiln-head/v1")]
    Magic,
    /// They end early, or go on too long.
    #[error("the head is cut short, or something follows it")]
    Length,
    /// There are more rounds than allowed.
    #[error("the head holds more than {MAX_ROUNDS} rounds")]
    Rounds,
    /// The log has ended, and a round is not applied.
    #[error("the head is that of a log that has ended, and holds rounds")]
    Frozen,
    /// A round has no entry, or one that is cut short or empty.
    #[error("a round of the head is malformed")]
    Entries,
    /// Times go back, or the sizes do not add up.
    #[error("the sizes or times of the head contradict each other")]
    Inconsistent,
}

impl HeadRecord {
    /// The head of a log that was just made.
    #[must_use]
    pub fn new_log(log: Hash, writer: [u8; 16]) -> Self {
        let empty = TreeHead::empty();
        Self { log, writer, number: 0, base: empty, head: empty, rounds: Vec::new(), frozen: false }
    }

    /// Whether these are the bytes of a log that has ended, or what is left of them.
    pub(crate) fn is_frozen(bytes: &[u8]) -> bool {
        bytes.starts_with(FROZEN_MAGIC)
    }

    /// The time of the newest round; 0 where there was none.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.rounds.last().map_or(0, |round| round.time)
    }

    /// The bytes of the record.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(
            200 + self.rounds.iter().map(|round| round.framed_length() + 16).sum::<usize>(),
        );
        bytes.extend_from_slice(if self.frozen { FROZEN_MAGIC } else { MAGIC });
        bytes.extend_from_slice(self.log.as_bytes());
        bytes.extend_from_slice(&self.writer);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        push_tree_head(&mut bytes, self.base);
        push_tree_head(&mut bytes, self.head);
        let rounds = u32::try_from(self.rounds.len()).expect("at most four rounds");
        bytes.extend_from_slice(&rounds.to_be_bytes());
        self.rounds.iter().for_each(|round| round.push_to(&mut bytes));
        bytes.into()
    }

    /// Reads the bytes of a record. Entries share them.
    ///
    /// # Errors
    /// The first thing that is not as the format says.
    pub fn parse(bytes: &Bytes) -> Result<Self, ParseHeadError> {
        let mut rest = Reader { bytes };
        let frozen = match rest.take(MAGIC.len())? {
            magic if magic == MAGIC => false,
            magic if magic == FROZEN_MAGIC => true,
            _ => return Err(ParseHeadError::Magic),
        };
        let (log, writer, number) = (rest.hash()?, rest.array()?, rest.number()?);
        let (base, head) = (rest.tree_head()?, rest.tree_head()?);
        let count = u32::from_be_bytes(rest.array()?) as usize;
        if count > MAX_ROUNDS {
            return Err(ParseHeadError::Rounds);
        }
        if frozen && count > 0 {
            return Err(ParseHeadError::Frozen);
        }
        let rounds = (0..count).map(|_| rest.round(bytes).map(Arc::new)).collect::<Result<_, _>>()?;
        let record = Self { log, writer, number, base, head, rounds, frozen };
        if !rest.bytes.is_empty() {
            return Err(ParseHeadError::Length);
        }
        if record.adds_up() { Ok(record) } else { Err(ParseHeadError::Inconsistent) }
    }

    fn adds_up(&self) -> bool {
        let entries: u64 = self.rounds.iter().map(|round| round.entries.len() as u64).sum();
        let grown = self.base.size().checked_add(entries) == Some(self.head.size());
        let unchanged = entries > 0 || self.base == self.head;
        grown && unchanged && self.rounds.is_sorted_by_key(|round| round.time)
    }
}

impl Round {
    fn framed_length(&self) -> usize {
        self.entries.iter().map(|entry| 2 + entry.bytes().len()).sum()
    }

    fn push_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.time.to_be_bytes());
        bytes.extend_from_slice(&(self.framed_length() as u64).to_be_bytes());
        for entry in &self.entries {
            kiln_tiles::push_entry(bytes, entry.bytes()).expect("an Entry is not too long");
        }
    }
}

fn push_tree_head(bytes: &mut Vec<u8>, head: TreeHead) {
    bytes.extend_from_slice(&head.size().to_be_bytes());
    bytes.extend_from_slice(head.root().as_bytes());
}

/// What is left to read.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ParseHeadError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(ParseHeadError::Length)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseHeadError> {
        self.take(N)?.try_into().map_err(|_| ParseHeadError::Length)
    }

    fn number(&mut self) -> Result<u64, ParseHeadError> {
        self.array().map(u64::from_be_bytes)
    }

    fn hash(&mut self) -> Result<Hash, ParseHeadError> {
        self.array().map(Hash::from_bytes)
    }

    fn tree_head(&mut self) -> Result<TreeHead, ParseHeadError> {
        TreeHead::new(self.number()?, self.hash()?).ok_or(ParseHeadError::Inconsistent)
    }

    fn round(&mut self, whole: &Bytes) -> Result<Round, ParseHeadError> {
        let time = self.number()?;
        let length = usize::try_from(self.number()?).map_err(|_| ParseHeadError::Length)?;
        let framed = self.take(length)?;
        let read = |entry| Entry::new(whole.slice_ref(entry)).map_err(|_| ParseHeadError::Entries);
        let entries =
            split_entries(framed).map(|entry| entry.map_err(|_| ParseHeadError::Entries).and_then(read));
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        if entries.is_empty() { Err(ParseHeadError::Entries) } else { Ok(Round { time, entries }) }
    }
}

#[cfg(test)]
mod tests {
    use kiln_tiles::MAX_TREE_SIZE;

    use super::*;

    fn record() -> HeadRecord {
        let round = |time, entries: &[&'static str]| Round {
            time,
            entries: entries.iter().map(|e| Entry::new(Bytes::from_static(e.as_bytes())).unwrap()).collect(),
        };
        HeadRecord {
            log: Hash::leaf(b"key"),
            writer: [7; 16],
            number: 3,
            base: TreeHead::new(5, Hash::leaf(b"base")).unwrap(),
            head: TreeHead::new(8, Hash::leaf(b"head")).unwrap(),
            rounds: vec![Arc::new(round(10, &["a", "bb"])), Arc::new(round(10, &["ccc"]))],
            frozen: false,
        }
    }

    fn grown(head: TreeHead, by: u64) -> TreeHead {
        TreeHead::new(head.size() + by, head.root()).unwrap()
    }

    #[test]
    fn a_record_reads_what_it_prints() {
        let new = HeadRecord::new_log(Hash::leaf(b"key"), [1; 16]);
        let frozen = HeadRecord { base: record().head, rounds: Vec::new(), frozen: true, ..record() };
        for record in [record(), new, frozen] {
            assert_eq!(HeadRecord::is_frozen(&record.to_bytes()), record.frozen);
            assert_eq!(HeadRecord::parse(&record.to_bytes()), Ok(record));
        }
    }

    #[test]
    fn a_record_that_is_cut_or_goes_on_is_refused() {
        let bytes = record().to_bytes();
        for end in 0..bytes.len() {
            assert!(HeadRecord::parse(&bytes.slice(..end)).is_err(), "cut at {end}");
        }
        let longer = Bytes::from([&bytes[..], b"\0"].concat());
        assert_eq!(HeadRecord::parse(&longer), Err(ParseHeadError::Length));
    }

    #[test]
    fn a_record_that_contradicts_itself_is_refused() {
        let refused = |change: fn(&mut HeadRecord), error| {
            let mut record = record();
            change(&mut record);
            assert_eq!(HeadRecord::parse(&record.to_bytes()), Err(error));
        };
        refused(|r| r.head = grown(r.head, 1), ParseHeadError::Inconsistent);
        refused(|r| r.base = grown(r.base, MAX_TREE_SIZE - 5), ParseHeadError::Inconsistent);
        refused(|r| r.frozen = true, ParseHeadError::Frozen);
        refused(|r| Arc::make_mut(&mut r.rounds[1]).time = 9, ParseHeadError::Inconsistent);
        refused(|r| Arc::make_mut(&mut r.rounds[1]).entries.clear(), ParseHeadError::Entries);
        refused(
            |r| r.rounds.extend(r.rounds.clone().into_iter().chain(r.rounds.clone())),
            ParseHeadError::Rounds,
        );
    }
}
