//! Logs that can prove, and be forked. The tests in `tests/` have them too.

use kiln_tiles::{AddCheckpoint, Checkpoint, Hash, Node, Note, Proof, SigningKey, Subtree, TreeHead};

use crate::{Log, Logs};

/// A log whose entries are numbers; a fork of it has other ones from some index on.
pub(crate) struct TestLog {
    pub(crate) key: SigningKey,
    forked_at: u64,
}

impl TestLog {
    pub(crate) fn new(origin: &str) -> Self {
        Self { key: SigningKey::from_seed(origin.parse().unwrap(), [7; 32]), forked_at: u64::MAX }
    }

    /// The same log, with other entries from `index` on.
    pub(crate) fn forked_at(&self, index: u64) -> Self {
        Self { forked_at: index, ..Self::new(self.origin()) }
    }

    pub(crate) fn origin(&self) -> &str {
        self.key.name().as_str()
    }

    pub(crate) fn log(&self) -> Log {
        Log::new(self.origin().to_owned(), vec![self.key.verifier_key()])
    }

    pub(crate) fn entry(&self, index: u64) -> String {
        format!("{:?}", (index, index >= self.forked_at))
    }

    fn node(&self, node: Node) -> Hash {
        if node.level() == 0 {
            return Hash::leaf(self.entry(node.index()).as_bytes());
        }
        let child = |index| self.node(Node::new(node.level() - 1, index).unwrap());
        Hash::node(child(2 * node.index()), child(2 * node.index() + 1))
    }

    pub(crate) fn hash(&self, subtree: Subtree) -> Hash {
        subtree.hash(|node| Some(self.node(node))).unwrap()
    }

    pub(crate) fn head(&self, size: u64) -> TreeHead {
        let root = Subtree::whole(size).map_or_else(Hash::empty_tree, |tree| self.hash(tree));
        TreeHead::new(size, root).unwrap()
    }

    pub(crate) fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint::new(self.origin(), self.head(size)).unwrap()
    }

    pub(crate) fn note(&self, size: u64) -> Note {
        self.key.sign(self.checkpoint(size).to_string()).unwrap()
    }

    pub(crate) fn prove(&self, subtree: Subtree, size: u64) -> Proof {
        Proof::make(subtree, size, |node| Some(self.node(node))).unwrap()
    }

    /// A request that a witness which knows the tree of size `old` grants.
    pub(crate) fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        let proof = Subtree::whole(old).map_or_else(Proof::default, |earlier| self.prove(earlier, size));
        AddCheckpoint { old, proof, checkpoint: self.note(size) }
    }
}

/// The logs that are known, for what needs no more.
pub(crate) fn logs(of: &[&TestLog]) -> Logs {
    of.iter().map(|log| log.log()).collect()
}
