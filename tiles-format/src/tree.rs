//! The shape of a Merkle tree: heads, nodes and subtrees, without any hash of theirs.

use crate::hash::Hash;
use crate::text::MAX_TREE_SIZE;

/// The height of a tile: each holds the bottom hashes of a subtree of 2^8 = 256 hashes.
pub(crate) const TILE_HEIGHT: u8 = 8;

/// How many hashes or entries a full tile or bundle holds.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// A tree as its head describes it: how many leaves, and the root hash over them.
/// The fields are private: a `TreeHead` that exists is one that a tree may have.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TreeHead {
    size: u64, // 0..=MAX_TREE_SIZE
    root: Hash,
}

impl TreeHead {
    /// The head of a tree with `size` leaves; `None` above [`MAX_TREE_SIZE`], and for an empty tree with
    /// another root hash than it has.
    #[must_use]
    pub fn new(size: u64, root: Hash) -> Option<Self> {
        let possible = size <= MAX_TREE_SIZE && (size > 0 || root == Hash::empty_tree());
        possible.then_some(Self { size, root })
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The Merkle tree hash over them.
    #[must_use]
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// The head of a tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self { size: 0, root: Hash::empty_tree() }
    }
}

/// Writes `size:root`, the root in hex: the form in which people type a head.
impl core::fmt::Display for TreeHead {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}", self.size, self.root.to_hex())
    }
}

/// The text is no tree head of the form `SIZE:ROOT`, the root in hex.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a tree size, a colon and the root hash of such a tree in 64 hex digits")]
pub struct ParseTreeHeadError;

impl core::str::FromStr for TreeHead {
    type Err = ParseTreeHeadError;

    fn from_str(text: &str) -> Result<Self, ParseTreeHeadError> {
        let (size, root) = text.split_once(':').ok_or(ParseTreeHeadError)?;
        let size = crate::text::parse_decimal(size).ok_or(ParseTreeHeadError)?;
        let root = Hash::from_hex(root).ok_or(ParseTreeHeadError)?;
        Self::new(size, root).ok_or(ParseTreeHeadError)
    }
}

/// A complete subtree: the leaves `index * 2^level` up to `(index + 1) * 2^level`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Node {
    level: u8, // 0..=63
    index: u64,
}

impl Node {
    /// The node at `(level, index)`; `None` where its leaves would lie beyond any tree.
    #[must_use]
    pub const fn new(level: u8, index: u64) -> Option<Self> {
        if level >= 64 || index > MAX_TREE_SIZE >> level { None } else { Some(Self { level, index }) }
    }

    /// The leaf at `index`.
    #[must_use]
    pub const fn leaf(index: u64) -> Option<Self> {
        Self::new(0, index)
    }

    /// The height above the leaves.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.level
    }

    /// The index among the nodes of this level.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// The leaves below the node end before this index.
    #[must_use]
    pub const fn end(self) -> u64 {
        // At most 2^63 - 1 shifted down and up again, plus at most 2^63.
        (self.index << self.level).wrapping_add(1 << self.level)
    }
}

/// A range of leaves that is a subtree of every tree that has them:
/// `start` is a multiple of the smallest power of two that is at least `end - start`.
///
/// See [draft-ietf-plants-merkle-tree-certs, section 4](https://www.ietf.org/archive/id/draft-ietf-plants-merkle-tree-certs-02.html#name-subtrees).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Subtree {
    start: u64,
    end: u64,
}

impl Subtree {
    /// The subtree of the leaves `start..end`; `None` where that is no subtree, or empty.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start >= end || end > MAX_TREE_SIZE {
            return None;
        }
        let aligned = start.is_multiple_of((end - start).next_power_of_two());
        if aligned { Some(Self { start, end }) } else { None }
    }

    /// The whole tree of `size` leaves; `None` for the empty tree, which has no nodes.
    #[must_use]
    pub const fn whole(size: u64) -> Option<Self> {
        Self::new(0, size)
    }

    /// The index of the first leaf.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The index after the last leaf.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// The two subtrees that hash to this one: the left one is the largest that is complete
    /// and smaller than the whole. `None` for a leaf.
    pub(crate) const fn split(self) -> Option<(Self, Self)> {
        let leaves = self.end - self.start;
        if leaves < 2 {
            return None;
        }
        let middle = self.start + (leaves.next_power_of_two() >> 1);
        Some((Self { start: self.start, end: middle }, Self { start: middle, end: self.end }))
    }

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The complete subtrees that make up this one, largest first: at most 63.
    pub fn nodes(self) -> impl Iterator<Item = Node> {
        let mut start = self.start;
        core::iter::from_fn(move || {
            let left = self.end.checked_sub(start).filter(|&left| left > 0)?;
            #[expect(clippy::cast_possible_truncation, reason = "a logarithm is at most 63")]
            let level = left.ilog2() as u8;
            let node = Node { level, index: start >> level };
            start += 1 << level;
            Some(node)
        })
    }

    /// The hash of this subtree, from the hashes of its nodes; `None` where `nodes` lacks one.
    pub fn hash(self, nodes: impl Fn(Node) -> Option<Hash>) -> Option<Hash> {
        let hashes: Vec<Hash> = self.nodes().map(nodes).collect::<Option<_>>()?;
        hashes.into_iter().rev().reduce(|right, left| Hash::node(left, right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_starts_at_a_multiple_of_its_rounded_size() {
        for (start, end) in [(0, 1), (0, 7), (4, 8), (8, 13), (6, 7), (0, MAX_TREE_SIZE)] {
            assert!(Subtree::new(start, end).is_some(), "{start}..{end}");
        }
        for (start, end) in [(0, 0), (2, 1), (1, 3), (2, 5), (4, 9), (0, MAX_TREE_SIZE + 1)] {
            assert!(Subtree::new(start, end).is_none(), "{start}..{end}");
        }
    }

    #[test]
    fn a_subtree_is_made_of_complete_ones() {
        let nodes = |start, end| {
            Subtree::new(start, end).unwrap().nodes().map(|n| (n.level(), n.index())).collect::<Vec<_>>()
        };
        assert_eq!(nodes(0, 7), [(2, 0), (1, 2), (0, 6)]);
        assert_eq!(nodes(8, 13), [(2, 2), (0, 12)]);
        assert_eq!(nodes(0, MAX_TREE_SIZE).len(), 63);
    }

    #[test]
    fn a_node_beyond_every_tree_does_not_exist() {
        assert!(Node::new(63, 0).is_some());
        assert!(Node::new(63, 1).is_none());
        assert!(Node::new(64, 0).is_none());
        assert_eq!(Node::new(3, 2).unwrap().end(), 24);
    }

    #[test]
    fn a_head_reads_what_it_prints() {
        let head = TreeHead::new(12, Hash::leaf(b"x")).unwrap();
        assert_eq!(head.to_string().parse(), Ok(head));
        assert_eq!("12".parse::<TreeHead>(), Err(ParseTreeHeadError));
        assert_eq!(format!("012:{}", head.root.to_hex()).parse::<TreeHead>(), Err(ParseTreeHeadError));
    }
}
