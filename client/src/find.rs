//! Where an entry is, from its leaf hash: a scan of level-0 tiles, newest first.

use std::ops::{Range, RangeBounds};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use kiln_tiles::{Hash, TILE_WIDTH};

use crate::client::Client;
use crate::error::ClientError;
use crate::fetch;
use crate::leaves::Leaves;
use crate::offload::offload;
use crate::source::Source;
use crate::stream::{ends, starts, up_to_error};
use crate::tree::Tree;

/// How far a long walk has come, in entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// How many entries are behind.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

impl<S: Source + 'static> Client<S> {
    /// The index of the newest entry with this leaf hash within `range`; `None` where the range, all
    /// of which was verified, has none.
    ///
    /// It reads 32 bytes for each entry of the range, newest first: an index that is known, if only
    /// roughly, saves a lot. `progress` is called after each tile.
    ///
    /// # Errors
    /// Where the range lies beyond the log, or a tile cannot be read or does not verify.
    pub async fn find(
        &self,
        leaf: Hash,
        range: impl RangeBounds<u64>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Option<u64>, ClientError> {
        let (start, end) = ends(&range);
        let tree = self.reaching(end.unwrap_or(0)).await?.tree;
        let range = start..end.unwrap_or(tree.head().size);
        let total = range.end.saturating_sub(start);
        let mut scan = Box::pin(scan(tree, leaf, range.clone()));
        while let Some(scanned) = scan.next().await {
            let (from, found) = scanned?;
            progress(Progress { done: range.end - from, total });
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Looks at the tiles of `range`, newest first: where each begins, and where `leaf` is in it.
fn scan<S: Source + 'static>(
    tree: Arc<Tree<S>>,
    leaf: Hash,
    range: Range<u64>,
) -> impl futures_util::Stream<Item = Result<(u64, Option<u64>), ClientError>> + Send {
    let parallelism = tree.reader().parallelism;
    let (planner, reader) = (Arc::clone(&tree), tree);
    let planned = stream::iter(starts(range.clone()).rev()).then(move |start| {
        let tree = Arc::clone(&planner);
        async move { Ok::<_, ClientError>((start, tree.leaves(start).await?)) }
    });
    let read = planned.map(move |planned| {
        let (tree, range) = (Arc::clone(&reader), range.clone());
        async move {
            let (start, leaves) = planned?;
            Ok((start, look(&tree, leaves, leaf, range).await?))
        }
    });
    up_to_error(read.buffered(parallelism))
}

async fn look<S: Source>(
    tree: &Tree<S>,
    leaves: Leaves,
    leaf: Hash,
    range: Range<u64>,
) -> Result<Option<u64>, ClientError> {
    let tile = leaves.tile();
    let found = match tree.reader().cache.get(tile).await {
        Some(cached) if leaves.are(&cached) => return Ok(position(cached.hashes(), leaf, tile.index(), &range)),
        _ => fetch::found(&*tree.reader().source, tile).await?,
    };
    let look = move || Ok(position(leaves.verify_tile(&found)?.hashes(), leaf, tile.index(), &range));
    offload(look).await
}

fn position(hashes: &[Hash], leaf: Hash, tile: u64, range: &Range<u64>) -> Option<u64> {
    let start = tile * TILE_WIDTH;
    let matching = (start..).zip(hashes).filter(|&(index, hash)| *hash == leaf && range.contains(&index));
    matching.last().map(|(index, _)| index)
}
