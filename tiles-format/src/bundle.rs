//! Entry bundles and where they stand: `tile/entries/<N>[.p/<W>]` in [tlog-tiles].
//!
//! [tlog-tiles]: https://c2sp.org/tlog-tiles#log-entries

use core::fmt;
use core::str::FromStr;

use crate::hash::Hash;
use crate::path::{self, Width};
use crate::tile::TileCoord;
use crate::tree::TILE_WIDTH;

/// The longest entry, in bytes: its length is a `uint16`.
pub const MAX_ENTRY_SIZE: usize = 65_535;

/// Where one entry bundle stands in a log: `tile/entries/<N>[.p/<W>]`. It holds the entries whose
/// leaf hashes stand in the level-0 tile of the same index and width.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BundleCoord {
    index: u64,
    width: Width, // 1..=256, where 256 is a full bundle
}

impl BundleCoord {
    /// The bundle of `width` entries at `index`.
    ///
    /// `None` unless the index is at most 2^63 - 1 and the width in 1..=256.
    #[must_use]
    pub fn new(index: u64, width: u16) -> Option<Self> {
        (index <= path::MAX_INDEX).then_some(Self { index, width: Width::new(width)? })
    }

    /// The bundle that holds entry `entry`, as wide as it is in a tree of `size` leaves; `None`
    /// where the tree does not reach that far.
    #[must_use]
    pub fn holding(entry: u64, size: u64) -> Option<Self> {
        let index = entry / TILE_WIDTH;
        let tile = TileCoord::in_tree(0, index, size).filter(|_| entry < size)?;
        Self::new(index, tile.width())
    }

    /// The index of the bundle: its first entry's divided by 256.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many entries the bundle holds: 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width.get()
    }

    /// Whether all 256 entries are there.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width.is_full()
    }

    /// The full bundle at the same place.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: Width::FULL, ..self }
    }

    /// The level-0 tile that holds the leaf hashes of these entries.
    #[must_use]
    pub fn leaf_tile(self) -> TileCoord {
        TileCoord::new(0, self.index, self.width()).expect("a bundle's index and width are a tile's too")
    }

    /// The index of the first entry.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.index.saturating_mul(TILE_WIDTH)
    }
}

/// Writes the canonical path, without a leading slash.
impl fmt::Display for BundleCoord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        path::write_index_and_width(f, self.index, self.width)
    }
}

/// The text is not the canonical path of an entry bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a canonical path of an entry bundle (tile/entries/<N>[.p/<W>])")]
pub struct ParseBundleCoordError;

impl FromStr for BundleCoord {
    type Err = ParseBundleCoordError;

    fn from_str(path: &str) -> Result<Self, ParseBundleCoordError> {
        let rest = path.strip_prefix("tile/entries/").ok_or(ParseBundleCoordError)?;
        let (index, width) = path::parse_index_and_width(rest).ok_or(ParseBundleCoordError)?;
        let bundle = Self::new(index, width.get()).ok_or(ParseBundleCoordError)?;
        if bundle.to_string() == path { Ok(bundle) } else { Err(ParseBundleCoordError) }
    }
}

/// Why bytes are no entry bundle of the number of entries that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseBundleError {
    /// The bytes end within a length or an entry.
    #[error("entry {0} of the bundle is cut short")]
    Truncated(usize),
    /// The bundle holds more or fewer entries than it should.
    #[error("the bundle does not hold exactly {0} entries")]
    Count(usize),
}

/// Reads a sequence of entries, each behind its length as a big-endian `uint16`.
///
/// This is the framing of a bundle, of a batch that is submitted and of a round in the head.
pub fn split_entries(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], ParseBundleError>> {
    let mut rest = bytes;
    (0..).map_while(move |number| {
        if rest.is_empty() {
            return None;
        }
        let entry = split_entry(rest);
        rest = entry.map_or(&[], |(_, rest)| rest);
        Some(entry.map(|(entry, _)| entry).ok_or(ParseBundleError::Truncated(number)))
    })
}

/// What stands behind its length as a big-endian `uint16`, and what follows.
pub(crate) fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The entry is longer than [`MAX_ENTRY_SIZE`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an entry of {0} bytes; the most is {MAX_ENTRY_SIZE}")]
pub struct EntryTooLong(pub usize);

/// Appends one entry behind its length, the inverse of [`split_entries`].
///
/// # Errors
/// Where the entry is longer than [`MAX_ENTRY_SIZE`]; nothing is appended then.
pub fn push_entry(bytes: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let length = u16::try_from(entry.len()).map_err(|_| EntryTooLong(entry.len()))?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(entry);
    Ok(())
}

/// An entry bundle: its place and its entries, exactly as many as the place says.
///
/// The entries are whatever was read; [`leaf_hashes`](Self::leaf_hashes) is what a verified tile
/// must hold for them to mean something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryBundle<'a> {
    coord: BundleCoord,
    entries: Vec<&'a [u8]>,
}

impl<'a> EntryBundle<'a> {
    /// Reads the bytes of the bundle at `coord`.
    ///
    /// # Errors
    /// Where an entry is cut short, or there are more or fewer entries than the width.
    pub fn parse(coord: BundleCoord, bytes: &'a [u8]) -> Result<Self, ParseBundleError> {
        let width = usize::from(coord.width());
        // One more than expected is enough to know that there are too many.
        let entries: Vec<_> = split_entries(bytes).take(width + 1).collect::<Result<_, _>>()?;
        if entries.len() != width {
            return Err(ParseBundleError::Count(width));
        }
        Ok(Self { coord, entries })
    }

    /// Where the bundle stands.
    #[must_use]
    pub const fn coord(&self) -> BundleCoord {
        self.coord
    }

    /// The entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[&'a [u8]] {
        &self.entries
    }

    /// The leaf hash of each entry, in order.
    pub fn leaf_hashes(&self) -> impl Iterator<Item = Hash> {
        Hash::leaves(self.entries.iter().copied()).into_iter()
    }

    /// The bundle as it was when it held `width` entries; `None` where it never was that wide.
    #[must_use]
    pub fn prefix(&self, width: u16) -> Option<Self> {
        let entries = self.entries.get(..usize::from(width))?.to_vec();
        Some(Self { coord: BundleCoord::new(self.coord.index, width)?, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_of_an_entry_is_as_wide_as_the_tree_makes_it() {
        let path = |entry, size| BundleCoord::holding(entry, size).map(|b| b.to_string());
        assert_eq!(path(0, 1).as_deref(), Some("tile/entries/000.p/1"));
        assert_eq!(path(255, 256).as_deref(), Some("tile/entries/000"));
        assert_eq!(path(256, 70_000).as_deref(), Some("tile/entries/001"));
        assert_eq!(path(69_999, 70_000).as_deref(), Some("tile/entries/273.p/112"));
        assert_eq!(path(70_000, 70_000), None);
    }

    #[test]
    fn a_bundle_is_exactly_its_entries() {
        let mut bytes = Vec::new();
        push_entry(&mut bytes, b"one").unwrap();
        push_entry(&mut bytes, b"").unwrap();
        let coord = BundleCoord::new(0, 2).unwrap();
        let bundle = EntryBundle::parse(coord, &bytes).unwrap();
        assert_eq!(bundle.entries(), [&b"one"[..], b""]);
        for width in [1, 3] {
            let coord = BundleCoord::new(0, width).unwrap();
            let error = EntryBundle::parse(coord, &bytes).unwrap_err();
            assert_eq!(error, ParseBundleError::Count(usize::from(width)));
        }
        let error = EntryBundle::parse(coord, &bytes[..bytes.len() - 1]).unwrap_err();
        assert_eq!(error, ParseBundleError::Truncated(1));
        assert_eq!(EntryBundle::parse(coord, &[0, 9]).unwrap_err(), ParseBundleError::Truncated(0));
    }

    #[test]
    fn an_entry_is_at_most_65535_bytes() {
        let mut bytes = Vec::new();
        assert!(push_entry(&mut bytes, &vec![7; MAX_ENTRY_SIZE]).is_ok());
        let before = bytes.len();
        assert_eq!(push_entry(&mut bytes, &vec![7; MAX_ENTRY_SIZE + 1]), Err(EntryTooLong(65_536)));
        assert_eq!(bytes.len(), before);
    }
}
