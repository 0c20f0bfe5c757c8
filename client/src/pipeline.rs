//! What all walks over a log have in common: bundles one after another, read and verified side by side.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use futures_util::future;
use futures_util::stream::{self, Stream, StreamExt};
use kiln_tiles::TILE_WIDTH;

use crate::error::ClientError;
use crate::leaves::Leaves;
use crate::source::Source;
use crate::tree::Tree;

/// The first index of `range` in each bundle.
pub(crate) fn starts(range: Range<u64>) -> impl DoubleEndedIterator<Item = u64> + Send + 'static {
    let Range { start, end } = range;
    let bundles = if start < end { start / TILE_WIDTH..end.div_ceil(TILE_WIDTH) } else { 0..0 };
    bundles.map(move |bundle| (bundle * TILE_WIDTH).max(start))
}

/// Runs `job` for the bundle at each of `starts`, as many at once as the reader may, and yields what
/// they return in the order of `starts`, up to the first error.
pub(crate) fn run<S, T, F>(
    tree: Arc<Tree<S>>,
    starts: impl Iterator<Item = u64> + Send + 'static,
    job: impl Fn(Arc<Tree<S>>, Leaves) -> F + Send + Sync + 'static,
) -> impl Stream<Item = Result<T, ClientError>> + Send + 'static
where
    S: Source + 'static,
    T: Send + 'static,
    F: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    let parallelism = tree.reader().parallelism;
    let planner = Arc::clone(&tree);
    // What verifies a bundle comes first, one after another: neighbours share the tiles above them.
    let planned = stream::iter(starts).then(move |start| {
        let tree = Arc::clone(&planner);
        async move { tree.leaves(start).await }
    });
    let jobs = planned.map(move |leaves| {
        let job = leaves.map(|leaves| job(Arc::clone(&tree), leaves));
        async move { job?.await }
    });
    up_to_error(jobs.buffered(parallelism))
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
