//! Request bodies, bounded in bytes and in time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};

use crate::{Response, reply};

/// Below this a body is copied out of the connection's read buffer.
///
/// A slice keeps the whole buffer alive, so an entry of 100 bytes waiting in the pool would hold
/// 8 KiB, and the pool would be bounded in name only. To copy so little is also cheaper than the new buffer
/// that the connection would need.
const COPIED_BELOW: usize = 4 * 1024;

/// Why a request body could not be had. Each is the client's doing: answer and forget the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// More bytes than allowed, announced or sent.
    #[error("the body is larger than {max_bytes} bytes")]
    TooLarge {
        /// What was allowed.
        max_bytes: usize,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive within {} s", timeout.as_secs_f32())]
    TimedOut {
        /// What was allowed.
        timeout: Duration,
    },
    /// The connection ended within the body, or its framing is wrong.
    #[error("the body ended early or is badly framed")]
    Broken,
}

impl BodyError {
    /// The answer to the client: 413, 408 or 400 with a sentence that helps.
    ///
    /// It closes the connection: where the next request would start is unknown or not worth reading to.
    pub fn into_response(self) -> Response {
        let (status, advice) = match self {
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "send less at once"),
            Self::TimedOut { .. } => (StatusCode::REQUEST_TIMEOUT, "send it again, faster"),
            Self::Broken => (StatusCode::BAD_REQUEST, "send it again, whole"),
        };
        let mut response = reply::text(status, format!("{self}: {advice}\n"));
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// Reads a whole body of at most `max_bytes` within `timeout`.
///
/// A `Content-Length` above the limit fails before a byte is read, and before a client that asked with
/// `Expect: 100-continue` sends one. Memory grows with what has arrived, not with what was announced.
///
/// # Errors
/// See [`BodyError`]; [`BodyError::into_response`] is the answer.
pub async fn read_body(body: Incoming, max_bytes: usize, timeout: Duration) -> Result<Bytes, BodyError> {
    let collected = tokio::time::timeout(timeout, collect(body, max_bytes)).await;
    collected.map_err(|_| BodyError::TimedOut { timeout })?
}

async fn collect(mut body: Incoming, max_bytes: usize) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { max_bytes };
    if body.size_hint().lower() > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
        return Err(too_large);
    }
    let Some(first) = next_data(&mut body).await? else { return Ok(Bytes::new()) };
    let mut room = max_bytes.checked_sub(first.len()).ok_or(too_large)?;
    let Some(second) = next_data(&mut body).await? else { return Ok(alone(first)) };
    let mut whole = BytesMut::from(&first[..]);
    let mut next = Some(second);
    while let Some(data) = next {
        room = room.checked_sub(data.len()).ok_or(too_large)?;
        whole.extend_from_slice(&data);
        next = next_data(&mut body).await?;
    }
    Ok(whole.freeze())
}

fn alone(data: Bytes) -> Bytes {
    if data.len() < COPIED_BELOW { Bytes::copy_from_slice(&data) } else { data }
}

/// The next frame that is no trailer.
async fn next_data(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
