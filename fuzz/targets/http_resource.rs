//! Conditions and ranges of a request, as strangers write them.
#![no_main]

use arbitrary::Arbitrary;
use http_body::Body;
use kiln_http::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use kiln_http::{Bytes, Method, Request, StaticResource, etag_of, respond};

const NAMES: [HeaderName; 6] = [IF_MATCH, IF_NONE_MATCH, IF_RANGE, IF_MODIFIED_SINCE, RANGE, ACCEPT];
const BODY: &[u8] = b"0123456789abcdef";

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    head: bool,
    headers: Vec<(u8, &'a [u8])>,
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    let body = Bytes::from_static(BODY);
    let etag = etag_of(&body);
    let resource = StaticResource { body, content_type: "text/plain", cache_control: "no-cache", etag };
    let mut request = Request::new(());
    if input.head {
        *request.method_mut() = Method::HEAD;
    }
    for (name, value) in &input.headers {
        let name = &NAMES[usize::from(*name) % NAMES.len()];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().append(name, value);
        }
    }
    let response = respond(&request, &resource);
    let text = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // The server writes the length of a body that there is; that of one that is left out is told here.
    let told = || text(CONTENT_LENGTH).expect("the length of what is left out").parse().unwrap();
    let length = || if input.head { told() } else { response.body().size_hint().exact().unwrap() };
    match response.status().as_u16() {
        200 => assert_eq!(length(), BODY.len() as u64),
        206 => assert_eq!(length(), length_of_range(text(CONTENT_RANGE).expect("which part it is"))),
        304 | 412 | 416 => {}
        status => panic!("{status} for {input:?}"),
    }
});

/// The length of `bytes FIRST-LAST/16`, which lies within the body.
fn length_of_range(range: &str) -> u64 {
    let range = range.strip_prefix("bytes ").and_then(|range| range.strip_suffix("/16"));
    let (first, last) = range.and_then(|range| range.split_once('-')).expect("a range");
    let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
    assert!(first <= last && last < BODY.len() as u64, "{first}-{last}");
    last - first + 1
}
