//! The right edge of a tree: all that is needed to grow it.

use crate::hash::Hash;
use crate::tile::{HashTile, TileCoord, complete_root, partial_tiles};
use crate::tree::{Node, Subtree, TILE_HEIGHT, TILE_WIDTH, TreeHead};

/// The partial tiles of a tree, at most one a level, and so at most eight: enough to know its root
/// hash and to append to it.
///
/// A tree of 2^40 leaves has an edge of at most 5 tiles of 255 hashes, 40 kB.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RightEdge {
    size: u64,
    levels: Vec<Vec<Hash>>, // by level: the hashes of the partial tile, none where there is none
}

/// Why tiles are not the right edge of a tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// A partial tile of the tree is not among them.
    #[error("{0} is missing from the right edge")]
    Missing(TileCoord),
    /// The tiles hash to another root than the tree's.
    #[error("the right edge of tree size {} hashes to {found} instead of the root hash {}", expected.size(), expected.root())]
    Root {
        /// The tree whose edge they should be.
        expected: TreeHead,
        /// What they hash to.
        found: Hash,
    },
}

impl RightEdge {
    /// The edge of a tree without leaves.
    #[must_use]
    pub const fn empty() -> Self {
        Self { size: 0, levels: Vec::new() }
    }

    /// The edge of the tree that `head` describes, from its [`partial_tiles`], in any order.
    ///
    /// # Errors
    /// Where one is missing, or they do not hash to the root: one of them was damaged.
    pub fn open(head: TreeHead, tiles: &[HashTile]) -> Result<Self, EdgeError> {
        let mut edge = Self { size: head.size(), levels: Vec::new() };
        for coord in partial_tiles(head.size()) {
            let found = tiles.iter().find(|tile| tile.coord() == coord).ok_or(EdgeError::Missing(coord))?;
            edge.level_mut(coord.level()).extend_from_slice(found.hashes());
        }
        let found = edge.root();
        if found == head.root() { Ok(edge) } else { Err(EdgeError::Root { expected: head, found }) }
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        let whole = Subtree::whole(self.size);
        whole.map_or_else(Hash::empty_tree, |tree| {
            tree.hash(|node| self.node(node)).expect("the edge holds every node of the whole tree")
        })
    }

    /// Size and root hash.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        TreeHead::new(self.size, self.root()).expect("the edge is that of a tree")
    }

    /// The hash of a node that stands in the edge or follows from it.
    fn node(&self, node: Node) -> Option<Hash> {
        let height = node.level() % TILE_HEIGHT;
        let hashes = self.levels.get(usize::from(node.level() / TILE_HEIGHT))?;
        let start = usize::try_from((node.index() << height) % TILE_WIDTH).ok()?;
        hashes.get(start..start + (1 << height)).map(complete_root)
    }

    /// Appends leaves. Returns the tiles that the tree now has and had not: each tile that became
    /// full, and of each partial tile that grew its new width.
    ///
    /// # Panics
    /// Where the tree would have more than [`MAX_TREE_SIZE`](crate::MAX_TREE_SIZE) leaves. No log gets there.
    pub fn append(&mut self, leaves: impl IntoIterator<Item = Hash>) -> Vec<HashTile> {
        let before = self.size;
        let mut tiles = Vec::new();
        for leaf in leaves {
            assert!(self.size < crate::MAX_TREE_SIZE, "a tree has at most 2^63 - 1 leaves");
            self.size += 1;
            self.push(0, self.size - 1, leaf, &mut tiles);
        }
        tiles.extend(
            partial_tiles(self.size).filter(|&tile| grew(tile, before)).map(|tile| self.partial(tile)),
        );
        tiles
    }

    /// Puts the `position`th hash of a level at its place. A tile that it fills goes to `tiles`,
    /// and the tile's root one level up.
    fn push(&mut self, level: u8, position: u64, hash: Hash, tiles: &mut Vec<HashTile>) {
        let partial = self.level_mut(level);
        partial.push(hash);
        if partial.len() as u64 == TILE_WIDTH {
            let full = core::mem::take(partial);
            let index = position / TILE_WIDTH;
            let root = complete_root(&full);
            tiles.push(HashTile::from_hashes(level, index, full).expect("a full tile of a tree"));
            self.push(level + 1, index, root, tiles);
        }
    }

    fn level_mut(&mut self, level: u8) -> &mut Vec<Hash> {
        let level = usize::from(level);
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        &mut self.levels[level]
    }

    fn partial(&self, coord: TileCoord) -> HashTile {
        let hashes = self.levels[usize::from(coord.level())].clone();
        HashTile::from_hashes(coord.level(), coord.index(), hashes).expect("a partial tile of a tree")
    }

    /// The tiles of the edge, lowest level first.
    pub fn tiles(&self) -> impl Iterator<Item = HashTile> {
        partial_tiles(self.size).map(|coord| self.partial(coord))
    }
}

/// Whether a tree of `before` leaves did not have this tile, in this width, yet.
fn grew(tile: TileCoord, before: u64) -> bool {
    TileCoord::in_tree(tile.level(), tile.index(), before) != Some(tile)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(range: core::ops::Range<u64>) -> impl Iterator<Item = Hash> {
        range.map(|i| Hash::leaf(&i.to_be_bytes()))
    }

    /// RFC 6962's definition of the Merkle tree hash, word for word.
    fn merkle_tree_hash(hashes: &[Hash]) -> Hash {
        match hashes {
            [] => Hash::empty_tree(),
            [leaf] => *leaf,
            _ => {
                let k = hashes.len().next_power_of_two() / 2;
                Hash::node(merkle_tree_hash(&hashes[..k]), merkle_tree_hash(&hashes[k..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_merkle_tree_hash_at_every_size() {
        let all: Vec<Hash> = leaves(0..1100).collect();
        let mut edge = RightEdge::empty();
        for size in 0..all.len() {
            assert_eq!(edge.root(), merkle_tree_hash(&all[..size]), "size {size}");
            edge.append([all[size]]);
        }
    }

    #[test]
    fn batches_of_any_size_make_the_same_tree() {
        let mut whole = RightEdge::empty();
        whole.append(leaves(0..140_000));
        for batch in [1_000, 4_096, 65_536, 100_000] {
            let mut edge = RightEdge::empty();
            while edge.size() < 140_000 {
                edge.append(leaves(edge.size()..140_000.min(edge.size() + batch)));
            }
            assert_eq!(edge, whole, "batches of {batch}");
        }
    }

    #[test]
    fn an_append_returns_what_is_new_and_nothing_else() {
        let mut edge = RightEdge::empty();
        let mut paths = |n: u64| {
            let from = edge.size();
            edge.append(leaves(from..from + n)).iter().map(|t| t.coord().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(paths(1), ["tile/0/000.p/1"]);
        assert_eq!(paths(255), ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(paths(3), ["tile/0/001.p/3"], "level 1 did not change");
        assert_eq!(paths(256), ["tile/0/001", "tile/0/002.p/3", "tile/1/000.p/2"]);
        assert_eq!(paths(0), [""; 0]);
    }

    #[test]
    fn an_edge_is_opened_only_under_its_root() {
        let mut edge = RightEdge::empty();
        edge.append(leaves(0..70_000));
        let mut tiles: Vec<HashTile> = edge.tiles().collect();
        assert_eq!(RightEdge::open(edge.head(), &tiles).unwrap(), edge);
        let missing = tiles.pop().unwrap();
        assert_eq!(RightEdge::open(edge.head(), &tiles), Err(EdgeError::Missing(missing.coord())));
        let mut bytes = missing.to_bytes();
        bytes[0] ^= 1;
        tiles.push(HashTile::parse(missing.coord(), &bytes).unwrap());
        assert!(matches!(RightEdge::open(edge.head(), &tiles), Err(EdgeError::Root { .. })));
    }
}
