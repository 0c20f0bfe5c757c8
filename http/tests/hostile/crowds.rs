//! Very many, or very much at once.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

use std::time::Duration;

use kiln_http::{Limits, Listener, ProxyHeader, TrustedProxies};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::common::{Client, PATIENCE, Server, statuses};
use crate::siege::{Siege, limits};

const MEBIBYTE: usize = 1 << 20;
const KIBIBYTE: usize = 1 << 10;

/// 3,000 connections that do nothing: 8 KiB each at most, both ends together, and gone after the header time-out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_that_do_nothing() {
    const IDLE: usize = 3000;
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let siege = Siege::begin(Limits { header_timeout: Duration::from_secs(3), ..limits() }).await;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(siege.server.connect().await);
    }
    let memory = siege.memory();
    assert!(memory < IDLE * 8 * KIBIBYTE, "{memory} bytes");
    for mut client in idle {
        assert_eq!(client.read_to_end().await, "");
    }
    siege.withstood(Duration::from_secs(20), IDLE * 8 * KIBIBYTE).await;
}

/// Heads without an end, as fast as they can be sent: refused once they are longer than they may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_fields() {
    let siege = Siege::begin(limits()).await;
    for field in [
        "X: y\r\n".to_owned(),
        format!("X: {}\r\n", "y".repeat(4000)),
        format!("{}: y\r\n", "X".repeat(9000)),
    ] {
        let flood = format!("GET / HTTP/1.1\r\n{}", field.repeat(4 * MEBIBYTE / field.len()));
        let answer = siege.server.exchange(flood).await;
        assert!([vec![], vec![431]].contains(&statuses(&answer)), "{answer}");
    }
    siege.withstood(Duration::from_secs(10), 30 * MEBIBYTE).await;
}

/// Trailers, and what may stand behind the size of a chunk, are bytes that no body counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_beside_the_body() {
    let siege = Siege::begin(limits()).await;
    let head = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for flood in [
        format!("{head}1;{}", "x".repeat(4 * MEBIBYTE)),
        format!("{head}{}", format!("1;{}\r\ny\r\n", "x".repeat(1000)).repeat(4000)),
        format!("{head}0\r\n{}", "X: y\r\n".repeat(MEBIBYTE)),
        format!("{head}0\r\nX: {}", "y".repeat(4 * MEBIBYTE)),
    ] {
        let answer = siege.server.exchange(&flood).await;
        assert!(![vec![200]].contains(&statuses(&answer)), "{}: {answer}", &flood[..80]);
    }
    siege.withstood(Duration::from_secs(10), 40 * MEBIBYTE).await;
}

/// Connections that come and go as fast as they can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_come_and_go() {
    let siege = Siege::begin(limits()).await;
    for n in 0..3000 {
        let Client(mut stream) = siege.server.connect().await;
        if n % 2 == 0 {
            stream.write_all(b"GET /slow HTTP/1.1\r\n\r\n").await.unwrap();
        }
    }
    siege.withstood(Duration::from_secs(15), 30 * MEBIBYTE).await;
}

/// One client could take every place, and all others would be turned away.
#[tokio::test]
async fn one_client_takes_no_more_places_than_it_may() {
    let limits = Limits { max_connections_per_client: Some(2), ..Limits::default() };
    let server = Server::start(limits).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    assert_eq!([first.get("/").await, second.get("/").await].map(|answer| statuses(&answer)), [[200], [200]]);
    assert_eq!(server.connect().await.read_to_end().await, "");
    drop(first);
    let freed = async { while server.connect().await.get("/").await.is_empty() {} };
    timeout(PATIENCE, freed).await.expect("a place is free again");
}

/// A proxy has the connections of many clients, and says whose each request is.
#[tokio::test]
async fn a_trusted_proxy_speaks_for_its_clients() {
    let limits = Limits { max_connections_per_client: Some(1), ..Limits::default() };
    let trusted = TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()], ProxyHeader::XForwardedFor);
    let server = Server::start_with(limits, |socket| Listener::from(socket).behind(trusted)).await;
    let mut others = [server.connect().await, server.connect().await];
    for (client, address) in others.iter_mut().zip(["192.0.2.7", "2001:db8::7"]) {
        client.send(format!("GET /who HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6, {address}\r\n\r\n")).await;
        let answer = client.read_response().await;
        assert!(answer.ends_with(&format!("\r\n\r\n{address}")), "{answer}");
    }
    let strict = Server::start(Limits::default()).await;
    let mut client = strict.connect().await;
    client.send("GET /who HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n").await;
    assert!(client.read_response().await.ends_with("\r\n\r\n127.0.0.1"), "nobody is believed unless said so");
}
