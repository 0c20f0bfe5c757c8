//! What is known of a tree's past: whether it extends another.

use kiln_storage::Store;
use kiln_tiles::{Hash, TreeHead};

use crate::entry::Entry;
use crate::read::{self, ReadError, Tiles};
use crate::tree::Tree;

/// What a writer knows of the tree that it commits: a base whose tiles are in the store, and the
/// leaves that came after it, from which any earlier root hash follows.
#[derive(Debug)]
pub(crate) struct Lineage<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) base: &'a Tree,
    pub(crate) rounds: &'a [&'a [Entry]],
    pub(crate) head: TreeHead,
}

impl<S: Store> Lineage<'_, S> {
    /// The root hash that this tree had at an earlier size: computed, never looked up. `None` for
    /// a size above its own.
    pub(crate) async fn root_at(&self, size: u64) -> Result<Option<Hash>, ReadError> {
        if size > self.head.size() {
            return Ok(None);
        }
        if size == self.head.size() {
            return Ok(Some(self.head.root()));
        }
        match size.checked_sub(self.base.size()) {
            Some(0) => Ok(Some(self.base.head().root())),
            Some(more) => Ok(Some(self.root_after(more))),
            None => Ok(Some(read::load_root_at(self.tiles(), self.base.head(), size).await?)),
        }
    }

    pub(crate) const fn tiles(&self) -> Tiles<'_, S> {
        Tiles::new(self.store, self.head)
    }

    /// The leaf hashes that came after the base.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = Hash> {
        self.rounds.iter().flat_map(|round| round.iter()).map(Entry::leaf)
    }

    fn root_after(&self, more: u64) -> Hash {
        self.base.root_after(self.leaves().zip(0..more).map(|(leaf, _)| leaf))
    }

    /// Whether this tree extends `earlier`.
    pub(crate) async fn extends(&self, earlier: TreeHead) -> Result<bool, ReadError> {
        Ok(self.root_at(earlier.size()).await? == Some(earlier.root()))
    }
}
