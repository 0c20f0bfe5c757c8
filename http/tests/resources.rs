//! Conditional requests, ranges, HEAD and CORS, as a table: RFC 9110, sections 13 and 14.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

mod common;

use std::sync::Arc;

use common::{Client, content_length};
use kiln_http::{
    Bytes, EntityTag, Handler, Incoming, Limits, Method, Request, Response, StaticResource, StatusCode, cors,
    etag_of, header, respond, serve,
};
use tokio::net::{TcpListener, TcpStream};

/// Ten bytes under the tag `"v1"`.
fn resource() -> StaticResource {
    StaticResource {
        body: Bytes::from_static(b"0123456789"),
        content_type: "application/octet-stream",
        cache_control: "public, max-age=31536000, immutable",
        etag: EntityTag::new("v1").unwrap(),
    }
}

fn ask(method: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri("/tile");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    respond(&request.body(()).unwrap(), &resource())
}

fn field<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn length(response: &Response) -> u64 {
    hyper::body::Body::size_hint(response.body()).exact().unwrap()
}

#[test]
fn a_plain_get() {
    let response = ask("GET", &[]);
    assert_eq!(response.status(), StatusCode::OK);
    for (name, value) in [
        ("etag", "\"v1\""),
        ("content-type", "application/octet-stream"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(field(&response, name), value, "{name}");
    }
    assert!(field(&response, "access-control-expose-headers").contains("ETag"));
    assert_eq!(length(&response), 10);
}

#[test]
fn conditions_and_ranges_in_the_order_of_the_rfc() {
    const NOT_MODIFIED: (u16, &str) = (304, "");
    const WHOLE: (u16, &str) = (200, "");
    const PART: (u16, &str) = (206, "bytes 2-4/10");
    const FAILED: (u16, &str) = (412, "");
    const OUTSIDE: (u16, &str) = (416, "bytes */10");
    let range = ("range", "bytes=2-4");
    for (headers, answer) in [
        // If-None-Match: weak comparison, lists, several lines
        (&[("if-none-match", "\"v1\"")][..], NOT_MODIFIED),
        (&[("if-none-match", "W/\"v1\"")], NOT_MODIFIED),
        (&[("if-none-match", "\"v0\", \"v1\"")], NOT_MODIFIED),
        (&[("if-none-match", "\"v0\""), ("if-none-match", "\"v1\"")], NOT_MODIFIED),
        (&[("if-none-match", "*")], NOT_MODIFIED),
        (&[("if-none-match", "\"v0\"")], WHOLE),
        (&[("if-none-match", "v1")], WHOLE),
        (&[("if-none-match", "")], WHOLE),
        // If-Match: strong comparison, and it comes first
        (&[("if-match", "\"v1\"")], WHOLE),
        (&[("if-match", "*")], WHOLE),
        (&[("if-match", "W/\"v1\"")], FAILED),
        (&[("if-match", "\"v0\"")], FAILED),
        (&[("if-match", "\"v0\""), ("if-none-match", "\"v1\"")], FAILED),
        (&[("if-match", "\"v1\""), ("if-none-match", "\"v1\"")], NOT_MODIFIED),
        // dates: there is none to compare with
        (&[("if-modified-since", "Sat, 29 Oct 1994 19:43:31 GMT")], WHOLE),
        (&[("if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT")], WHOLE),
        // Range: after all conditions
        (&[range], PART),
        (&[range, ("if-match", "\"v0\"")], FAILED),
        (&[range, ("if-none-match", "\"v1\"")], NOT_MODIFIED),
        (&[range, ("if-none-match", "\"v0\"")], PART),
        (&[range, range], WHOLE),
        (&[("range", "bytes=0-1,4-5")], WHOLE),
        (&[("range", "bytes=10-")], OUTSIDE),
        (&[("range", "bytes=10-"), ("if-none-match", "\"v1\"")], NOT_MODIFIED),
        // If-Range: strong comparison with one tag
        (&[range, ("if-range", "\"v1\"")], PART),
        (&[range, ("if-range", "W/\"v1\"")], WHOLE),
        (&[range, ("if-range", "\"v0\"")], WHOLE),
        (&[range, ("if-range", "Sat, 29 Oct 1994 19:43:31 GMT")], WHOLE),
        (&[("range", "bytes=10-"), ("if-range", "\"v0\"")], WHOLE),
        (&[("if-range", "\"v1\"")], WHOLE),
    ] {
        let response = ask("GET", headers);
        let got = (response.status().as_u16(), field(&response, "content-range"));
        assert_eq!(got, answer, "{headers:?}");
        assert_eq!(field(&response, "access-control-allow-origin"), "*", "{headers:?}");
    }
}

#[test]
fn a_304_says_which_version_and_for_how_long_and_no_more() {
    let response = ask("GET", &[("if-none-match", "*")]);
    assert_eq!(field(&response, "etag"), "\"v1\"");
    assert_eq!(field(&response, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(field(&response, "content-type"), "");
    assert_eq!(length(&response), 0);
}

#[test]
fn a_416_is_not_cached_as_the_resource() {
    let response = ask("GET", &[("range", "bytes=10-")]);
    assert_eq!(field(&response, "cache-control"), "no-store");
    assert_eq!(field(&response, "etag"), "");
}

#[test]
fn head_has_conditions_but_no_ranges() {
    let response = ask("HEAD", &[("range", "bytes=2-4")]);
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!((field(&response, "content-length"), length(&response)), ("10", 0));
    assert_eq!(ask("HEAD", &[("if-none-match", "\"v1\"")]).status(), StatusCode::NOT_MODIFIED);
    assert_eq!(ask("HEAD", &[("if-match", "\"v0\"")]).status(), StatusCode::PRECONDITION_FAILED);
}

#[test]
fn other_methods_are_told_which_there_are() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let response = ask(method, &[("if-match", "\"v0\"")]);
        assert_eq!((response.status().as_u16(), field(&response, "allow")), (405, "GET, HEAD"), "{method}");
    }
}

#[test]
fn a_preflight_lets_scripts_send_conditions_ranges_and_tokens() {
    let response = cors::preflight(&Method::OPTIONS, "GET, HEAD");
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(field(&response, "access-control-allow-origin"), "*");
    assert_eq!(field(&response, "access-control-allow-methods"), "GET, HEAD");
    for name in ["Authorization", "If-None-Match", "Range"] {
        assert!(field(&response, "access-control-allow-headers").contains(name), "{name}");
    }
    assert_eq!(cors::preflight(&Method::PUT, "GET, HEAD").status(), StatusCode::METHOD_NOT_ALLOWED);
}

struct OneResource(StaticResource);

impl Handler for OneResource {
    async fn handle(&self, request: Request<Incoming>, _client: kiln_http::Client) -> Response {
        respond(&request, &self.0)
    }
}

/// hyper writes `Content-Length` itself: what arrives must be what was meant, also where there is no body.
#[tokio::test]
async fn on_the_wire_head_and_304_have_no_body_and_leave_the_connection_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let resource = StaticResource { etag: etag_of(b"0123456789"), ..resource() };
    let etag = resource.etag.as_header_value().to_str().unwrap().to_owned();
    tokio::spawn(serve(listener, Limits::default(), Arc::new(OneResource(resource)), std::future::pending()));
    let mut client = Client(TcpStream::connect(address).await.unwrap());
    client
        .send(format!(
            "HEAD / HTTP/1.1\r\n\r\n\
             GET / HTTP/1.1\r\n{}: {etag}\r\n\r\n\
             GET / HTTP/1.1\r\nRange: bytes=-3\r\nConnection: close\r\n\r\n",
            header::IF_NONE_MATCH,
        ))
        .await;
    let text = client.read_to_end().await;
    let [head, not_modified, part] =
        text.split("HTTP/1.1 ").skip(1).collect::<Vec<_>>().try_into().expect("three answers");
    assert!(head.starts_with("200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(content_length(head), 10, "{head}");
    assert!(not_modified.starts_with("304 ") && not_modified.ends_with("\r\n\r\n"), "{not_modified}");
    assert!(!not_modified.contains("content-length"), "{not_modified}");
    assert!(part.starts_with("206 ") && part.ends_with("\r\n\r\n789"), "{part}");
    assert_eq!(content_length(part), 3, "{part}");
}
