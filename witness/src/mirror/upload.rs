//! The body of a request to add-entries, as it comes: inflated, cut into packages, and never held whole.

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use kiln_http::{BodyError, HeaderMap, Incoming, Share, header, next_chunk};
use kiln_tiles::{AddEntries, EntryPackage, PackageSpan, ParseMirrorError};

/// Between two pieces of a body.
const SILENCE: Duration = Duration::from_secs(30);

/// For a whole body. What was saved by then is kept, and the client goes on with another request.
const PATIENCE: Duration = Duration::from_secs(300);

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
    share: Share,
    /// Bytes that were consumed, and are held elsewhere.
    held: usize,
    until: Instant,
}

impl Upload {
    pub(crate) fn new(body: Incoming, encoding: Encoding, share: Share) -> Self {
        Self {
            body,
            inflater: (encoding == Encoding::Gzip).then(|| MultiGzDecoder::new(Vec::new())),
            deflated: Bytes::new(),
            buffer: BytesMut::new(),
            share,
            held: 0,
            until: Instant::now() + PATIENCE,
        }
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
            let left = self.until.saturating_duration_since(Instant::now());
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

    /// Inflates a little; `false` where nothing came of it yet.
    fn inflate(&mut self) -> Result<bool, UploadError> {
        let piece = self.deflated.split_to(self.deflated.len().min(INFLATED_AT_ONCE));
        let Some(inflater) = &mut self.inflater else { return Ok(false) };
        inflater.write_all(&piece).map_err(|_| UploadError::Gzip)?;
        let inflated = std::mem::take(inflater.get_mut());
        self.take(&inflated)?;
        Ok(!inflated.is_empty())
    }

    /// The end of the body, which must be that of what gzip made, too.
    fn end(&mut self) -> Result<bool, UploadError> {
        let Some(mut inflater) = self.inflater.take() else { return Ok(false) };
        inflater.try_finish().map_err(|_| BodyError::Broken)?;
        let inflated = std::mem::take(inflater.get_mut());
        self.take(&inflated)?;
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
