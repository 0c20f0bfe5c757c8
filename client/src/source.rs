//! Where the bytes of a log come from. What a source says is never believed, only verified.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

/// A place that serves the resources of one log: `checkpoint`, `tile/<L>/<N>[.p/<W>]` and
/// `tile/entries/<N>[.p/<W>]`, as in [tlog-tiles].
///
/// Contract, which [`Client`](crate::Client) relies on:
/// - A source is not trusted. It may answer anything at any time; what is wrong is found out.
/// - It answers with the whole resource or not at all, never with a part of it.
/// - It never holds more than `limit` bytes of an answer: what is longer is
///   [`SourceError::TooLong`], told as early as it is known.
/// - It ends: with an answer or with an error, in bounded time. Retries are its own business;
///   an error that it returns has been retried as often as makes sense.
/// - It may be called many times at once, and a call may be dropped at any `await`.
///
/// [tlog-tiles]: https://c2sp.org/tlog-tiles
pub trait Source: Send + Sync {
    /// Reads the resource at `path`, which has no leading slash; `None` where it is not there.
    fn fetch(
        &self,
        path: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Option<Bytes>, SourceError>> + Send;

    /// Whether [`fetch`](Self::fetch) reads a disk of this machine. Then it may be called where blocking disturbs
    /// nobody, together with what is done with the bytes.
    fn is_local(&self) -> bool {
        false
    }
}

/// Why a source could not answer, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The resource is longer than one of its name can be: reject it. This speaks about the log.
    #[error("longer than the {limit} bytes that it may have")]
    TooLong {
        /// The most bytes that were asked for.
        limit: usize,
    },
    /// Not now, and not after the retries of the source; trying again later may help: network,
    /// time-out, an overloaded server.
    #[error("not available: {0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// Not until somebody changes something: permission, a redirect, a server that says no.
    #[error("refused: {0}")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

impl SourceError {
    /// Whether the same call may succeed later, without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl<S: Source> Source for Arc<S> {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        S::fetch(self, path, limit).await
    }

    fn is_local(&self) -> bool {
        S::is_local(self)
    }
}
