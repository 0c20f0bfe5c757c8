//! The entries of a load: no two alike, and cheap to make.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// Makes the bodies of requests.
#[derive(Debug)]
pub(super) struct Entries {
    /// A body whose entries have no number yet.
    blank: Vec<u8>,
    /// From one entry of a body to the next.
    stride: usize,
    /// Where an entry has its number.
    number: usize,
    batch: u64,
    next: AtomicU64,
}

/// Numbers are written with so many digits.
const DIGITS: usize = 16;

impl Entries {
    /// Entries of `size` bytes, `batch` in a body; those of one `run` differ from those of others.
    pub(super) fn new(run: u64, batch: u32, size: u16) -> Self {
        let mut entry = format!("{run:0DIGITS$x}{:0DIGITS$x}", 0).into_bytes();
        entry.resize(usize::from(size), b'.');
        // In a batch each entry stands behind its length.
        let frame = if batch > 1 { size.to_be_bytes().to_vec() } else { Vec::new() };
        let blank = [&frame[..], &entry].concat();
        let (stride, number) = (blank.len(), frame.len() + DIGITS);
        let repeats = usize::try_from(batch).expect("a few thousand");
        Self { blank: blank.repeat(repeats), stride, number, batch: batch.into(), next: AtomicU64::new(0) }
    }

    /// How many entries a body has.
    pub(super) const fn batch(&self) -> u64 {
        self.batch
    }

    /// A body like no other, in the memory of one that was sent: fresh memory costs more than to fill it.
    pub(super) fn body(&self, sent: Bytes) -> Bytes {
        let mut body = if sent.is_empty() { self.blank.clone() } else { Vec::from(sent) };
        let first = self.next.fetch_add(self.batch, Ordering::Relaxed);
        for (entry, number) in body.chunks_exact_mut(self.stride).zip(first..) {
            write_number(&mut entry[self.number..][..DIGITS], number);
        }
        body.into()
    }
}

/// In hexadecimal digits. `write!` would take longer than all else that an entry needs.
fn write_number(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[usize::from(number.to_le_bytes()[0] & 15)];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_entries_are_alike() {
        let (one, other) = (Entries::new(1, 1, 32), Entries::new(2, 1, 32));
        let mut seen = BTreeSet::new();
        for entries in [one, other] {
            let mut body = Bytes::new();
            for _ in 0..1000 {
                body = entries.body(body);
                assert_eq!(body.len(), 32);
                assert!(seen.insert(body.to_vec()), "{body:?}");
            }
        }
    }

    #[test]
    fn a_batch_is_framed_and_counts_on() {
        let entries = Entries::new(0xabc, 300, 40);
        let first = entries.body(Bytes::new());
        let second = entries.body(first.clone());
        let last = second.chunks_exact(42).next_back().unwrap();
        assert_eq!((first.len(), second.len()), (300 * 42, 300 * 42));
        assert_eq!(last, b"\x00\x280000000000000abc0000000000000257........");
        assert_eq!(&first[..34], b"\x00\x280000000000000abc0000000000000000", "what was sent stays");
    }
}
