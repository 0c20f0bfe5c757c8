//! Merkle arithmetic, as others wrote it down: iterative where kiln-tiles is recursive, and the other
//! way round.

use std::collections::VecDeque;

use kiln_tiles::{Hash, HashTile, Subtree};

/// The hashes of the subtree and of the tree of `size` leaves to which a proof leads, by the loop of
/// [Merkle Tree Certificates]; `None` where the proof is too short or too long.
///
/// [Merkle Tree Certificates]: https://www.ietf.org/archive/id/draft-ietf-plants-merkle-tree-certs-02.html#name-verifying-a-subtree-consist
#[must_use]
pub fn lead_to_root(subtree: Subtree, size: u64, hash: Hash, proof: &[Hash]) -> Option<(Hash, Hash)> {
    let mut proof = VecDeque::from(proof.to_vec());
    let mut path = Path { first: subtree.start(), second: subtree.end() - 1, last: size.checked_sub(1)? };
    let at_the_end = path.second == path.last;
    while path.first != path.second && (at_the_end || path.second % 2 == 1) {
        path.up();
    }
    let start = if path.first == path.second { hash } else { proof.pop_front()? };
    let (mut found, mut root) = (start, start);
    for sibling in proof {
        if path.last == 0 {
            return None;
        }
        if path.second % 2 == 1 || path.second == path.last {
            if path.first < path.second {
                found = Hash::node(sibling, found);
            }
            root = Hash::node(sibling, root);
            while path.second.is_multiple_of(2) {
                path.up();
            }
        } else {
            root = Hash::node(root, sibling);
        }
        path.up();
    }
    (path.last == 0).then_some((found, root))
}

/// The draft's `fn`, `sn` and `tn`: first and last node of the subtree, and last of the tree.
struct Path {
    first: u64,
    second: u64,
    last: u64,
}

impl Path {
    fn up(&mut self) {
        self.first >>= 1;
        self.second >>= 1;
        self.last >>= 1;
    }
}

/// The root hash over partial tiles, lowest level first: each tile's hashes, and behind them the hash
/// of all that is below, are a tree as RFC 6962 defines it.
#[must_use]
pub fn edge_root(tiles: &[HashTile]) -> Hash {
    let all = |below: Option<Hash>, tile: &HashTile| {
        Some(merkle_tree_hash(&tile.hashes().iter().copied().chain(below).collect::<Vec<_>>()))
    };
    tiles.iter().fold(None, all).unwrap_or_else(Hash::empty_tree)
}

/// RFC 6962's definition of the Merkle tree hash, word for word.
fn merkle_tree_hash(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Hash::empty_tree(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
            Hash::node(merkle_tree_hash(left), merkle_tree_hash(right))
        }
    }
}
