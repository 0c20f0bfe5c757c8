//! Where an entry is, from its leaf hash: a scan of level-0 tiles, newest first.

use std::ops::{Range, RangeBounds};
use std::sync::Arc;

use futures_util::stream::StreamExt;
use kiln_tiles::{Hash, HashTile};

use crate::client::Client;
use crate::error::ClientError;
use crate::leaves::Leaves;
use crate::pipeline;
use crate::source::Source;
use crate::stream::ends;
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
        let range = start..end.unwrap_or(tree.head().size());
        let total = range.end.saturating_sub(start);
        let newest_first = pipeline::starts(range.clone()).rev();
        let within = range.clone();
        let mut scan = Box::pin(pipeline::run(tree, newest_first, move |tree, leaves| {
            look(tree, leaves, leaf, within.clone())
        }));
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

/// Reads a tile, and returns what verifies it and looks: where it begins, and where `leaf` is in it.
async fn look<S: Source>(
    tree: Arc<Tree<S>>,
    leaves: Leaves,
    leaf: Hash,
    range: Range<u64>,
) -> Result<impl FnOnce() -> Result<(u64, Option<u64>), ClientError> + Send, ClientError> {
    let start = leaves.bundle().start();
    let tile = tree.read_tile(leaves).await?;
    Ok(move || {
        let tile = tile.verify()?;
        Ok((start.max(range.start), position(&tile, start, leaf, &range)))
    })
}

fn position(tile: &HashTile, start: u64, leaf: Hash, range: &Range<u64>) -> Option<u64> {
    let matching =
        (start..).zip(tile.hashes()).filter(|&(index, hash)| *hash == leaf && range.contains(&index));
    matching.last().map(|(index, _)| index)
}
