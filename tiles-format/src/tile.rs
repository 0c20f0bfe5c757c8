//! Hash tiles and where they stand: `tile/<L>/<N>[.p/<W>]` in [tlog-tiles].
//!
//! [tlog-tiles]: https://c2sp.org/tlog-tiles#merkle-tree

use core::fmt;
use core::str::FromStr;

use crate::hash::Hash;
use crate::path::{self, Width};
use crate::tree::{Node, TILE_HEIGHT, TILE_WIDTH};

/// Where one Merkle tile stands in a log: `tile/<L>/<N>[.p/<W>]` in [tlog-tiles].
/// The fields are private: a `TileCoord` that exists names a resource a log may serve.
///
/// [tlog-tiles]: https://c2sp.org/tlog-tiles#merkle-tree
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TileCoord {
    level: u8,    // 0..=63
    index: u64,   // within the level
    width: Width, // 1..=256, where 256 is a full tile
}

impl TileCoord {
    /// The highest level that a path may name.
    pub const MAX_LEVEL: u8 = 63;

    /// The tile of `width` hashes at `(level, index)`.
    ///
    /// `None` unless the level is at most 63, the index at most 2^63 - 1 and the width in 1..=256.
    #[must_use]
    pub fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        let valid = level <= Self::MAX_LEVEL && index <= path::MAX_INDEX;
        valid.then_some(Self { level, index, width: Width::new(width)? })
    }

    /// The tile that holds `node` in a tree of `size` leaves, as wide as it is in that tree;
    /// `None` unless all leaves below the node are in the tree.
    #[must_use]
    pub fn holding(node: Node, size: u64) -> Option<Self> {
        let level = node.level() / TILE_HEIGHT;
        let first = node.index() << (node.level() % TILE_HEIGHT);
        let tile = Self::in_tree(level, first / TILE_WIDTH, size)?;
        (node.end() <= size).then_some(tile)
    }

    /// The tile at `(level, index)` as wide as it is in a tree of `size` leaves; `None` where the
    /// tree has no hash for it.
    #[must_use]
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = hashes_at(level, size);
        let width = hashes.checked_sub(index.checked_mul(TILE_WIDTH)?)?.min(TILE_WIDTH);
        Self::new(level, index, u16::try_from(width).ok()?)
    }

    /// The level: 0 holds leaf hashes, each further one the roots of full tiles of the level below.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.level
    }

    /// The index within the level.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes the tile holds: 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width.get()
    }

    /// Whether all 256 hashes are there. A full tile never changes and never goes.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width.is_full()
    }

    /// The full tile at the same place, which replaces a partial one once the tree has grown.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: Width::FULL, ..self }
    }

    /// The node of which this tile, when it is full, is the subtree of height 8: a hash in the
    /// tile above. `None` at levels that no tree reaches.
    #[must_use]
    pub fn parent_node(self) -> Option<Node> {
        Node::new(self.level.checked_add(1)?.checked_mul(TILE_HEIGHT)?, self.index)
    }

    /// How far above the hashes of this tile a node stands, 0 to 8, and which of those at that height it
    /// is; `None` where it is not in the full tile.
    pub(crate) fn place_of(self, node: Node) -> Option<(u8, usize)> {
        let height = node.level().checked_sub(self.level.checked_mul(TILE_HEIGHT)?)?;
        let nodes = TILE_WIDTH.checked_shr(height.into()).filter(|nodes| *nodes > 0)?;
        let position = node.index().checked_sub(self.index.checked_mul(nodes)?)?;
        Some((height, usize::try_from(position).ok()?)).filter(|_| position < nodes)
    }
}

/// How many hashes the tiles at `level` hold in a tree of `size` leaves.
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0)
}

/// Sizes have 63 bits, so no tree reaches level 8.
const LEVELS: u8 = 63_u8.div_ceil(TILE_HEIGHT);

/// The partial tiles of a tree of `size` leaves, lowest level first: its right edge. At most one a level.
pub fn partial_tiles(size: u64) -> impl Iterator<Item = TileCoord> {
    let edge = move |level| TileCoord::in_tree(level, hashes_at(level, size) / TILE_WIDTH, size);
    (0..LEVELS).filter_map(edge)
}

/// Writes the canonical path, without a leading slash.
impl fmt::Display for TileCoord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        path::write_index_and_width(f, self.index, self.width)
    }
}

/// The text is not the canonical path of a hash tile.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a canonical path of a hash tile (tile/<L>/<N>[.p/<W>])")]
pub struct ParseTileError;

impl FromStr for TileCoord {
    type Err = ParseTileError;

    fn from_str(path: &str) -> Result<Self, ParseTileError> {
        let tile = parse_loosely(path).ok_or(ParseTileError)?;
        // Every tile has one spelling. A second one would be a second cache entry for the same
        // bytes, so accept only what `Display` would write.
        if tile.to_string() == path { Ok(tile) } else { Err(ParseTileError) }
    }
}

fn parse_loosely(path: &str) -> Option<TileCoord> {
    let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let (index, width) = path::parse_index_and_width(rest)?;
    TileCoord::new(level.parse().ok()?, index, width.get())
}

/// A hash tile: its place and its hashes, exactly as many as the place says.
///
/// The hashes are whatever was read; they mean something once a root hash vouches for them, see
/// [`VerifiedTiles`](crate::VerifiedTiles).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashTile {
    coord: TileCoord,
    hashes: Vec<Hash>,
}

/// The bytes of a hash tile are not as long as its place says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{coord} is {length} bytes long instead of {}", usize::from(coord.width()) * Hash::SIZE)]
pub struct HashTileError {
    /// The tile.
    pub coord: TileCoord,
    /// The length found, in bytes.
    pub length: usize,
}

impl HashTile {
    /// Reads the bytes of the tile at `coord`: `32 * width` of them.
    ///
    /// # Errors
    /// Where the length is another.
    pub fn parse(coord: TileCoord, bytes: &[u8]) -> Result<Self, HashTileError> {
        let (hashes, rest) = bytes.as_chunks();
        if hashes.len() != usize::from(coord.width()) || !rest.is_empty() {
            return Err(HashTileError { coord, length: bytes.len() });
        }
        Ok(Self { coord, hashes: hashes.iter().copied().map(Hash::from_bytes).collect() })
    }

    /// The tile of these hashes at `(level, index)`.
    pub(crate) fn from_hashes(level: u8, index: u64, hashes: Vec<Hash>) -> Option<Self> {
        let coord = TileCoord::new(level, index, u16::try_from(hashes.len()).ok()?)?;
        Some(Self { coord, hashes })
    }

    /// Where the tile stands.
    #[must_use]
    pub const fn coord(&self) -> TileCoord {
        self.coord
    }

    /// The hashes, in order.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The bytes of the tile, as served.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }

    /// The tile as it was when it held `width` hashes; `None` where it never was that wide.
    ///
    /// A log may delete a partial tile once the full one is there; this brings it back.
    #[must_use]
    pub fn prefix(&self, width: u16) -> Option<Self> {
        let hashes = self.hashes.get(..usize::from(width))?.to_vec();
        Self::from_hashes(self.coord.level, self.coord.index, hashes)
    }

    /// The hash of a node that stands in this tile or follows from its hashes.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<Hash> {
        let (height, position) = self.coord.place_of(node)?;
        let start = position << height;
        self.hashes.get(start..start + (1 << height)).map(complete_root)
    }
}

/// The root hash over a power of two of hashes.
pub(crate) fn complete_root(hashes: &[Hash]) -> Hash {
    levels_above(hashes).last().map_or(hashes[0], |top| top[0])
}

/// The nodes that follow from the hashes of a tile, level by level.
pub(crate) fn levels_above(hashes: &[Hash]) -> impl Iterator<Item = Vec<Hash>> {
    let level_above = |hashes: &[Hash]| Some(Hash::parents(hashes)).filter(|level| !level.is_empty());
    core::iter::successors(level_above(hashes), move |level| level_above(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_the_specification() {
        let tile = TileCoord::new(0, 1_234_067, 256).unwrap();
        assert_eq!(tile.to_string(), "tile/0/x001/x234/067");
        let partial = TileCoord::new(63, 0, 1).unwrap();
        assert_eq!(partial.to_string(), "tile/63/000.p/1");
        for path in ["tile/0/x001/x234/067", "tile/63/000.p/1", "tile/1/999.p/255"] {
            assert_eq!(path.parse::<TileCoord>().unwrap().to_string(), path);
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for path in [
            "",
            "tile/0/",
            "tile/00/000",
            "tile/64/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/000",
            "tile/0/001/000",
            "tile/0/x001/x234/067/",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p/1/",
            "/tile/0/000",
            "tile/+1/000",
            "tile/0/+01",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/entries/000",
        ] {
            assert_eq!(path.parse::<TileCoord>(), Err(ParseTileError), "{path}");
        }
    }

    #[test]
    fn the_partial_tiles_of_the_specification() {
        let widths =
            |size| partial_tiles(size).map(|t| (t.level(), t.index(), t.width())).collect::<Vec<_>>();
        assert_eq!(widths(70_000), [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
        assert_eq!(widths(256), [(1, 0, 1)]);
        assert_eq!(widths(0), []);
        assert_eq!(widths(crate::MAX_TREE_SIZE).len(), 8);
    }

    #[test]
    fn a_tile_has_exactly_the_bytes_its_width_says() {
        let coord = TileCoord::new(0, 0, 2).unwrap();
        assert!(HashTile::parse(coord, &[0; 64]).is_ok());
        for length in [0, 32, 63, 65, 96] {
            let error = HashTile::parse(coord, &vec![0; length]).unwrap_err();
            assert_eq!(error, HashTileError { coord, length });
        }
    }
}
