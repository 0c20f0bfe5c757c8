//! The tree that a writer grows: its right edge, and the entries of the bundle that is not full.

use bytes::Bytes;
use kiln_storage::{Object, ObjectPath};
use kiln_tiles::{BundleCoord, Hash, HashTile, RightEdge, TILE_WIDTH, TreeHead, push_entry};

use crate::entry::Entry;

/// All of a tree that is needed to append to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tree {
    edge: RightEdge,
    partial_bundle: Vec<u8>, // the entries of the bundle that is not full, framed
}

impl Tree {
    /// The tree of a new log.
    #[must_use]
    pub const fn empty() -> Self {
        Self { edge: RightEdge::empty(), partial_bundle: Vec::new() }
    }

    /// A tree from its edge and its partial bundle, which the caller verified.
    pub(crate) const fn from_parts(edge: RightEdge, partial_bundle: Vec<u8>) -> Self {
        Self { edge, partial_bundle }
    }

    /// Size and root hash.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.edge.head()
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The right edge.
    #[must_use]
    pub const fn edge(&self) -> &RightEdge {
        &self.edge
    }

    /// Appends entries. Returns the objects that the tree now implies and did not before: bundles,
    /// then tiles, each partial one at its new width.
    pub fn append(&mut self, entries: &[Entry]) -> Vec<Object> {
        let mut objects = self.append_to_bundles(entries);
        let tiles = self.edge.append(entries.iter().map(Entry::leaf));
        objects.extend(tiles.iter().map(tile_object));
        objects
    }

    fn append_to_bundles(&mut self, entries: &[Entry]) -> Vec<Object> {
        let mut objects = Vec::new();
        for (entry, index) in entries.iter().zip(self.size()..) {
            push_entry(&mut self.partial_bundle, entry.bytes()).expect("an Entry is not too long");
            if (index + 1).is_multiple_of(TILE_WIDTH) {
                // The next one is about as long, and need not grow step by step.
                let next = Vec::with_capacity(self.partial_bundle.len());
                let full = std::mem::replace(&mut self.partial_bundle, next);
                objects.push(bundle_object(index, index + 1, full.into()));
            }
        }
        let end = self.size() + entries.len() as u64;
        if !self.partial_bundle.is_empty() && !entries.is_empty() {
            objects.push(bundle_object(end - 1, end, Bytes::copy_from_slice(&self.partial_bundle)));
        }
        objects
    }

    /// The root hash this tree has after `entries` of these leaves more.
    pub(crate) fn root_after(&self, leaves: impl IntoIterator<Item = Hash>) -> Hash {
        let mut edge = self.edge.clone();
        edge.append(leaves);
        edge.root()
    }
}

fn bundle_object(entry: u64, size: u64, body: Bytes) -> Object {
    let coord = BundleCoord::holding(entry, size).expect("the entry is in the tree");
    Object { path: object_path(&coord), body }
}

fn tile_object(tile: &HashTile) -> Object {
    Object { path: object_path(&tile.coord()), body: tile.to_bytes().into() }
}

/// The name of a resource of the log in its store: the path it is served at.
pub(crate) fn object_path(resource: &impl ToString) -> ObjectPath {
    resource.to_string().parse().expect("the path of a tile or bundle is an object name")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(range: std::ops::Range<u64>) -> Vec<Entry> {
        range.map(|i| Entry::new(Bytes::from(format!("entry {i}"))).unwrap()).collect()
    }

    #[test]
    fn a_round_writes_what_the_tree_now_implies() {
        let mut tree = Tree::empty();
        let mut paths = |n| {
            let from = tree.size();
            tree.append(&entries(from..from + n)).iter().map(|o| o.path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(paths(2), ["tile/entries/000.p/2", "tile/0/000.p/2"]);
        assert_eq!(paths(254), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(
            paths(257),
            ["tile/entries/001", "tile/entries/002.p/1", "tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2"]
        );
        assert_eq!(paths(0), [""; 0]);
    }

    #[test]
    fn rounds_of_any_size_make_the_same_objects() {
        let mut whole = Tree::empty();
        let once = whole.append(&entries(0..1000));
        let mut tree = Tree::empty();
        let mut seen = std::collections::BTreeMap::new();
        for round in [1, 255, 256, 488] {
            for object in tree.append(&entries(tree.size()..tree.size() + round)) {
                seen.insert(object.path, object.body);
            }
        }
        assert_eq!(tree, whole);
        for object in once {
            assert_eq!(seen.get(&object.path), Some(&object.body), "{}", object.path);
        }
    }
}
