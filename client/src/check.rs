//! Everything that a checkpoint implies, read and verified: what `kiln fsck` does.

use std::sync::Arc;

use futures_util::future;
use futures_util::stream::StreamExt;
use kiln_tiles::{SignedCheckpoint, TreeHead, partial_tiles};

use crate::blame::blame;
use crate::bundle::VerifiedBundle;
use crate::cache::Cache;
use crate::client::Client;
use crate::error::{BadLog, ClientError};
use crate::fetch;
use crate::find::Progress;
use crate::leaves::Leaves;
use crate::pipeline;
use crate::source::Source;
use crate::tree::{Reader, Tree};

/// What [`Client::check_log`] verified.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Checked {
    /// The checkpoint, all of which is there.
    pub checkpoint: SignedCheckpoint,
    /// How many bundles were read.
    pub bundles: u64,
    /// How many hash tiles, on all levels, were read.
    pub tiles: u64,
    /// How many bytes the entries have together.
    pub entry_bytes: u64,
}

impl<S: Source + 'static> Client<S> {
    /// Reads and verifies everything that the log's current checkpoint implies: each tile on each
    /// level, full and partial, and each bundle. Caches are left aside: what is verified is what
    /// the source serves now. The checkpoint is compared with the newest one known, as by
    /// [`update`](Self::update). `progress` is called after each bundle.
    ///
    /// Memory is bounded by [`parallelism`](crate::ClientBuilder::parallelism) bundles. A partial
    /// tile or bundle that is gone is no fault where the full one is there.
    ///
    /// # Errors
    /// [`ClientError::BadLog`] with the path of the first object that is missing, truncated, too
    /// long or different; a checkpoint that is gone is one. Other errors say nothing about the log.
    pub async fn check_log(&self, mut progress: impl FnMut(Progress)) -> Result<Checked, ClientError> {
        let shared = &*self.shared;
        let checkpoint = match fetch::checkpoint(&*shared.reader.source, &shared.log).await {
            Err(ClientError::NoCheckpoint) => Err(missing(fetch::CHECKPOINT)),
            read => read,
        }?;
        let head = checkpoint.head();
        let tree = Arc::new(open(&shared.reader, head).await?);
        self.update().await?;
        let tiles = tiles_of(head.size());
        let mut checked = Checked { checkpoint, bundles: 0, tiles, entry_bytes: 0 };
        // In order; the full tiles of the upper levels come in on the way, each with the first bundle
        // below it.
        let starts = pipeline::starts(0..head.size());
        let mut walk = Box::pin(pipeline::run(tree, starts, read));
        while let Some(bundle) = walk.next().await {
            let bundle = bundle?;
            checked.bundles += 1;
            checked.entry_bytes += bundle.entry_bytes();
            progress(Progress { done: bundle.end(), total: head.size() });
        }
        Ok(checked)
    }
}

fn missing(path: &str) -> ClientError {
    BadLog::Missing { path: path.to_owned() }.into()
}

/// The tree as the source serves it, not as a cache remembers it.
async fn open<S: Source>(reader: &Reader<S>, head: TreeHead) -> Result<Tree<S>, ClientError> {
    let uncached = Reader { cache: Arc::new(Cache::default()), ..reader.clone() };
    match Tree::open(uncached, head, None).await {
        Err(ClientError::BadLog(BadLog::Edge(error))) => Err(blame(&*reader.source, head, error).await),
        opened => opened,
    }
}

/// How many tiles a tree of `size` leaves has, on all levels.
fn tiles_of(size: u64) -> u64 {
    let full = |level: u32| size.checked_shr(8 * level).unwrap_or(0);
    let full: u64 = (1..=7).map(full).sum();
    full + partial_tiles(size).count() as u64
}

/// Reads a bundle with its tile, and returns what verifies both.
async fn read<S: Source>(
    tree: Arc<Tree<S>>,
    leaves: Leaves,
) -> Result<impl FnOnce() -> Result<VerifiedBundle, ClientError> + Send, ClientError> {
    let bundle = tree.read_bundle(&leaves);
    // A partial tile is in the right edge, which was read.
    let tile = async {
        let full = Some(leaves.tile()).filter(|tile| tile.is_full());
        let read = full.map(|tile| fetch::found(&*tree.reader().source, tile));
        future::OptionFuture::from(read).await.transpose()
    };
    let (tile, bundle) = future::try_join(tile, bundle).await?;
    Ok(move || match tile {
        Some(tile) => leaves.verify_both(&tile, &bundle),
        None => leaves.verify_bundle(&bundle),
    })
}
