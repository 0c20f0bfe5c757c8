//! Makes tlog proofs for entries that were just published.

use kiln_storage::ImmutableObjects;
use kiln_tiles::{Node, Proof, SignedCheckpoint, Subtree, TileCoord, TlogProof, VerifiedTiles};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::read::{self, ReadError, Tiles};

/// How many levels above the leaves are kept from proof to proof.
const MOST_LEAF_TILES: usize = 256;

/// Keeps the tiles of the newest checkpoint, since its entries are asked for together.
#[derive(Debug, Default)]
pub(super) struct Prover {
    newest: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    tiles: VerifiedTiles,
    leaf_tiles: usize,
}

/// Why there is no proof now. The entry is logged all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// Its tiles cannot be read back.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store took too long.
    #[error("its tiles were not read in time")]
    TooSlow,
}

impl Prover {
    /// The proof that the entry at `index` is in the tree of `checkpoint`, which covers it.
    ///
    /// One proof is made at a time, since the next mostly needs the same tiles. `store` must give up
    /// a read that hangs: those behind it wait no longer than until their own `deadline`.
    pub(super) async fn prove(
        &self,
        store: &impl ImmutableObjects,
        index: u64,
        checkpoint: &SignedCheckpoint,
        deadline: Instant,
    ) -> Result<TlogProof, ProveError> {
        let made = timeout_at(deadline, self.make(store, index, checkpoint)).await;
        Ok(made.map_err(|_| ProveError::TooSlow)??)
    }

    async fn make(
        &self,
        store: &impl ImmutableObjects,
        index: u64,
        checkpoint: &SignedCheckpoint,
    ) -> Result<TlogProof, ReadError> {
        let head = checkpoint.head();
        let stored = Tiles::new(store, head);
        let leaf = Subtree::new(index, index + 1).expect("an index is below 2^63");
        let parts = Proof::parts(leaf, head.size()).expect("the checkpoint covers the entry");
        let nodes: Vec<Node> = parts.into_iter().flat_map(Subtree::nodes).collect();

        let mut newest = self.newest.lock().await;
        let kept = match newest.take().filter(|kept| kept.tiles.head() == head) {
            Some(kept) => kept,
            None => Kept { tiles: read::load_verified(stored, head, []).await?, leaf_tiles: 0 },
        };
        let Kept { mut tiles, mut leaf_tiles } = kept;
        leaf_tiles += tiles.missing(nodes.iter().copied()).len();
        read::insert_missing(stored, &mut tiles, nodes).await?;
        let inclusion = Proof::make(leaf, head.size(), |node| tiles.node(node)).expect("its tiles were read");
        if leaf_tiles > MOST_LEAF_TILES {
            tiles.retain(above_the_leaves);
            leaf_tiles = 0;
        }
        *newest = Some(Kept { tiles, leaf_tiles });
        Ok(TlogProof::new(index, inclusion, checkpoint.note().clone()))
    }
}

fn above_the_leaves(tile: TileCoord) -> bool {
    tile.level() > 0
}
