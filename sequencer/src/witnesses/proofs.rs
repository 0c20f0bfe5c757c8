//! Consistency proofs for witnesses, from tiles that rounds wrote a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kiln_storage::{CreateError, ImmutableObjects, Object, ObjectPath, Register, StorageError, Store};
use kiln_tiles::{Node, Proof, Subtree, TreeHead};

use crate::log::Log;
use crate::read::{self, ReadError, Tiles};
use crate::round::CommittedRound;

/// How many tiles are kept. A proof from one round to the next takes two for each level, and ten levels are a
/// log that nobody has.
const MOST: usize = 128;

/// Hash tiles that were written or read lately: those that a witness which keeps up needs. Each is immutable.
#[derive(Debug, Default)]
pub(crate) struct RecentTiles(Mutex<HashMap<ObjectPath, Bytes>>);

impl RecentTiles {
    /// Keeps what the proof from the tree before these rounds to the newest one needs: all tiles above the leaves,
    /// and of those with leaves the first, which the tree before ended in, and the last.
    pub(crate) fn keep(&self, rounds: &[Arc<CommittedRound>]) {
        let mut tiles = self.lock();
        if tiles.len() > MOST {
            tiles.clear();
        }
        for round in rounds {
            let of_level = |level: &'static str| {
                round.objects.iter().filter(move |tile| tile.path.as_str().starts_with(level))
            };
            let leaves = || of_level("tile/0/");
            let above = of_level("tile/").filter(|tile| !tile.path.as_str().starts_with("tile/0/"));
            let hashes = above.filter(|tile| !tile.path.as_str().starts_with("tile/entries/"));
            for tile in hashes.chain(leaves().next()).chain(leaves().last()) {
                tiles.insert(tile.path.clone(), tile.body.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectPath, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store with the tiles in front of it that are known already.
struct Remembering<'a, S> {
    store: &'a S,
    recent: &'a RecentTiles,
}

impl<S: ImmutableObjects + Sync> ImmutableObjects for Remembering<'_, S> {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        self.store.create(objects).await
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        let known = self.recent.lock().get(path).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let found = self.store.read(path).await?;
        if let Some(body) = &found {
            self.recent.lock().insert(path.clone(), body.clone());
        }
        Ok(found)
    }
}

/// Makes proofs to one tree, every tile of which is in the store.
#[derive(Debug)]
pub(crate) struct Proofs<S, G> {
    log: Arc<Log<S, G>>,
    recent: Arc<RecentTiles>,
    head: TreeHead,
}

impl<S: Store, G: Register> Proofs<S, G> {
    pub(crate) const fn new(log: Arc<Log<S, G>>, recent: Arc<RecentTiles>, head: TreeHead) -> Self {
        Self { log, recent, head }
    }

    /// The proof that the tree extends the one of size `old`; `None` where it is smaller.
    pub(crate) async fn from(&self, old: u64) -> Result<Option<Proof>, ReadError> {
        let Some(earlier) = Subtree::whole(old) else { return Ok(Some(Proof::default())) };
        let Some(parts) = Proof::parts(earlier, self.head.size()) else { return Ok(None) };
        let nodes: Vec<Node> = parts.into_iter().flat_map(Subtree::nodes).collect();
        let store = Remembering { store: &self.log.store, recent: &self.recent };
        let tiles = read::load_verified(Tiles::new(&store, self.head), self.head, nodes).await;
        // What does not verify must not be remembered.
        let tiles = tiles.inspect_err(|_| self.recent.lock().clear())?;
        Ok(Proof::make(earlier, self.head.size(), |node| tiles.node(node)))
    }
}
