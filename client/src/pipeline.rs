//! What all walks over a log have in common: bundles one after another, read and verified side by side.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use futures_util::future;
use futures_util::stream::{self, Stream, StreamExt};
use kiln_tiles::TILE_WIDTH;

use crate::error::ClientError;
use crate::leaves::Leaves;
use crate::offload::{offload, offload_whole};
use crate::source::Source;
use crate::tree::Tree;

/// The first index of `range` in each bundle.
pub(crate) fn starts(range: Range<u64>) -> impl DoubleEndedIterator<Item = u64> + Send + 'static {
    let Range { start, end } = range;
    let bundles = if start < end { start / TILE_WIDTH..end.div_ceil(TILE_WIDTH) } else { 0..0 };
    bundles.map(move |bundle| (bundle * TILE_WIDTH).max(start))
}

/// How many bundles go to a hashing thread together, at most: handing one over costs as much as
/// hashing a few entries.
const MOST_TOGETHER: usize = 4;

/// Reads the bundle at each of `starts`, as many at once as the reader may, runs the work that `read`
/// returns on the hashing threads, and yields the results in the order of `starts`, up to the first
/// error.
pub(crate) fn run<S, T, W, F>(
    tree: Arc<Tree<S>>,
    starts: impl Iterator<Item = u64> + Send + 'static,
    read: impl Fn(Arc<Tree<S>>, Leaves) -> F + Send + Sync + 'static,
) -> impl Stream<Item = Result<T, ClientError>> + Send + 'static
where
    S: Source + 'static,
    T: Send + 'static,
    W: FnOnce() -> Result<T, ClientError> + Send + 'static,
    F: Future<Output = Result<W, ClientError>> + Send + 'static,
{
    let parallelism = tree.reader().parallelism;
    let is_local = tree.reader().source.is_local();
    let together = (parallelism / 4).clamp(1, MOST_TOGETHER);
    let planner = Arc::clone(&tree);
    // What verifies a bundle comes first, one after another: neighbours share the tiles above them.
    let planned = stream::iter(starts).then(move |start| {
        let tree = Arc::clone(&planner);
        async move { tree.leaves(start).await }
    });
    let groups = planned.chunks(together).map(move |group| {
        let begin = |leaves: Result<_, _>| leaves.map(|leaves| read(Arc::clone(&tree), leaves));
        let reads: Vec<_> = group.into_iter().map(begin).collect();
        work(is_local, future::join_all(reads.into_iter().map(|read| async { read?.await })))
    });
    up_to_error(groups.buffered(parallelism / together).flat_map(stream::iter))
}

/// Reads, and does what is to be done with it on a thread where hashing disturbs nobody.
async fn work<T: Send + 'static, W: FnOnce() -> Result<T, ClientError> + Send + 'static>(
    is_local: bool,
    read: impl Future<Output = Vec<Result<W, ClientError>>> + Send + 'static,
) -> Vec<Result<T, ClientError>> {
    let done = |jobs: Vec<Result<W, ClientError>>| jobs.into_iter().map(|job| job?()).collect();
    if is_local {
        return offload_whole(async move { done(read.await) }).await;
    }
    let jobs = read.await;
    offload(move || done(jobs)).await
}

/// What comes after an error is about a log that is not to be believed.
fn up_to_error<T: Send>(
    stream: impl Stream<Item = Result<T, ClientError>> + Send,
) -> impl Stream<Item = Result<T, ClientError>> + Send {
    stream.scan(false, |over, item| {
        let item = (!*over).then_some(item);
        *over = item.as_ref().is_some_and(Result::is_err);
        future::ready(item)
    })
}
