//! Clients that take their time: a place is theirs for so long, and a byte now and then does not make it longer.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::common::{BIG, PATIENCE, Server};
use crate::siege::{Siege, limits};

const MEBIBYTE: usize = 1 << 20;
const DRIP: Duration = Duration::from_millis(50);

/// Sends the beginning, and then a byte now and then until the server has enough. Returns how long that was.
async fn drip(server: &Server, begin: &str, byte: u8) -> Duration {
    let start = Instant::now();
    let (mut read, mut write) = server.connect().await.0.into_split();
    write.write_all(begin.as_bytes()).await.unwrap();
    let dripping = async {
        while write.write_all(&[byte]).await.is_ok() {
            sleep(DRIP).await;
        }
    };
    let reading = async { while read.read(&mut [0; 512]).await.is_ok_and(|read| read > 0) {} };
    let ended = async {
        tokio::select! { () = dripping => {}, () = reading => {} }
    };
    timeout(PATIENCE, ended).await.expect("the server has enough");
    start.elapsed()
}

async fn all_drip(siege: &Siege, count: usize, begin: &'static str, byte: u8) {
    let mut dripping = JoinSet::new();
    for _ in 0..count {
        let server = siege.server.clone();
        dripping.spawn(async move { drip(&server, begin, byte).await });
    }
    while let Some(took) = dripping.join_next().await {
        let took = took.unwrap();
        assert!(took >= limits().header_timeout, "{took:?}: it may be a slow line");
    }
}

/// 300 connections that never end their heads: gone after the header time-out, 100 KiB each at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads() {
    let siege = Siege::begin(limits()).await;
    all_drip(&siege, 300, "GET / HTTP/1.1\r\nHost: kiln\r\nX: ", b'y').await;
    siege.withstood(Duration::from_secs(5), 30 * MEBIBYTE).await;
}

/// 300 bodies that never end: gone after the body time-out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies() {
    let siege = Siege::begin(limits()).await;
    all_drip(&siege, 300, "POST /echo HTTP/1.1\r\nContent-Length: 60000\r\n\r\n", b'y').await;
    siege.withstood(Duration::from_secs(5), 30 * MEBIBYTE).await;
}

/// The same in chunks of a byte, which cost most to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_chunks() {
    let siege = Siege::begin(limits()).await;
    all_drip(&siege, 300, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=", b'y').await;
    siege.withstood(Duration::from_secs(5), 30 * MEBIBYTE).await;
}

/// A reader that takes a few bytes now and then of a large answer kept its connection, and the answer, for as long as it
/// liked: the time-out counted from the last byte taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_sip() {
    let siege = Siege::begin(limits()).await;
    let mut sipping = JoinSet::new();
    for _ in 0..20 {
        let mut client = siege.server.connect().await.0;
        sipping.spawn(async move {
            client.write_all(b"GET /big HTTP/1.1\r\nHost: kiln\r\n\r\n").await.unwrap();
            let (mut total, start) = (0, Instant::now());
            let mut sip = [0; 512];
            while start.elapsed() < 6 * limits().write_timeout {
                total += client.read(&mut sip).await.unwrap_or(0);
                sleep(DRIP).await;
            }
            // What the kernel took for it is all that there is now.
            while let Ok(read @ 1..) = client.read(&mut vec![0; MEBIBYTE]).await {
                total += read;
            }
            total
        });
    }
    for total in sipping.join_all().await {
        assert!(total < BIG, "it was served to the end");
    }
    siege.withstood(Duration::from_secs(15), 120 * MEBIBYTE).await;
}

/// A client that asks again and again and never reads: what is to be answered must not pile up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_and_never_reads() {
    let siege = Siege::begin(limits()).await;
    let mut client = siege.server.connect().await.0;
    let asking = async {
        let requests = b"GET / HTTP/1.1\r\nHost: kiln\r\n\r\n".repeat(1000);
        while client.write_all(&requests).await.is_ok() {}
    };
    timeout(PATIENCE, asking).await.expect("the server has enough");
    siege.withstood(Duration::from_secs(6), 30 * MEBIBYTE).await;
}
