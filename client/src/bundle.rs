//! Entries that were verified, as slices of the bytes that they came in.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

/// Consecutive entries, at most 256, each of which is in the log at its index.
#[derive(Clone, Debug)]
pub struct VerifiedBundle {
    start: u64,
    bytes: Bytes,
    spans: VecDeque<(u32, u32)>, // start and end of each entry in `bytes`
}

impl VerifiedBundle {
    /// No entries yet, of the bundle that these bytes are.
    pub(crate) fn with_capacity(start: u64, bytes: Bytes, entries: usize) -> Self {
        Self { start, bytes, spans: VecDeque::with_capacity(entries) }
    }

    /// The next entry of the bundle.
    pub(crate) fn push(&mut self, entry: &[u8]) {
        const PREFIX: u32 = 2; // each entry stands behind its length, a uint16
        let start = self.spans.back().map_or(0, |&(_, end)| end) + PREFIX;
        let length = u32::try_from(entry.len()).expect("an entry of a bundle has at most 65,535 bytes");
        self.spans.push_back((start, start + length));
    }

    /// The index of the first entry.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The index after the last entry.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.spans.len() as u64)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Each entry with its index, without copying it.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let entry = |&(start, end): &(u32, u32)| &self.bytes[start as usize..end as usize];
        (self.start..).zip(self.spans.iter().map(entry))
    }

    /// How many bytes the entries have together.
    #[must_use]
    pub fn entry_bytes(&self) -> u64 {
        self.spans.iter().map(|&(start, end)| u64::from(end - start)).sum()
    }

    /// The entries as a bundle holds them, each behind its length.
    #[cfg(feature = "stores")]
    pub(crate) fn framed(&self) -> Bytes {
        const PREFIX: usize = 2;
        let ends = self.spans.front().zip(self.spans.back());
        ends.map_or_else(Bytes::new, |(first, last)| {
            self.bytes.slice(first.0 as usize - PREFIX..last.1 as usize)
        })
    }

    /// The entry at an index, as a slice of the bundle's bytes.
    pub(crate) fn entry(&self, index: u64) -> Option<Bytes> {
        let position = usize::try_from(index.checked_sub(self.start)?).ok()?;
        let &(start, end) = self.spans.get(position)?;
        Some(self.bytes.slice(start as usize..end as usize))
    }

    /// Takes the first entry out.
    pub(crate) fn pop_first(&mut self) -> Option<(u64, Bytes)> {
        let (start, end) = self.spans.pop_front()?;
        let index = self.start;
        self.start = index.saturating_add(1);
        Some((index, self.bytes.slice(start as usize..end as usize)))
    }

    /// Only the entries of `range`.
    pub(crate) fn within(mut self, range: &Range<u64>) -> Self {
        let clamp = |index: u64| {
            usize::try_from(index.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.spans.len())
        };
        let (from, to) = (clamp(range.start), clamp(range.end));
        self.spans.truncate(to);
        self.spans.drain(..from.min(to));
        self.start = self.start.saturating_add(from as u64);
        self
    }
}
