//! Tiles that a root hash vouches for.

use std::collections::HashMap;

use crate::edge::{EdgeError, RightEdge};
use crate::hash::Hash;
use crate::tile::{HashTile, TileCoord, levels_above};
use crate::tree::{Node, Subtree, TILE_HEIGHT, TreeHead};

/// Tiles of one tree, each of which hashes up to the tree's root hash.
///
/// It starts with the tree's right edge, and lets a full tile in when the tile above, which is here
/// already, has its root. So whatever [`node`](Self::node) answers is in the tree, whoever served
/// the tiles.
///
/// ```
/// use kiln_tiles::{Hash, Node, RightEdge, VerifiedTiles};
///
/// let mut edge = RightEdge::empty();
/// let tiles = edge.append((0..300_u32).map(|i| Hash::leaf(&i.to_be_bytes())));
///
/// let mut verified = VerifiedTiles::new(&edge);
/// let leaf = Node::leaf(7).unwrap();
/// assert_eq!(verified.missing([leaf]).len(), 1); // the full tile 0 at level 0
/// verified.insert(tiles[0].clone())?;
/// assert_eq!(verified.node(leaf), Some(Hash::leaf(&7_u32.to_be_bytes())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct VerifiedTiles {
    head: TreeHead,
    tiles: HashMap<(u8, u64), Expanded>,
}

/// A tile, and the nodes that follow from its hashes. To verify a tile they are all computed, and a proof asks for
/// some of them.
#[derive(Clone, Debug)]
struct Expanded {
    tile: HashTile,
    /// By height above the hashes, from 1 on.
    above: Vec<Vec<Hash>>,
}

impl Expanded {
    fn new(tile: HashTile) -> Self {
        Self { above: levels_above(tile.hashes()).collect(), tile }
    }

    /// The hash that a full tile has in the tile above.
    fn root(&self) -> Option<Hash> {
        self.above.get(usize::from(TILE_HEIGHT) - 1)?.first().copied()
    }

    fn node(&self, node: Node) -> Option<Hash> {
        let (height, position) = self.tile.coord().place_of(node)?;
        let hashes = match height.checked_sub(1) {
            None => self.tile.hashes(),
            Some(above) => self.above.get(usize::from(above))?,
        };
        hashes.get(position).copied()
    }
}

/// Why a tile was not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// The tile above must be let in first.
    #[error("{0} cannot be verified before the tile above it")]
    Orphan(TileCoord),
    /// The tile does not hash to what the tile above it says.
    #[error("{0} does not hash to the value in the tile above it")]
    Hash(TileCoord),
    /// The tree has no such full tile.
    #[error("{0} is not a full tile of the tree")]
    Foreign(TileCoord),
}

impl VerifiedTiles {
    /// Starts with the right edge of the tree that `head` describes: its
    /// [`partial_tiles`](crate::partial_tiles), in any order.
    ///
    /// # Errors
    /// Where one is missing, or they do not hash to the root.
    pub fn open(head: TreeHead, edge: &[HashTile]) -> Result<Self, EdgeError> {
        // Of two tiles for one place only the one that was verified is kept.
        Ok(Self::new(&RightEdge::open(head, edge)?))
    }

    /// Starts with the right edge of a tree that one knows.
    #[must_use]
    pub fn new(edge: &RightEdge) -> Self {
        let expanded = |tile: HashTile| (place(tile.coord()), Expanded::new(tile));
        Self { head: edge.head(), tiles: edge.tiles().map(expanded).collect() }
    }

    /// The tree that the tiles belong to.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }

    /// The full tiles that must be let in, in this order, before all of these nodes are known.
    /// Nodes beyond the tree are left out: no tile brings them.
    #[must_use]
    pub fn missing(&self, nodes: impl IntoIterator<Item = Node>) -> Vec<TileCoord> {
        let mut missing = Vec::new();
        for node in nodes {
            let mut next = TileCoord::holding(node, self.head.size());
            while let Some(tile) = next.filter(|&tile| !self.holds(tile)) {
                missing.push(tile);
                next = tile.parent_node().and_then(|node| TileCoord::holding(node, self.head.size()));
            }
        }
        missing.sort_by_key(|tile| (core::cmp::Reverse(tile.level()), tile.index()));
        missing.dedup();
        missing
    }

    /// Whether this tile was let in, in this width.
    #[must_use]
    pub fn holds(&self, tile: TileCoord) -> bool {
        self.tiles.get(&place(tile)).is_some_and(|held| held.tile.coord() == tile)
    }

    /// Lets a full tile in.
    ///
    /// # Errors
    /// Where the tile above is not here or says something else.
    pub fn insert(&mut self, tile: HashTile) -> Result<(), TileError> {
        let coord = tile.coord();
        let foreign = TileError::Foreign(coord);
        let parent = coord.parent_node().filter(|_| coord.is_full()).ok_or(foreign)?;
        if parent.end() > self.head.size() {
            return Err(foreign);
        }
        let expected = self.node(parent).ok_or(TileError::Orphan(coord))?;
        let expanded = Expanded::new(tile);
        if expanded.root() != Some(expected) {
            return Err(TileError::Hash(coord));
        }
        self.tiles.insert(place(coord), expanded);
        Ok(())
    }

    /// The hash of a node, where its tile is here.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<Hash> {
        let coord = TileCoord::holding(node, self.head.size())?;
        self.tiles.get(&place(coord))?.node(node)
    }

    /// The verified tile at this place, where it is here.
    #[must_use]
    pub fn tile(&self, coord: TileCoord) -> Option<&HashTile> {
        self.tiles.get(&place(coord)).map(|held| &held.tile).filter(|tile| tile.coord() == coord)
    }

    /// The root hash that the tree had at an earlier size; `None` where a tile for it is not here
    /// (see [`missing`](Self::missing) of [`Subtree::nodes`]) or the tree never had that size.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        let within = size <= self.head.size();
        let root =
            || Subtree::whole(size).map_or_else(|| Some(Hash::empty_tree()), |t| t.hash(|n| self.node(n)));
        within.then(root)?
    }

    /// Forgets every full tile for which `keep` says no, so that a long walk stays in bounds.
    pub fn retain(&mut self, mut keep: impl FnMut(TileCoord) -> bool) {
        self.tiles.retain(|_, held| !held.tile.coord().is_full() || keep(held.tile.coord()));
    }
}

fn place(tile: TileCoord) -> (u8, u64) {
    (tile.level(), tile.index())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 70_000;

    fn tree() -> (RightEdge, Vec<HashTile>) {
        let mut edge = RightEdge::empty();
        let tiles = edge.append((0..SIZE).map(|i| Hash::leaf(&i.to_be_bytes())));
        (edge, tiles)
    }

    fn fetch(tiles: &[HashTile], coord: TileCoord) -> HashTile {
        tiles.iter().find(|tile| tile.coord() == coord).unwrap().clone()
    }

    #[test]
    fn a_leaf_is_known_once_the_tiles_above_it_are_here() {
        let (edge, tiles) = tree();
        let mut verified = VerifiedTiles::new(&edge);
        let leaf = Node::leaf(5).unwrap();
        let missing = verified.missing([leaf, Node::leaf(6).unwrap()]);
        let paths: Vec<_> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["tile/1/000", "tile/0/000"]);
        assert_eq!(verified.insert(fetch(&tiles, missing[1])), Err(TileError::Orphan(missing[1])));
        for coord in missing {
            assert_eq!(verified.node(leaf), None);
            verified.insert(fetch(&tiles, coord)).unwrap();
        }
        assert_eq!(verified.node(leaf), Some(Hash::leaf(&5_u64.to_be_bytes())));
        assert!(verified.missing([leaf]).is_empty());
    }

    #[test]
    fn a_changed_tile_is_not_let_in() {
        let (edge, tiles) = tree();
        let mut verified = VerifiedTiles::new(&edge);
        let coord = TileCoord::new(1, 0, 256).unwrap();
        let mut bytes = fetch(&tiles, coord).to_bytes();
        bytes[8_191] ^= 0x80;
        let changed = HashTile::parse(coord, &bytes).unwrap();
        assert_eq!(verified.insert(changed), Err(TileError::Hash(coord)));
    }

    #[test]
    fn earlier_roots_follow_from_the_tiles() {
        let (edge, tiles) = tree();
        let mut verified = VerifiedTiles::new(&edge);
        for size in [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 69_999, SIZE] {
            let nodes: Vec<Node> = Subtree::whole(size).into_iter().flat_map(Subtree::nodes).collect();
            for coord in verified.missing(nodes) {
                verified.insert(fetch(&tiles, coord)).unwrap();
            }
            let mut smaller = RightEdge::empty();
            smaller.append((0..size).map(|i| Hash::leaf(&i.to_be_bytes())));
            assert_eq!(verified.root_at(size), Some(smaller.root()), "size {size}");
        }
        assert_eq!(verified.root_at(SIZE + 1), None);
    }
}
