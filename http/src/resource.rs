//! Resources whose bytes are at hand: conditional requests and ranges.

use std::ops::Range;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, StatusCode};

use crate::range::Selection;
use crate::{EntityTag, Response, cors, reply};

/// One version of a resource, whole in memory: a tile, a bundle, a checkpoint.
#[derive(Clone, Debug)]
pub struct StaticResource {
    /// Its bytes. Shared with each response, not copied.
    pub body: Bytes,
    /// Its media type.
    pub content_type: &'static str,
    /// How long who may keep it, such as `public, max-age=31536000, immutable`.
    pub cache_control: &'static str,
    /// The name of these bytes; see [`etag_of`](crate::etag_of).
    pub etag: EntityTag,
}

/// Answers a request for `resource`: 200, 206, 304, 405, 412 or 416, readable from any origin.
///
/// The order is that of [RFC 9110, 13.2.2]. There is no `Last-Modified`, so conditions with dates are
/// not evaluated, as section 13.1 has it; `If-Range` with a date never matches.
///
/// [RFC 9110, 13.2.2]: https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
pub fn respond<B>(request: &Request<B>, resource: &StaticResource) -> Response {
    let headers = request.headers();
    match *request.method() {
        Method::GET | Method::HEAD if !resource.if_match(headers) => resource.precondition_failed(),
        Method::GET | Method::HEAD if !resource.if_none_match(headers) => resource.not_modified(),
        Method::HEAD => resource.head(),
        Method::GET => match resource.selection(headers) {
            Selection::Whole => resource.whole(),
            Selection::Part(range) => resource.part(range),
            Selection::Unsatisfiable => resource.unsatisfiable(),
        },
        _ => cors::open(reply::method_not_allowed("GET, HEAD")),
    }
}

/// What the headers of a request say of this version.
impl StaticResource {
    fn if_match(&self, headers: &HeaderMap) -> bool {
        !headers.contains_key(IF_MATCH)
            || any_value(headers, &IF_MATCH, |list| list == b"*" || self.etag.matches_strongly(list))
    }

    fn if_none_match(&self, headers: &HeaderMap) -> bool {
        !any_value(headers, &IF_NONE_MATCH, |list| list == b"*" || self.etag.matches_weakly(list))
    }

    /// The `Range`, unless an `If-Range` says that the client's other parts are of another version.
    fn selection(&self, headers: &HeaderMap) -> Selection {
        let mut ranges = headers.get_all(RANGE).iter();
        let (Some(range), None) = (ranges.next(), ranges.next()) else { return Selection::Whole };
        match headers.get(IF_RANGE) {
            Some(version) if version != self.etag.as_header_value() => Selection::Whole,
            _ => Selection::of(range.as_bytes(), self.body.len()),
        }
    }
}

fn any_value(headers: &HeaderMap, name: &HeaderName, wanted: impl Fn(&[u8]) -> bool) -> bool {
    headers.get_all(name).iter().any(|value| wanted(value.as_bytes().trim_ascii()))
}

/// The answers.
impl StaticResource {
    fn whole(&self) -> Response {
        self.representation(StatusCode::OK, self.body.clone())
    }

    fn head(&self) -> Response {
        let mut response = self.representation(StatusCode::OK, Bytes::new());
        reply::set(&mut response, CONTENT_LENGTH, self.body.len().into());
        response
    }

    fn part(&self, range: Range<usize>) -> Response {
        // `last` is inclusive, and a selected part is never empty.
        let (first, last, length) = (range.start, range.end - 1, self.body.len());
        let mut response = self.representation(StatusCode::PARTIAL_CONTENT, self.body.slice(range));
        set_content_range(&mut response, format!("bytes {first}-{last}/{length}"));
        response
    }

    fn unsatisfiable(&self) -> Response {
        let length = self.body.len();
        let message = format!("the range holds none of the {length} bytes\n");
        let mut response = cors::open(reply::text(StatusCode::RANGE_NOT_SATISFIABLE, message));
        set_content_range(&mut response, format!("bytes */{length}"));
        response
    }

    fn precondition_failed(&self) -> Response {
        let message = "the resource has another version than If-Match asks for\n";
        cors::open(reply::text(StatusCode::PRECONDITION_FAILED, message))
    }

    /// 304 with the headers that [RFC 9110] asks for and no more.
    ///
    /// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
    fn not_modified(&self) -> Response {
        self.response(StatusCode::NOT_MODIFIED, Bytes::new())
    }

    fn representation(&self, status: StatusCode, body: Bytes) -> Response {
        let mut response = self.response(status, body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        response
    }

    fn response(&self, status: StatusCode, body: Bytes) -> Response {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(8);
        headers.insert(ETAG, self.etag.as_header_value().clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        cors::open_headers(headers);
        response
    }
}

fn set_content_range(response: &mut Response, value: String) {
    let value = HeaderValue::try_from(value).expect("digits are allowed in a header");
    reply::set(response, CONTENT_RANGE, value);
}
