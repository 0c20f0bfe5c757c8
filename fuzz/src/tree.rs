//! One true tree, for targets that try to pass off another one.

use kiln_tiles::{Hash, HashTile, Node, RightEdge, TileCoord, TreeHead};

/// A tree with all its nodes and tiles. With 70,000 leaves it has tiles on three levels, full ones on two.
pub struct Tree {
    head: TreeHead,
    nodes: Vec<Vec<Hash>>, // by level
    tiles: Vec<HashTile>,
}

impl Tree {
    /// The tree over the numbers below `size`.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let leaves: Vec<Hash> = (0..size).map(|i| Hash::leaf(&i.to_be_bytes())).collect();
        let mut edge = RightEdge::empty();
        let tiles = edge.append(leaves.iter().copied());
        Self { head: edge.head(), nodes: nodes_above(leaves), tiles }
    }

    /// Size and root hash.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }

    /// All tiles, the partial ones included.
    #[must_use]
    pub fn tiles(&self) -> &[HashTile] {
        &self.tiles
    }

    /// The tile at this place, in this width.
    #[must_use]
    pub fn tile(&self, coord: TileCoord) -> Option<&HashTile> {
        self.tiles.iter().find(|tile| tile.coord() == coord)
    }

    /// The hash of a node.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<Hash> {
        let level = self.nodes.get(usize::from(node.level()))?;
        level.get(usize::try_from(node.index()).ok()?).copied()
    }
}

/// All complete nodes over these leaves, level by level.
fn nodes_above(leaves: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut nodes = vec![leaves];
    while let Some(below) = nodes.last().filter(|level| level.len() > 1) {
        let (pairs, _) = below.as_chunks();
        nodes.push(pairs.iter().map(|&[left, right]| Hash::node(left, right)).collect());
    }
    nodes
}
