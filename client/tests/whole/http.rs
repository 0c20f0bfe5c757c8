//! Logs behind http, and servers that are not nice. Every test is bounded in time.

#[allow(dead_code, reason = "each test file uses another part")]
use std::time::{Duration, Instant};

use crate::common::{self, TestLog, entry, trusted};
use crate::server::{Server, answer, ok, raw, scripted};
use kiln_client::{Client, ClientError, HttpOptions, HttpSource, Source, SourceError};
use tokio::io::AsyncWriteExt;

/// Fast enough for a test: half a second for a request, two retries.
fn source(server: &Server) -> HttpSource {
    let options = HttpOptions::default().timeout(Duration::from_millis(500)).retries(2);
    HttpSource::with_options(&server.url, options).unwrap()
}

async fn serve(log: &TestLog) -> Server {
    let resources = log.source.clone();
    scripted(move |_, request| match resources.get(&request.path()[1..]) {
        Some(bytes) => ok(bytes),
        None => answer("404 Not Found", "", "no such resource\n"),
    })
    .await
}

/// The error of a fetch that must end within ten seconds.
async fn fails(server: &Server) -> SourceError {
    let source = source(server);
    let fetch = source.fetch("tile/0/000", 1_000);
    tokio::time::timeout(Duration::from_secs(10), fetch).await.expect("it ends").unwrap_err()
}

#[tokio::test]
async fn a_log_behind_http_reads_and_checks() {
    let log = TestLog::of(1_000);
    let server = serve(&log).await;
    let client = Client::new(source(&server), trusted());
    assert_eq!(client.get(999).await.unwrap(), entry(999));
    assert_eq!(client.prove(0).await.unwrap().index(), 0);
    let mut entries = client.entries(..);
    let mut count = 0;
    while entries.next().await.transpose().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 1_000);
    client.check_log(|_| {}).await.unwrap();
    log.source.remove("tile/entries/001");
    assert_eq!(common::blamed(&client.check_log(|_| {}).await.unwrap_err()), "tile/entries/001");
}

#[tokio::test]
async fn it_says_who_asks() {
    let (server, seen) = crate::server::recording(|_| ok("x")).await;
    let options = HttpOptions::default().user_agent("monitor/7");
    let source = HttpSource::with_options(&server.url, options).unwrap();
    source.fetch("checkpoint", 10).await.unwrap();
    let head = seen.lock().unwrap()[0].head.clone();
    let agent = concat!("user-agent: monitor/7 kiln-client/", env!("CARGO_PKG_VERSION"));
    assert!(head.starts_with("get /checkpoint http/1.1") && head.contains(agent), "{head}");
    assert!(HttpSource::with_options("http://x", HttpOptions::default().user_agent("a\nb")).is_err());
}

#[tokio::test]
async fn a_server_that_stumbles_is_asked_again() {
    let log = TestLog::of(3);
    let checkpoint = log.source.get("checkpoint").unwrap();
    for first in [
        answer("500 Internal Server Error", "", "oops"),
        answer("503 Service Unavailable", "retry-after: 0\r\n", ""),
        answer("429 Too Many Requests", "", ""),
        b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\nbroken off".to_vec(),
        b"not http at all\r\n\r\n".to_vec(),
        Vec::new(),
    ] {
        let good = ok(&checkpoint);
        let server = scripted(move |n, _| if n < 2 { first.clone() } else { good.clone() }).await;
        let read = source(&server).fetch("checkpoint", 10_000).await.unwrap();
        assert_eq!(read.unwrap(), checkpoint);
        assert_eq!(server.requests(), 3);
    }
}

#[tokio::test]
async fn a_server_that_stays_down_is_given_up_on() {
    let server = scripted(|_, _| answer("502 Bad Gateway", "", "no upstream\r\nmore\x1b[31m")).await;
    let error = fails(&server).await;
    assert!(error.is_retryable());
    assert_eq!(error.to_string(), "not available: the server answered 502: no upstream");
    assert_eq!(server.requests(), 3);
    let client = Client::new(source(&server), trusted());
    let error = client.update().await.unwrap_err();
    assert!(!error.is_bad_log() && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn retry_after_is_waited_for_and_not_for_ever() {
    let server = scripted(|n, _| match n {
        0 => answer("503 Service Unavailable", "retry-after: 1\r\n", ""),
        _ => ok("x"),
    });
    let server = server.await;
    let start = Instant::now();
    source(&server).fetch("checkpoint", 10).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());

    let server = scripted(|_, _| answer("503 Service Unavailable", "retry-after: 86400\r\n", "")).await;
    assert!(fails(&server).await.is_retryable());
    assert_eq!(server.requests(), 1, "a day is too long, and sooner is not wanted");
}

#[tokio::test]
async fn no_port_no_log() {
    let source = HttpSource::with_options("http://127.0.0.1:1", HttpOptions::default().retries(1)).unwrap();
    let error = source.fetch("checkpoint", 10).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_not_read() {
    let server = raw(|_, _, mut stream| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
        drop(stream.write_all(head).await);
        std::future::pending::<()>().await; // a reader would wait here
    });
    let server = server.await;
    let start = Instant::now();
    assert!(matches!(fails(&server).await, SourceError::TooLong { limit: 1_000 }));
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    assert_eq!(server.requests(), 1, "a second try would be as long");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let server = raw(|_, _, mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await);
        while stream.write_all(b"100\r\n").await.is_ok() {
            drop(stream.write_all(&[b'x'; 256]).await);
            drop(stream.write_all(b"\r\n").await);
        }
    });
    assert!(matches!(fails(&server.await).await, SourceError::TooLong { limit: 1_000 }));
}

#[tokio::test]
async fn an_error_page_without_end_is_cut_off() {
    let server = raw(|_, _, mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 500 x\r\n\r\n").await);
        while stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
    });
    let error = fails(&server.await).await.to_string();
    assert!(error.len() < 400, "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_timed_out() {
    for part in ["", "HTTP/1.1 200 OK\r\ncontent-", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"] {
        let server = raw(move |_, _, mut stream| async move {
            drop(stream.write_all(part.as_bytes()).await);
            std::future::pending::<()>().await;
        });
        let server = server.await;
        let error = fails(&server).await;
        assert!(error.is_retryable() && error.to_string().contains("within 500ms"), "{error}");
        assert_eq!(server.requests(), 3);
    }
}

/// A byte each 100 ms: every single read is fast, the whole is not.
#[tokio::test]
async fn a_server_that_drips_is_timed_out() {
    let server = raw(|_, _, mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n").await);
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(fails(&server.await).await.is_retryable());
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let server = raw(|_, _, mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n").await);
        while stream.write_all(b"x-more: and more and more and more and more\r\n").await.is_ok() {}
    });
    assert!(fails(&server.await).await.is_retryable());
}

#[tokio::test]
async fn a_redirect_is_shown_and_not_followed() {
    let server =
        scripted(|_, _| answer("301 Moved Permanently", "location: https://evil.example/\r\n", "")).await;
    let error = fails(&server).await;
    assert!(!error.is_retryable() && error.to_string().contains("https://evil.example/"), "{error}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn what_nobody_asked_for_is_refused() {
    for bytes in [
        answer("200 OK", "content-encoding: gzip\r\n", "x"),
        answer("403 Forbidden", "", "not you"),
        answer("204 No Content", "", ""),
        answer("206 Partial Content", "content-range: bytes 0-1/3\r\n", "ab"),
    ] {
        let server = scripted(move |_, _| bytes.clone()).await;
        assert!(!fails(&server).await.is_retryable());
        assert_eq!(server.requests(), 1);
    }
}

/// Object stores that may not list answer "forbidden" for what is not there.
#[tokio::test]
async fn a_forbidden_partial_tile_is_looked_for_in_the_full_one() {
    let mut log = TestLog::of(300);
    log.grow_to(512);
    for path in ["tile/0/001.p/44", "tile/entries/001.p/44"] {
        log.source.remove(path);
    }
    log.serve(common::head(300));
    let resources = log.source.clone();
    let server = scripted(move |_, request| match resources.get(&request.path()[1..]) {
        Some(bytes) => ok(bytes),
        None => answer("403 Forbidden", "", ""),
    });
    let server = server.await;
    let client = Client::new(source(&server), trusted());
    assert_eq!(client.get(299).await.unwrap(), entry(299));
    log.source.remove("tile/entries/001");
    let error = client.get(299).await.unwrap_err();
    assert!(matches!(error, ClientError::Source { .. }), "nothing is said about the log: {error}");
}

/// A web page in place of the log is no log; it is not an outage either.
#[tokio::test]
async fn garbage_with_a_good_status_is_a_bad_log() {
    let server = scripted(|_, _| ok("<!doctype html><title>Welcome to the hotel</title>")).await;
    assert!(Client::new(source(&server), trusted()).update().await.unwrap_err().is_bad_log());
}

#[tokio::test]
async fn connections_are_kept() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accepted = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4_096];
        while tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await.unwrap() > 0 {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx").await.unwrap();
        }
    });
    let source = HttpSource::new(&url).unwrap();
    for _ in 0..20 {
        source.clone().fetch("checkpoint", 1).await.unwrap();
    }
    assert!(!accepted.is_finished(), "twenty requests on one connection");
}
