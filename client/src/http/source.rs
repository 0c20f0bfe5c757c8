//! A log behind a URL.

use bytes::Bytes;
use hyper::header::HeaderMap;

use super::transport::{Ask, HttpError, HttpOptions, HttpSetupError, Transport};
use crate::source::{Source, SourceError};

/// A log behind an `https://` or `http://` URL. Connections are kept open and shared; a clone shares
/// them too.
///
/// It needs a tokio runtime. Root certificates are those of the system, or of the file that the
/// environment variable `SSL_CERT_FILE` names. Redirects are not followed, and proxies not used.
#[derive(Clone, Debug)]
pub struct HttpSource {
    transport: Transport,
}

impl HttpSource {
    /// The log whose `checkpoint` and `tile/` stand below `url`.
    ///
    /// # Errors
    /// Where it is no such URL, or the machine has no root certificates for an https one.
    pub fn new(url: &str) -> Result<Self, HttpSetupError> {
        Self::with_options(url, HttpOptions::default())
    }

    /// The same, with options.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(url: &str, options: HttpOptions) -> Result<Self, HttpSetupError> {
        Ok(Self { transport: Transport::new(url, options)? })
    }
}

impl Source for HttpSource {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        let ask = Ask { path, headers: HeaderMap::new(), body: None, limit };
        match self.transport.send(&ask).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(HttpError::Status { status: 404 | 410, .. }) => Ok(None),
            Err(HttpError::TooLong { limit }) => Err(SourceError::TooLong { limit }),
            Err(error) if error.is_retryable() => Err(SourceError::Unavailable(Box::new(error))),
            Err(error) => Err(SourceError::Refused(Box::new(error))),
        }
    }
}
