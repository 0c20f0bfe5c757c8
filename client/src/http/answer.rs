//! What a server answers, read with bounds.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::{Response, StatusCode};

use super::transport::HttpError;

/// An answer: what was asked for, or a refusal, with the beginning of its words.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// The most bytes of a refusal that are kept: that of a mirror may have a ticket of 64 KiB, in base64.
const MAX_REFUSAL: usize = 96 << 10;

/// The longest sentence of a server that is kept, in bytes.
const MAX_SENTENCE: usize = 300;

impl HttpAnswer {
    pub(crate) async fn read(response: Response<Incoming>, limit: usize) -> Result<Self, HttpError> {
        let (head, body) = response.into_parts();
        let mut answer = Self { status: head.status, headers: head.headers, body: Bytes::new() };
        if answer.status.is_redirection() {
            let location = answer.header(header::LOCATION.as_str()).to_owned();
            return Err(HttpError::Redirect { status: answer.status(), location });
        }
        answer.body = if answer.is_success() {
            let encoding = answer.header(header::CONTENT_ENCODING.as_str());
            if !matches!(encoding, "" | "identity") {
                return Err(HttpError::Encoding(encoding.to_owned()));
            }
            collect(body, limit).await?
        } else {
            beginning(body).await
        };
        Ok(answer)
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Whether it is what was asked for: 200 or 201.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.status, StatusCode::OK | StatusCode::CREATED)
    }

    /// The text of a header; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body: all of it, or the beginning of that of a refusal.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.header(header::RETRY_AFTER.as_str()).trim().parse().ok().map(Duration::from_secs)
    }

    /// The answer as an error, with the first line of what the server says.
    #[must_use]
    pub fn refusal(&self) -> HttpError {
        let (status, retry_after) = (self.status(), self.retry_after());
        HttpError::Status { status, sentence: self.sentence(), retry_after }
    }

    /// The body of a 200; everything else is an error.
    pub(crate) fn into_body(self) -> Result<Bytes, HttpError> {
        if self.status == StatusCode::OK { Ok(self.body) } else { Err(self.refusal()) }
    }

    /// The first line of the body, fit to be shown.
    fn sentence(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(MAX_SENTENCE)]);
        text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
    }
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, HttpError> {
    // What the length says already need not be read.
    if body.size_hint().lower() > limit as u64 {
        return Err(HttpError::TooLong { limit });
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(HttpError::TooLong { limit }),
        Err(error) => Err(HttpError::Body(error)),
    }
}

/// What comes first of a body that may break off.
async fn beginning(mut body: Incoming) -> Bytes {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_REFUSAL {
        let Some(Ok(frame)) = body.frame().await else { break };
        bytes.extend(frame.into_data().unwrap_or_default());
    }
    bytes.truncate(MAX_REFUSAL);
    bytes.into()
}
