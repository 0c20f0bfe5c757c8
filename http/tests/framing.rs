//! Where a request ends. A server that disagrees with a proxy about it answers one user's request to
//! another: request smuggling.

mod common;

use std::time::Duration;

use common::{Server, statuses};
use kiln_http::Limits;
use tokio::time::sleep;

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(Limits::default()).await;
    let answer = server
        .exchange(concat!(
            "GET /slow HTTP/1.1\r\nHost: kiln\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: kiln\r\nContent-Length: 8\r\n\r\n\n\n one\n\n",
            "POST /echo HTTP/1.1\r\nHost: kiln\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\ntwo\r\n0\r\n\r\n",
            "GET /last HTTP/1.1\r\nHost: kiln\r\nConnection: close\r\n\r\n",
        ))
        .await;
    assert_eq!(statuses(&answer), [200; 4]);
    assert_eq!(server.seen(), ["/slow", "/echo", "/echo", "/last"]);
    let bodies = ["slow\n", "\n\n one\n\n", "\ntwo", "hello\n"];
    let mut rest = answer.as_str();
    for body in bodies {
        let (_, behind) = rest.split_once("\r\n\r\n").unwrap();
        rest = behind.strip_prefix(body).unwrap_or_else(|| panic!("{body:?} is not next in {rest:?}"));
    }
    assert_eq!(rest, "");
}

/// Sends `head` and behind it what only a server that is wrong about the body takes for a request.
async fn smuggle(head: &str) -> (Vec<u16>, Vec<String>) {
    let server = Server::start(Limits::default()).await;
    let answer = server.exchange(format!("{head}GET /smuggled HTTP/1.1\r\nHost: kiln\r\n\r\n")).await;
    (statuses(&answer), server.seen())
}

#[tokio::test]
async fn ambiguous_requests_are_answered_400_and_the_connection_closed() {
    for head in [
        // two lengths
        "POST /echo HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 0, 5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: +0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 0x0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        // an encoding that is not known, or not last, or not of this version
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        // fields that others may read as another field
        "GET / HTTP/1.1\r\nX: y\r\n folded: z\r\n\r\n",
        "GET / HTTP/1.1\r\n Content-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n",
        "GET / HTTP/1.1\r\nX: y\rContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nX: y\0\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let (statuses, seen) = smuggle(head).await;
        assert_eq!((statuses, seen), (vec![400], vec![]), "{head:?}");
    }
}

/// [RFC 9112, 6.1] lets a server answer by `Transfer-Encoding` alone if it closes the connection after it.
///
/// [RFC 9112, 6.1]: https://www.rfc-editor.org/rfc/rfc9112#section-6.1
#[tokio::test]
async fn after_a_request_with_both_length_and_encoding_the_connection_is_closed() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        let (statuses, seen) = smuggle(&format!("POST /echo HTTP/1.1\r\n{fields}\r\n0\r\n\r\n")).await;
        assert_eq!((statuses, seen), (vec![200], vec!["/echo".to_owned()]), "{fields:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_badly_chunked_is_answered_400_and_the_connection_closed() {
    for body in [
        "0\n\n",
        "5;x\n\r\nhello\r\n0\r\n\r\n",
        "-5\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n",
    ] {
        let head = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (statuses, seen) = smuggle(&format!("{head}{body}")).await;
        assert_eq!((statuses, seen), (vec![400], vec!["/echo".to_owned()]), "{body:?}");
    }
}

#[tokio::test]
async fn a_line_that_ends_in_a_bare_lf_closes_the_connection() {
    for head in [
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\r\nX: y\nContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nX: y\r\n\n",
    ] {
        let (statuses, seen) = smuggle(head).await;
        assert_eq!((statuses, seen), (vec![], vec![]), "{head:?}");
    }
}

/// A proxy sends the next user's request on the same connection when the last answer is in. The one
/// before it may have had a body, where an LF is a byte like any other.
#[tokio::test]
async fn a_bare_lf_is_found_in_a_later_request_too_but_not_in_bodies() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    assert_eq!(statuses(&client.get("/").await), [200]);
    for _ in 0..3 {
        client.send("POST /echo HTTP/1.1\r\nContent-Length: 6\r\n\r\na\n").await;
        sleep(Duration::from_millis(20)).await;
        client.send("\n\nb\n").await;
        assert!(client.read_response().await.ends_with("\r\n\r\na\n\n\nb\n"));
    }
    client.send("GET /smuggled HTTP/1.1\r\nX: y\nY: z\r\n\r\n").await;
    assert_eq!(client.read_to_end().await, "");
    assert_eq!(server.seen(), ["/", "/echo", "/echo", "/echo"]);
}

#[tokio::test]
async fn bytes_that_are_no_http_at_all_do_no_harm() {
    let server = Server::start(Limits::default()).await;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello"[..], b"\0\0\0\0"] {
        let mut client = server.connect().await;
        client.send(bytes).await;
        client.send(b"\r\n\r\n").await;
        let answer = client.read_to_end().await;
        assert!([vec![], vec![400]].contains(&statuses(&answer)), "{answer}");
    }
    assert!(server.seen().is_empty());
}
