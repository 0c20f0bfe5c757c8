//! Request bodies, bounded in bytes, each and all together, and in time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use hyper::{StatusCode, Version};
use tokio::sync::Semaphore;

use crate::{BudgetExhausted, Response, Share, reply};

/// Below this a body is copied out of the connection's read buffer.
///
/// A slice keeps the whole buffer alive, so an entry of 100 bytes waiting in the pool would hold
/// 8 KiB, and the pool would be bounded in name only. To copy so little is also cheaper than the new buffer
/// that the connection would need.
const COPIED_BELOW: usize = 4 * 1024;

/// How much [`discard`] reads, for how long, and for how many requests at once.
const MOST_DISCARDED: usize = 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(1);
static DISCARDS: Semaphore = Semaphore::const_new(256);

/// Why a request body could not be had. Answer and forget the request.
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
    /// The bodies of all requests together are too large: the only one that is not its client's doing.
    #[error("too many requests are being read")]
    Crowded,
}

impl From<BudgetExhausted> for BodyError {
    fn from(BudgetExhausted: BudgetExhausted) -> Self {
        Self::Crowded
    }
}

impl BodyError {
    /// The answer to the client: 413, 408, 400 or 503 with a sentence that helps.
    ///
    /// It closes the connection: where the next request would start is unknown or not worth reading to.
    pub fn into_response(self) -> Response {
        let (status, advice) = match self {
            Self::Crowded => (StatusCode::SERVICE_UNAVAILABLE, "send it again in a moment"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "send less at once"),
            Self::TimedOut { .. } => (StatusCode::REQUEST_TIMEOUT, "send it again, faster"),
            Self::Broken => (StatusCode::BAD_REQUEST, "send it again, whole"),
        };
        let mut response = reply::text(status, format!("{self}: {advice}\n"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// Reads a whole body of at most `max_bytes` within `timeout`, and grows `share` by the memory it takes:
/// keep that as long as the body.
///
/// A `Content-Length` above the limit fails before a byte is kept, and in HTTP/1.1 before a client that asked with
/// `Expect: 100-continue` sends one. Memory grows with what has arrived, not with what was announced. `version` is that
/// of the request; see [`discard`].
///
/// # Errors
/// See [`BodyError`]; [`BodyError::into_response`] is the answer.
pub async fn read_body(
    version: Version,
    mut body: Incoming,
    max_bytes: usize,
    timeout: Duration,
    share: &mut Share,
) -> Result<Bytes, BodyError> {
    let collected = tokio::time::timeout(timeout, collect(&mut body, max_bytes, share)).await;
    let collected = collected.map_err(|_| BodyError::TimedOut { timeout })?;
    if matches!(collected, Err(BodyError::TooLarge { .. } | BodyError::Crowded)) {
        share.shrink_to(0); // what was read of it is gone
        discard(version, body).await;
    }
    collected
}

/// Reads, of a request that is answered without its body, what its client is still sending, within bounds, and keeps
/// nothing of it. The answer comes after.
///
/// In HTTP/2 an answer that comes first is followed by a reset of the stream (RFC 9113, section 8.1), and there are
/// clients, curl 7.88 for one, that fail then and never show the answer: they are the ones who should read it. In
/// HTTP/1.1 a client that waits for `100 Continue` would be told to go on, and the rest is read by the connection. Where
/// many are heard out already it returns at once: who is turned away must not keep others out.
pub async fn discard(version: Version, mut body: Incoming) {
    if version != Version::HTTP_2 {
        return;
    }
    let Ok(_turn) = DISCARDS.try_acquire() else { return };
    let reading = async {
        let mut read = 0;
        while read < MOST_DISCARDED
            && let Ok(Some(data)) = next_data(&mut body).await
        {
            read += data.len();
        }
    };
    // Who sends slowly gets the answer as it is.
    let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
}

async fn collect(body: &mut Incoming, max_bytes: usize, share: &mut Share) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { max_bytes };
    if body.size_hint().lower() > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
        return Err(too_large);
    }
    let Some(first) = next_data(body).await? else { return Ok(Bytes::new()) };
    if first.len() > max_bytes {
        return Err(too_large);
    }
    share.grow(first.len())?;
    let Some(second) = next_data(body).await? else { return Ok(alone(first)) };
    let mut whole = first.to_vec();
    drop(first);
    let mut next = Some(second);
    while let Some(data) = next {
        let length = whole.len() + data.len();
        if length > max_bytes {
            return Err(too_large);
        }
        make_room(&mut whole, length, max_bytes, share)?;
        whole.extend_from_slice(&data);
        next = next_data(body).await?;
    }
    whole.shrink_to_fit();
    Ok(whole.into())
}

/// Doubles the capacity where `length` asks for more, once the share has it.
fn make_room(
    whole: &mut Vec<u8>,
    length: usize,
    max_bytes: usize,
    share: &mut Share,
) -> Result<(), BodyError> {
    if length > whole.capacity() {
        let capacity = (2 * whole.capacity()).clamp(length, max_bytes);
        share.grow(capacity - whole.capacity())?;
        whole.reserve_exact(capacity - whole.len());
    }
    Ok(())
}

fn alone(data: Bytes) -> Bytes {
    if data.len() < COPIED_BELOW { Bytes::copy_from_slice(&data) } else { data }
}

/// The next piece of a body that is read as it comes, which must come within `timeout`; `None` at its end. How much
/// of it may come in all is for the caller to say.
///
/// # Errors
/// See [`BodyError`].
pub async fn next_chunk(body: &mut Incoming, timeout: Duration) -> Result<Option<Bytes>, BodyError> {
    let next = tokio::time::timeout(timeout, next_data(body)).await;
    next.map_err(|_| BodyError::TimedOut { timeout })?
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
