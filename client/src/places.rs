//! Whether entries are where somebody said, without reading them: their leaf hashes against level-0 tiles.

use std::sync::Arc;

use futures_util::stream::StreamExt;
use kiln_tiles::{Hash, HashTile, TILE_WIDTH};

use crate::client::Client;
use crate::error::ClientError;
use crate::find::Progress;
use crate::pipeline;
use crate::source::Source;

impl<S: Source + 'static> Client<S> {
    /// Verifies that the log has each of these leaf hashes at its index, as after
    /// [`Submitter::submit_batch`](crate::Submitter::submit_batch), whose answer is only a server's word.
    ///
    /// It asks for a newer checkpoint only where the known tree does not reach the largest index. Each
    /// level-0 tile that holds one of the indices is read once, [several at a
    /// time](crate::ClientBuilder::parallelism): 32 bytes for each entry where indices are dense.
    /// `progress` is called after each tile. Beside the pairs themselves, memory is bounded.
    ///
    /// # Errors
    /// [`ClientError::OtherEntry`] with the smallest index that has another leaf hash;
    /// [`ClientError::NoEntry`] where one lies beyond the log; else as [`get`](Self::get).
    pub async fn verify_leaves(
        &self,
        leaves: impl IntoIterator<Item = (u64, Hash)>,
        mut progress: impl FnMut(Progress),
    ) -> Result<(), ClientError> {
        let mut places: Vec<(u64, Hash)> = leaves.into_iter().collect();
        places.sort_unstable_by_key(|&(index, _)| index);
        let Some(&(last, _)) = places.last() else { return Ok(()) };
        let tree = self.having(last, None).await?.tree;
        let (mut done, total) = (0, places.len() as u64);
        let starts = starts(&places);
        let places = Arc::new(places);
        let mut walk = Box::pin(pipeline::run(tree, starts.into_iter(), move |tree, leaves| {
            let places = Arc::clone(&places);
            async move {
                let tile = tree.read_tile(leaves).await?;
                Ok(move || compare(&tile.verify()?, &places))
            }
        }));
        while let Some(compared) = walk.next().await {
            done += compared?;
            progress(Progress { done, total });
        }
        Ok(())
    }
}

/// Where each bundle starts that holds one of these indices, which are in order.
fn starts(places: &[(u64, Hash)]) -> Vec<u64> {
    let mut starts: Vec<u64> = Vec::new();
    for start in places.iter().map(|&(index, _)| index - index % TILE_WIDTH) {
        if starts.last() != Some(&start) {
            starts.push(start);
        }
    }
    starts
}

/// Compares a verified tile with the places that lie in it, and counts them.
fn compare(tile: &HashTile, places: &[(u64, Hash)]) -> Result<u64, ClientError> {
    let start = tile.coord().index() * TILE_WIDTH;
    let first = places.partition_point(|&(index, _)| index < start);
    let here = places[first..].iter().take_while(|&&(index, _)| index - start < TILE_WIDTH);
    let mut count = 0;
    for &(index, expected) in here {
        let position = usize::try_from(index - start).ok();
        if position.and_then(|position| tile.hashes().get(position)) != Some(&expected) {
            return Err(ClientError::OtherEntry { index });
        }
        count += 1;
    }
    Ok(count)
}
