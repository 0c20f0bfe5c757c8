//! A page of a run: records in the order of their leaves, and a checksum. Byte by byte:
//!
//! ```text
//! 4080  102 records, each a leaf hash and its index, big-endian; zeros after the last one
//! 8     zeros
//! 8     XXH3 of the bytes before, seeded with the number of the page, little-endian
//! ```

use kiln_tiles::Hash;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::fault::Fault;

/// A leaf of the log and its index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) leaf: Hash,
    pub(super) index: u64,
}

/// As much as a disk reads at once.
pub(super) const PAGE: usize = 4096;

const RECORD: usize = Hash::SIZE + size_of::<u64>();

/// How many records a page holds.
pub(super) const RECORDS: usize = 102;

const CHECKSUM: usize = PAGE - size_of::<u64>();

/// How many pages hold so many records.
pub(super) const fn pages(records: u64) -> u64 {
    records.div_ceil(RECORDS as u64)
}

/// How many of `records` are on the page of this number.
pub(super) fn on_page(number: u64, records: u64) -> usize {
    let left = records.saturating_sub(number * RECORDS as u64);
    usize::try_from(left).unwrap_or(RECORDS).min(RECORDS)
}

/// One page.
#[derive(Clone, Debug)]
pub(super) struct Page([u8; PAGE]);

impl Page {
    pub(super) const fn empty() -> Self {
        Self([0; PAGE])
    }

    pub(super) const fn bytes(&self) -> &[u8; PAGE] {
        &self.0
    }

    /// Where a page is to be read to; [`verify`](Self::verify) says what it is.
    pub(super) const fn bytes_mut(&mut self) -> &mut [u8; PAGE] {
        &mut self.0
    }

    pub(super) fn set(&mut self, position: usize, record: Record) {
        let (leaf, index) = self.0[position * RECORD..][..RECORD].split_at_mut(Hash::SIZE);
        leaf.copy_from_slice(record.leaf.as_bytes());
        index.copy_from_slice(&record.index.to_be_bytes());
    }

    pub(super) fn record(&self, position: usize) -> Record {
        let (leaf, rest) = self.0[position * RECORD..].split_first_chunk().expect("it is on the page");
        let index = rest.first_chunk().expect("it is on the page");
        Record { leaf: Hash::from_bytes(*leaf), index: u64::from_be_bytes(*index) }
    }

    /// The index of `leaf`, if it is one of the first `count` of the page.
    pub(super) fn find(&self, leaf: &Hash, count: usize) -> Option<u64> {
        let (mut first, mut end) = (0, count);
        while first < end {
            let middle = first.midpoint(end);
            let record = self.record(middle);
            match record.leaf.cmp(leaf) {
                std::cmp::Ordering::Less => first = middle + 1,
                std::cmp::Ordering::Equal => return Some(record.index),
                std::cmp::Ordering::Greater => end = middle,
            }
        }
        None
    }

    /// Writes the checksum of a page that is complete.
    pub(super) fn seal(&mut self, number: u64) {
        let checksum = self.checksum(number);
        self.0[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Whether it is the page of this number, as it was written.
    pub(super) fn verify(&self, number: u64) -> Result<(), Fault> {
        if self.0[CHECKSUM..] == self.checksum(number).to_le_bytes() { Ok(()) } else { Err(Fault::Checksum) }
    }

    fn checksum(&self, number: u64) -> u64 {
        xxh3_64_with_seed(&self.0[..CHECKSUM], number)
    }
}
