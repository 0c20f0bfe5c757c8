//! Leave for web pages of any origin to read a log, which is public anyway: the [CORS] headers.
//!
//! Without them a script cannot even tell a 404 from a broken network. The admin port has none: it may
//! listen on loopback, where any page that its operator visits could read it.
//!
//! [CORS]: https://fetch.spec.whatwg.org/#http-cors-protocol

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue,
};
use hyper::{Method, StatusCode};

use crate::{Response, reply};

/// What a script may see beyond the few headers that it always may.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Accept-Ranges, Content-Length, Content-Range, ETag, Location, Retry-After");

/// What a script may send. `*` would leave out `Authorization`.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("Accept, Authorization, Content-Type, If-Match, If-None-Match, If-Range, Range");

/// Lets scripts of any origin read the response, errors included.
pub fn open(mut response: Response) -> Response {
    open_headers(response.headers_mut());
    response
}

pub(crate) fn open_headers(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// The answer to a preflight for a resource that takes `methods`, such as `"GET, HEAD"`; to be
/// asked again after a day. Any other method than `OPTIONS` gets [`reply::method_not_allowed`].
pub fn preflight(method: &Method, methods: &'static str) -> Response {
    if method != Method::OPTIONS {
        return open(reply::method_not_allowed(methods));
    }
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    open(response)
}
