//! Streams of verified entries.

use std::ops::{Bound, Range, RangeBounds};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, FusedStream, Stream, StreamExt, TryStreamExt};

use crate::bundle::VerifiedBundle;
use crate::client::Client;
use crate::error::ClientError;
use crate::pipeline;
use crate::source::Source;
use crate::tree::Tree;

/// Entries in order, each with its index, each verified. After an error of the log's it ends.
///
/// It is a [`Stream`]; [`next`](Self::next) is there for who has no other use for stream adapters.
pub struct Entries {
    bundles: Bundles,
    current: Option<VerifiedBundle>,
}

/// As [`Entries`], a bundle of up to 256 at a time: for who wants them all, fast.
pub struct Bundles(stream::Fuse<BoxStream<'static, Result<VerifiedBundle, ClientError>>>);

impl<S: Source + 'static> Client<S> {
    /// The entries of a range, as in `client.entries(..)` or `client.entries(5..70_000)`. Without an
    /// end it goes as far as the newest tree known does at the start.
    ///
    /// Bundles are fetched [in parallel](crate::ClientBuilder::parallelism), ahead of the reader but
    /// no further than that, and hashed on all cores. Nothing runs while nobody polls; dropping the
    /// stream ends everything. An entry is a slice of its bundle, not a copy: one that is kept keeps
    /// up to 256 neighbours in memory.
    ///
    /// # Errors
    /// As items of the stream, which ends with the first: the range lies beyond the log, or a
    /// bundle cannot be read or does not verify.
    #[must_use]
    pub fn entries(&self, range: impl RangeBounds<u64>) -> Entries {
        self.bundles(range).into()
    }

    /// As [`entries`](Self::entries), a bundle at a time.
    #[must_use]
    pub fn bundles(&self, range: impl RangeBounds<u64>) -> Bundles {
        let (start, end) = ends(&range);
        let client = self.clone();
        let walk = async move {
            let tree = client.reaching(end.unwrap_or(0)).await?.tree;
            let end = end.unwrap_or(tree.head().size());
            Ok::<_, ClientError>(walk(tree, start..end))
        };
        Bundles::new(stream::once(walk).try_flatten())
    }
}

/// Start and end of a range, without its end where it has none.
pub(crate) fn ends(range: &impl RangeBounds<u64>) -> (u64, Option<u64>) {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => Some(last.saturating_add(1)),
        Bound::Excluded(&end) => Some(end),
        Bound::Unbounded => None,
    };
    (start, end)
}

/// The bundles of a tree that hold `range`, verified, in order, up to the first error.
pub(crate) fn walk<S: Source + 'static>(
    tree: Arc<Tree<S>>,
    range: Range<u64>,
) -> impl Stream<Item = Result<VerifiedBundle, ClientError>> + Send + 'static {
    let starts = pipeline::starts(range.clone());
    pipeline::run(tree, starts, move |tree, leaves| {
        let range = range.clone();
        async move {
            let found = tree.read_bundle(&leaves).await?;
            Ok(move || Ok(leaves.verify_bundle(&found)?.within(&range)))
        }
    })
}

impl Bundles {
    pub(crate) fn new(
        stream: impl Stream<Item = Result<VerifiedBundle, ClientError>> + Send + 'static,
    ) -> Self {
        Self(stream.boxed().fuse())
    }

    /// The next bundle; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<VerifiedBundle, ClientError>> {
        self.0.next().await
    }
}

impl From<Bundles> for Entries {
    fn from(bundles: Bundles) -> Self {
        Self { bundles, current: None }
    }
}

impl Entries {
    /// The next entry with its index; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<(u64, Bytes), ClientError>> {
        StreamExt::next(self).await
    }
}

impl Stream for Bundles {
    type Item = Result<VerifiedBundle, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl FusedStream for Bundles {
    fn is_terminated(&self) -> bool {
        self.0.is_terminated()
    }
}

impl Stream for Entries {
    type Item = Result<(u64, Bytes), ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(entry) = self.current.as_mut().and_then(VerifiedBundle::pop_first) {
                return Poll::Ready(Some(Ok(entry)));
            }
            match ready!(self.bundles.poll_next_unpin(cx)) {
                Some(Ok(bundle)) => self.current = Some(bundle),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl std::fmt::Debug for Bundles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundles").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}
