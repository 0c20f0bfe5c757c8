//! The body of a request to add-entries, as it comes: inflated, cut into packages, and never held whole.

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use kiln_http::{BodyError, HeaderMap, Incoming, Version, discard, header, next_chunk};
use kiln_tiles::{AddEntries, EntryPackage, PackageSpan, ParseMirrorError};

use super::fair::FairShare;

/// Between two pieces of a body.
const SILENCE: Duration = Duration::from_secs(30);

/// For a whole body. What was saved by then is kept, and the client goes on with another request.
const PATIENCE: Duration = Duration::from_secs(300);

/// For a package that is not whole, from so many bytes on: 16.8 MB come within it at 1.2 Mbit/s.
const LARGE: usize = 1 << 20;
const PATIENCE_WITH_LARGE: Duration = Duration::from_secs(120);

/// How much is inflated at once: it becomes at most 4 MiB, since deflate makes no more than 1,032 bytes of one.
const INFLATED_AT_ONCE: usize = 4 << 10;

/// Why no more of a body can be had.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Malformed(#[from] ParseMirrorError),
    #[error("the body is not what gzip makes")]
    Gzip,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// The encoding of a request; `None` for one that is not known here.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut named = headers.get_all(header::CONTENT_ENCODING).iter();
        let first = named.next().map_or("identity", |value| value.to_str().unwrap_or_default().trim());
        match first {
            _ if named.next().is_some() => None,
            "" | "identity" => Some(Self::Identity),
            gzip if gzip.eq_ignore_ascii_case("gzip") || gzip.eq_ignore_ascii_case("x-gzip") => {
                Some(Self::Gzip)
            }
            _ => None,
        }
    }
}

/// A body that is being read.
pub(crate) struct Upload {
    body: Incoming,
    inflater: Option<MultiGzDecoder<Vec<u8>>>,
    /// What came and is not inflated yet.
    deflated: Bytes,
    /// What came and is not consumed yet.
    buffer: BytesMut,
    share: FairShare,
    /// Bytes that were consumed, and are held elsewhere.
    held: usize,
    until: Instant,
    /// Where the next package is large already: until when it is waited for.
    whole_until: Option<Instant>,
}

impl Upload {
    pub(crate) fn new(body: Incoming, encoding: Encoding, share: FairShare) -> Self {
        Self {
            body,
            inflater: (encoding == Encoding::Gzip).then(|| MultiGzDecoder::new(Vec::new())),
            deflated: Bytes::new(),
            buffer: BytesMut::new(),
            share,
            held: 0,
            until: Instant::now() + PATIENCE,
            whole_until: None,
        }
    }

    /// Hears the client out where the answer comes before the end of the body.
    pub(crate) async fn hear_out(self, version: Version) {
        let Self { body, share, .. } = self;
        drop(share);
        discard(version, body).await;
    }

    /// How the request begins; `None` where the body ends before.
    pub(crate) async fn header(&mut self) -> Result<Option<AddEntries>, UploadError> {
        loop {
            if let Some((header, rest)) = AddEntries::split(&self.buffer)? {
                let length = self.buffer.len() - rest.len();
                drop(self.buffer.split_to(length));
                return Ok(Some(header));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// The bytes of the next package, which is whole; `None` where the body ends before.
    pub(crate) async fn package(&mut self, span: PackageSpan) -> Result<Option<Bytes>, UploadError> {
        loop {
            if let Some((_, rest)) = EntryPackage::split(span, &self.buffer)? {
                let length = self.buffer.len() - rest.len();
                self.held += length;
                self.whole_until = None;
                return Ok(Some(self.buffer.split_to(length).freeze()));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// Whether the body ends here.
    pub(crate) async fn ends(&mut self) -> Result<bool, UploadError> {
        Ok(self.buffer.is_empty() && !self.more().await?)
    }

    /// Packages that were handed out are gone.
    pub(crate) fn release(&mut self) {
        self.held = 0;
        self.share.shrink_to(self.buffer.len());
    }

    /// Reads on; `false` at the end.
    async fn more(&mut self) -> Result<bool, UploadError> {
        loop {
            let left = self.left();
            if left.is_zero() {
                return Err(BodyError::TimedOut { timeout: PATIENCE }.into());
            }
            if !self.deflated.is_empty() {
                if self.inflate()? {
                    return Ok(true);
                }
                tokio::task::yield_now().await; // others have a turn between two steps
                continue;
            }
            let Some(chunk) = next_chunk(&mut self.body, SILENCE.min(left)).await? else { return self.end() };
            if self.inflater.is_some() {
                self.deflated = chunk;
            } else if !chunk.is_empty() {
                self.take(&chunk)?;
                return Ok(true);
            }
        }
    }

    /// How long more of the body is waited for.
    fn left(&mut self) -> Duration {
        let now = Instant::now();
        if self.buffer.len() > LARGE {
            self.whole_until.get_or_insert(now + PATIENCE_WITH_LARGE);
        }
        self.whole_until.map_or(self.until, |whole| whole.min(self.until)).saturating_duration_since(now)
    }

    /// Inflates a little; `false` where nothing came of it yet.
    fn inflate(&mut self) -> Result<bool, UploadError> {
        let piece = self.deflated.split_to(self.deflated.len().min(INFLATED_AT_ONCE));
        let Some(inflater) = &mut self.inflater else { return Ok(false) };
        inflater.write_all(&piece).map_err(|_| UploadError::Gzip)?;
        let inflated = std::mem::take(inflater.get_mut());
        self.take(&inflated)?;
        Ok(!inflated.is_empty())
    }

    /// The end of the body, which should be that of what gzip made, too. What came before it counts all the same: packages
    /// are verified by other means than gzip's checksum.
    fn end(&mut self) -> Result<bool, UploadError> {
        let Some(mut inflater) = self.inflater.take() else { return Ok(false) };
        let finished = inflater.try_finish();
        let inflated = std::mem::take(inflater.get_mut());
        self.take(&inflated)?;
        if inflated.is_empty() && finished.is_err() {
            return Err(BodyError::Broken.into());
        }
        Ok(!inflated.is_empty())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.share.grow(bytes.len()).map_err(BodyError::from)?;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// How many bytes of packages were handed out and not released.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }
}
