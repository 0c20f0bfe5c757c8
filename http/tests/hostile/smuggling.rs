//! Requests whose end is told in two ways. Whoever stands in front may believe the other one: what is a body to it must
//! never be a request here.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

use std::time::Duration;

use crate::common::statuses;
use crate::siege::{Siege, limits};

const MEBIBYTE: usize = 1 << 20;

/// Behind each of these comes a request that only one of two readings has.
const AMBIGUOUS: [&str; 40] = [
    // both ways at once: answered by the encoding, and the connection closed (RFC 9112, 6.1)
    "POST /echo HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n0\r\n\r\n",
    // lengths that are two, or none
    "POST /echo HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: 44\r\nContent-Length: 0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: 0,44\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: +0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: -0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: 0 0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: 0_0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: 0.0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: 0x0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: \"0\"\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: \x0b0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: 0\x0c\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length:\r\n\r\n",
    // an encoding that some take for chunked
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    // names that some take for another
    "POST /echo HTTP/1.1\r\nContent-Length : 44\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nContent-Length\0: 44\r\n\r\n",
    "POST /echo HTTP/1.1\r\n Content-Length: 44\r\n\r\n",
    "POST /echo HTTP/1.1\r\nX: y\r\n\tContent-Length: 44\r\n\r\n",
    // lines that end otherwise
    "POST /echo HTTP/1.1\r\nX: y\nContent-Length: 44\r\n\r\n",
    "POST /echo HTTP/1.1\r\nX: y\rContent-Length: 44\r\n\r\n",
    "POST /echo HTTP/1.1\r\nX: y\0\r\nContent-Length: 0\r\n\r\n",
    "POST /echo HTTP/1.1\nContent-Length: 0\n\n",
    // chunks whose size is two, or none
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0;x\n\r\n\r\n",
    "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n",
];

/// Ends within a second each, and takes no more than a mebibyte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_a_body_to_others_is_never_a_request_here() {
    let siege = Siege::begin(limits()).await;
    for head in AMBIGUOUS {
        let answer =
            siege.server.exchange(format!("{head}GET /smuggled HTTP/1.1\r\nHost: kiln\r\n\r\n")).await;
        assert!(!siege.server.seen().contains(&"/smuggled".to_owned()), "{head:?}: {answer}");
        let few = statuses(&answer);
        assert!(few.len() <= 1 && few.iter().all(|status| [200, 400].contains(status)), "{head:?}: {answer}");
    }
    siege.withstood(Duration::from_secs(40), 8 * MEBIBYTE).await;
}

/// HTTP/2 has its own fields for what HTTP/1.1 says of a connection, and a request with those of HTTP/1.1 is malformed.
/// What has none of them is one request, whatever its body looks like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_looks_like_a_request_stays_a_body() {
    let siege = Siege::begin(limits()).await;
    let body = "GET /smuggled HTTP/1.1\r\nHost: kiln\r\n\r\n";
    for head in [
        format!("POST /echo HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()),
        format!(
            "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
        format!("GET / HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()),
    ] {
        assert_eq!(statuses(&siege.server.exchange(&head).await), [200], "{head}");
    }
    assert!(!siege.server.seen().contains(&"/smuggled".to_owned()));
    siege.withstood(Duration::from_secs(5), 8 * MEBIBYTE).await;
}
