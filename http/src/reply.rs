//! Plain answers: a status and a sentence for people.
//!
//! They carry `nosniff`, so no browser runs what a stranger made us repeat, and `no-store`, so no
//! cache remembers an error: a 404 is [cacheable by default], and the tile may exist a second later.
//!
//! [cacheable by default]: https://www.rfc-editor.org/rfc/rfc9110#section-15.1

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};

use crate::Response;

/// An answer in plain text. End `message` with a line feed: people read it in terminals.
pub fn text(status: StatusCode, message: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(message.into()));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    set(&mut response, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(&mut response, CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 405 with what is `allow`ed instead, such as `"GET, HEAD"`.
pub fn method_not_allowed(allow: &'static str) -> Response {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("this resource takes {allow} only\n"));
    set(&mut response, ALLOW, HeaderValue::from_static(allow));
    response
}

/// 404.
pub fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "no such resource\n")
}

/// 503: nothing is wrong with the request, and in `retry_after_secs` it may work.
pub fn unavailable(retry_after_secs: u32, message: impl Into<Bytes>) -> Response {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, message);
    set(&mut response, RETRY_AFTER, retry_after_secs.into());
    response
}

pub(crate) fn set(response: &mut Response, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}
