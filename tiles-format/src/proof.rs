//! Merkle proofs: that a leaf, an earlier tree or a subtree is part of a tree.
//!
//! Inclusion and consistency proofs of [RFC 6962] are two cases of one thing, the *subtree
//! consistency proof* of [Merkle Tree Certificates]: a leaf is the subtree `[i, i + 1)`, an earlier
//! tree the subtree `[0, m)`. So there is one way to make a proof here and one to verify it.
//!
//! [RFC 6962]: https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1.1
//! [Merkle Tree Certificates]: https://www.ietf.org/archive/id/draft-ietf-plants-merkle-tree-certs-02.html#name-subtree-consistency-proofs

use crate::hash::Hash;
use crate::tree::{Node, Subtree, TreeHead};

/// The hashes of a proof, from the leaves towards the root.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proof(Vec<Hash>);

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The leaf, the earlier tree or the subtree does not lie within the tree.
    #[error("what is to be proved lies outside of the tree")]
    Outside,
    /// The proof has too few or too many hashes for this subtree and tree.
    #[error("the proof has too few or too many hashes")]
    Length,
    /// The proof leads from the subtree to another root hash.
    #[error("the proof does not lead to the root hash of the tree")]
    Root,
    /// The proof shows that the tree has another subtree in this place.
    #[error("the tree has another subtree, or the earlier tree another root hash, in this place")]
    Subtree,
}

impl Proof {
    /// A tree has at most 2^63 - 1 leaves, so no proof has more hashes.
    pub const MAX_HASHES: usize = 64;

    /// Takes hashes as they were read; `None` for more than [`MAX_HASHES`](Self::MAX_HASHES).
    #[must_use]
    pub fn from_hashes(hashes: Vec<Hash>) -> Option<Self> {
        (hashes.len() <= Self::MAX_HASHES).then_some(Self(hashes))
    }

    /// The hashes, from the leaves towards the root.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }

    /// Which subtrees' hashes make up the proof that `subtree` is part of the tree of `size` leaves,
    /// in their order; `None` where it lies outside.
    #[must_use]
    pub fn parts(subtree: Subtree, size: u64) -> Option<Vec<Subtree>> {
        let tree = Subtree::whole(size).filter(|tree| tree.contains(subtree))?;
        let mut parts = Vec::new();
        collect_parts(subtree, tree, true, &mut parts);
        Some(parts)
    }

    /// Makes the proof that `subtree` is part of the tree of `size` leaves. `None` where it lies
    /// outside, or `nodes` lacks a node of the [`parts`](Self::parts).
    pub fn make(subtree: Subtree, size: u64, nodes: impl Fn(Node) -> Option<Hash>) -> Option<Self> {
        let parts = Self::parts(subtree, size)?;
        parts.into_iter().map(|part| part.hash(&nodes)).collect::<Option<_>>().map(Self)
    }

    /// Verifies that the subtree with this hash is part of `tree`.
    ///
    /// # Errors
    /// Where it is not, or the proof does not show it.
    pub fn verify(&self, subtree: Subtree, hash: Hash, tree: TreeHead) -> Result<(), ProofError> {
        let whole = Subtree::whole(tree.size()).filter(|whole| whole.contains(subtree));
        let mut hashes = self.0.iter().copied();
        let rebuilt = rebuild(subtree, whole.ok_or(ProofError::Outside)?, Some(hash), &mut hashes);
        let (found, root) = rebuilt.filter(|_| hashes.len() == 0).ok_or(ProofError::Length)?;
        match (root == tree.root(), found == hash) {
            (false, _) => Err(ProofError::Root),
            (true, false) => Err(ProofError::Subtree),
            (true, true) => Ok(()),
        }
    }

    /// Verifies that the leaf at `index` is part of `tree`.
    ///
    /// # Errors
    /// Where it is not, or the proof does not show it.
    pub fn verify_inclusion(&self, index: u64, leaf: Hash, tree: TreeHead) -> Result<(), ProofError> {
        let end = index.checked_add(1).ok_or(ProofError::Outside)?;
        self.verify(Subtree::new(index, end).ok_or(ProofError::Outside)?, leaf, tree)
    }

    /// Verifies that `tree` extends `earlier`. Every tree extends the empty one; its proof is empty.
    ///
    /// # Errors
    /// Where it does not, or the proof does not show it.
    pub fn verify_consistency(&self, earlier: TreeHead, tree: TreeHead) -> Result<(), ProofError> {
        match Subtree::whole(earlier.size()) {
            Some(subtree) => self.verify(subtree, earlier.root(), tree),
            None if !self.0.is_empty() => Err(ProofError::Length),
            None => Ok(()), // every tree extends the empty one
        }
    }
}

/// `SUBTREE_SUBPROOF(start, end, D, b)` of the draft: `known` is its `b`, whether the verifier
/// knows the hash of what is left of the subtree.
fn collect_parts(subtree: Subtree, tree: Subtree, known: bool, parts: &mut Vec<Subtree>) {
    let Some((left, right)) = tree.split().filter(|_| subtree != tree) else {
        if !known {
            parts.push(tree);
        }
        return;
    };
    if left.contains(subtree) {
        collect_parts(subtree, left, known, parts);
        parts.push(right);
    } else if right.contains(subtree) {
        collect_parts(subtree, right, known, parts);
        parts.push(left);
    } else {
        collect_parts(within(subtree, right), right, false, parts);
        parts.push(left);
    }
}

/// Rebuilds, along the same path, two hashes from the proof: of the subtree, and of the tree.
fn rebuild(
    subtree: Subtree,
    tree: Subtree,
    known: Option<Hash>,
    proof: &mut impl Iterator<Item = Hash>,
) -> Option<(Hash, Hash)> {
    let Some((left, right)) = tree.split().filter(|_| subtree != tree) else {
        let hash = known.or_else(|| proof.next())?;
        return Some((hash, hash));
    };
    if left.contains(subtree) {
        let (found, hash) = rebuild(subtree, left, known, proof)?;
        Some((found, Hash::node(hash, proof.next()?)))
    } else if right.contains(subtree) {
        let (found, hash) = rebuild(subtree, right, known, proof)?;
        Some((found, Hash::node(proof.next()?, hash)))
    } else {
        let (found, hash) = rebuild(within(subtree, right), right, None, proof)?;
        let left = proof.next()?;
        Some((Hash::node(left, found), Hash::node(left, hash)))
    }
}

/// What of a subtree lies within the right half of a tree whose left half it covers.
fn within(subtree: Subtree, right: Subtree) -> Subtree {
    Subtree::new(right.start(), subtree.end()).expect("the rest of a subtree is one")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 40;

    fn leaf(index: u64) -> Hash {
        Hash::leaf(&index.to_be_bytes())
    }

    fn node(node: Node) -> Option<Hash> {
        let (level, index) = (node.level(), node.index());
        let below = |index| node_at(level - 1, index);
        if level == 0 {
            Some(leaf(index))
        } else {
            Some(Hash::node(below(2 * index)?, below(2 * index + 1)?))
        }
    }

    fn node_at(level: u8, index: u64) -> Option<Hash> {
        node(Node::new(level, index)?)
    }

    fn head(size: u64) -> TreeHead {
        let root = Subtree::whole(size).map_or_else(Hash::empty_tree, |tree| tree.hash(node).unwrap());
        TreeHead::new(size, root).unwrap()
    }

    /// Every subtree of every tree of up to `MOST` leaves, with its proof.
    fn all_proofs() -> impl Iterator<Item = (Subtree, Hash, TreeHead, Proof)> {
        let ranges =
            (1..=MOST).flat_map(|size| (0..size).flat_map(move |s| (s..=size).map(move |e| (s, e, size))));
        ranges.filter_map(|(start, end, size)| {
            let subtree = Subtree::new(start, end)?;
            let proof = Proof::make(subtree, size, node).unwrap();
            Some((subtree, subtree.hash(node).unwrap(), head(size), proof))
        })
    }

    #[test]
    fn what_is_made_verifies() {
        for (subtree, hash, tree, proof) in all_proofs() {
            assert_eq!(proof.verify(subtree, hash, tree), Ok(()), "{subtree:?} in {tree}");
        }
    }

    #[test]
    fn no_other_proof_of_the_same_thing_verifies() {
        for (subtree, hash, tree, proof) in all_proofs() {
            for i in 0..proof.0.len() {
                let mut changed = proof.clone();
                changed.0[i] = leaf(u64::MAX);
                assert!(changed.verify(subtree, hash, tree).is_err(), "{subtree:?} in {tree}: hash {i}");
            }
            let mut longer = proof.clone();
            longer.0.push(leaf(0));
            assert_eq!(longer.verify(subtree, hash, tree), Err(ProofError::Length));
            let mut shorter = proof.clone();
            if shorter.0.pop().is_some() {
                assert_eq!(shorter.verify(subtree, hash, tree), Err(ProofError::Length));
            }
            assert!(proof.verify(subtree, leaf(u64::MAX), tree).is_err());
            let other = TreeHead::new(tree.size(), leaf(u64::MAX)).unwrap();
            assert!(proof.verify(subtree, hash, other).is_err());
        }
    }

    #[test]
    fn a_consistency_proof_tells_a_fork_from_an_extension() {
        let nodes = |forked: u64| {
            move |n: Node| if n.end() > forked { node_at(n.level(), n.index() + 1) } else { node(n) }
        };
        let subtree = Subtree::whole(5).unwrap();
        let proof = Proof::make(subtree, 13, node).unwrap();
        assert_eq!(proof.verify_consistency(head(5), head(13)), Ok(()));
        let fork = TreeHead::new(5, subtree.hash(nodes(4)).unwrap()).unwrap();
        assert_eq!(proof.verify_consistency(fork, head(13)), Err(ProofError::Subtree));
    }

    #[test]
    fn every_tree_extends_the_empty_one() {
        let none = Proof::default();
        assert_eq!(none.verify_consistency(TreeHead::empty(), head(7)), Ok(()));
        let some = Proof(vec![leaf(0)]);
        assert_eq!(some.verify_consistency(TreeHead::empty(), head(7)), Err(ProofError::Length));
    }

    #[test]
    fn what_lies_outside_is_neither_made_nor_verified() {
        let proof = Proof::default();
        assert_eq!(proof.verify_inclusion(0, leaf(0), TreeHead::empty()), Err(ProofError::Outside));
        assert_eq!(proof.verify_inclusion(u64::MAX, leaf(0), head(1)), Err(ProofError::Outside));
        assert_eq!(proof.verify_consistency(head(2), head(1)), Err(ProofError::Outside));
        assert_eq!(Proof::make(Subtree::whole(2).unwrap(), 1, node), None);
    }

    #[test]
    fn proofs_in_the_largest_tree_are_short_and_end() {
        let subtree = Subtree::new(0, 1).unwrap();
        assert_eq!(Proof::parts(subtree, crate::MAX_TREE_SIZE).unwrap().len(), 63);
        let proof = Proof(vec![leaf(0); Proof::MAX_HASHES]);
        let tree = TreeHead::new(crate::MAX_TREE_SIZE, leaf(0)).unwrap();
        assert_eq!(proof.verify_inclusion(0, leaf(0), tree), Err(ProofError::Length));
    }
}
