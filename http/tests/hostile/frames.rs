//! Frames of HTTP/2 that no library would send: each costs its sender less than it seems to cost the server.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::PATIENCE;
use crate::siege::{Siege, limits};

const MEBIBYTE: usize = 1 << 20;

/// Kinds of frames: [RFC 9113, 6](https://www.rfc-editor.org/rfc/rfc9113#section-6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 0xfa;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET` of `/`, `/big` and `/never`, with the authority `kiln`, by HPACK's static table and literals that are not indexed.
const GET: &[u8] = b"\x82\x86\x84\x01\x04kiln";
const GET_BIG: &[u8] = b"\x82\x86\x04\x04/big\x01\x04kiln";
const GET_NEVER: &[u8] = b"\x82\x86\x04\x06/never\x01\x04kiln";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The preface, and these settings.
fn beginning(settings: &[u8]) -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(SETTINGS, 0, 0, settings).as_slice()].concat()
}

/// Sends the frames again and again until the server has enough, or takes no more for a while, or so many bytes are
/// sent. Reads, or does not. Returns whether the server said that it has enough.
async fn flood(siege: &Siege, frames: impl Fn(u32) -> Vec<u8>, reads: bool, most: usize) -> bool {
    let (mut read, mut write) = siege.server.connect().await.0.into_split();
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        if reads {
            let _ = read.read_to_end(&mut all).await;
        }
        (says_go(&all), read)
    });
    write.write_all(&beginning(b"")).await.unwrap();
    let (mut sent, mut number) = (0, 0);
    while sent < most && !(reads && reading.is_finished()) {
        let mut burst = Vec::new();
        while burst.len() < 16 * 1024 {
            burst.extend(frames(number));
            number += 1;
        }
        match timeout(4 * limits().write_timeout, write.write_all(&burst)).await {
            Ok(Ok(())) => sent += burst.len(),
            // It was told to go, or the server waits for it to read.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    drop(write);
    timeout(PATIENCE, reading).await.expect("the connection ends").unwrap().0
}

/// Whether one of these frames is a GOAWAY.
fn says_go(mut frames: &[u8]) -> bool {
    while let Some((head, rest)) = frames.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        if head[3] == GOAWAY {
            return true;
        }
        frames = rest.get(length..).unwrap_or_default();
    }
    false
}

/// The stream of the n-th request.
const fn stream(n: u32) -> u32 {
    2 * n + 1
}

/// Rapid reset: requests that are taken back at once count as none against the limit of streams, and were begun all the
/// same. 50 MiB of them, a million requests, or until the server has enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_reset() {
    let siege = Siege::begin(limits()).await;
    let begun_and_reset = |n| {
        let begun = frame(HEADERS, END_HEADERS | END_STREAM, stream(n), GET_NEVER);
        [begun, frame(RST_STREAM, 0, stream(n), &8_u32.to_be_bytes())].concat()
    };
    assert!(flood(&siege, begun_and_reset, true, 50 * MEBIBYTE).await, "the server let it go on");
    siege.withstood(Duration::from_secs(30), 30 * MEBIBYTE).await;
}

/// The same, where the server is made to reset: by a window that overflows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_that_the_server_is_made_to_send() {
    let siege = Siege::begin(limits()).await;
    let made_to_reset = |n| {
        let begun = frame(HEADERS, END_HEADERS | END_STREAM, stream(n), GET_NEVER);
        [begun, frame(WINDOW_UPDATE, 0, stream(n), &0x7fff_ffff_u32.to_be_bytes())].concat()
    };
    assert!(flood(&siege, made_to_reset, true, 50 * MEBIBYTE).await, "the server let it go on");
    siege.withstood(Duration::from_secs(30), 30 * MEBIBYTE).await;
}

/// A head that goes on for ever was one list in memory. The server has enough long before 50 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn continuations_without_an_end() {
    let siege = Siege::begin(limits()).await;
    let field = [b"\x00\x01x\x7f\x81\x7f".as_slice(), &[b'y'; 256]].concat();
    for payload in [b"".as_slice(), &field, &field.repeat(50)] {
        let goes_on = |n| match n {
            0 => frame(HEADERS, 0, 1, GET),
            _ => frame(CONTINUATION, 0, 1, payload),
        };
        let told = flood(&siege, goes_on, true, 50 * MEBIBYTE).await;
        assert!(told, "{} bytes a frame: the server let it go on", payload.len());
    }
    siege.withstood(Duration::from_secs(30), 30 * MEBIBYTE).await;
}

/// A head that is small on the wire and large in memory: one field, and references to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_small_on_the_wire() {
    let siege = Siege::begin(limits()).await;
    let bomb = |n| {
        // A field of 3,000 bytes, indexed, and 10,000 references to it.
        let field = [b"\x40\x01x\x7f\xb9\x16".as_slice(), &[b'y'; 3000]].concat();
        let head = [GET, &field, &[0xbe; 10_000]].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, stream(n), &head)
    };
    flood(&siege, bomb, true, 10 * MEBIBYTE).await;
    siege.withstood(Duration::from_secs(30), 30 * MEBIBYTE).await;
}

/// Frames that ask for an answer, from a client that reads none: 20 MiB of each kind, or until the server takes no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_and_settings_that_nobody_reads_the_answers_to() {
    let siege = Siege::begin(limits()).await;
    for kind in [frame(PING, 0, 0, b"8 bytes!"), frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])] {
        flood(&siege, |_| kind.clone(), false, 20 * MEBIBYTE).await;
    }
    siege.withstood(Duration::from_secs(30), 30 * MEBIBYTE).await;
}

/// Frames that ask for nothing, and cost the time to look at them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_say_nothing() {
    let siege = Siege::begin(limits()).await;
    for kind in [
        frame(PRIORITY, 0, 5, &[0, 0, 0, 0, 1]),
        frame(UNKNOWN, 0, 0, b"what is this?"),
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        frame(PING, 1, 0, b"8 bytes!"),
        frame(SETTINGS, 1, 0, b""),
    ] {
        flood(&siege, |_| kind.clone(), true, 5 * MEBIBYTE).await;
    }
    siege.withstood(Duration::from_secs(30), 30 * MEBIBYTE).await;
}

/// Empty pieces of a body, which no limit on bytes counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_empty_pieces() {
    let siege = Siege::begin(limits()).await;
    let head = b"\x83\x86\x04\x05/echo\x01\x04kiln";
    let pieces = |n| match n {
        0 => frame(HEADERS, END_HEADERS, 1, head),
        _ => frame(DATA, 0, 1, b""),
    };
    flood(&siege, pieces, true, 20 * MEBIBYTE).await;
    siege.withstood(Duration::from_secs(30), 30 * MEBIBYTE).await;
}

/// A client that never opens its window keeps 256 answers waiting; one that opens it by a byte now and then did so for
/// ever. Both are told to go, and gone after twice the header time-out and the grace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_stay_shut_or_open_by_a_byte() {
    let siege = Siege::begin(limits()).await;
    let no_window = [0, 4, 0, 0, 0, 0];
    for trickle in [false, true] {
        let start = Instant::now();
        let mut stream: TcpStream = siege.server.connect().await.0;
        let asked = (0..256).flat_map(|n| frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, GET_BIG));
        stream.write_all(&[beginning(&no_window), asked.collect()].concat()).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let opening = tokio::spawn(async move {
            let open = frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes());
            while trickle && write.write_all(&open).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            write
        });
        let mut all = Vec::new();
        let _ = timeout(2 * PATIENCE, read.read_to_end(&mut all)).await.expect("it is told to go");
        opening.abort();
        assert!(
            start.elapsed() < 2 * limits().header_timeout + limits().shutdown_grace + Duration::from_secs(2)
        );
    }
    siege.withstood(Duration::from_secs(15), 30 * MEBIBYTE).await;
}

/// What is no frame, or not where it stands: an error of the connection, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_none() {
    let siege = Siege::begin(limits()).await;
    for bytes in [
        frame(HEADERS, END_HEADERS, 0, GET),
        frame(HEADERS, END_HEADERS, 2, GET),
        frame(HEADERS, END_HEADERS, 1, &[0xff; 100]),
        frame(HEADERS, END_HEADERS | 8, 1, b"\xff"),
        frame(DATA, 0, 7, b"nobody's"),
        frame(SETTINGS, 0, 0, b"12345"),
        frame(SETTINGS, 0, 1, b""),
        frame(PING, 0, 0, b"short"),
        frame(WINDOW_UPDATE, 0, 0, &0_u32.to_be_bytes()),
        frame(RST_STREAM, 0, 9, &0_u32.to_be_bytes()),
        frame(CONTINUATION, 0, 1, GET),
        vec![0xff; 100],
        frame(DATA, 0, 1, &vec![0; 20_000]),
    ] {
        let mut stream = siege.server.connect().await.0;
        let _ = stream.write_all(&[beginning(b""), bytes.clone()].concat()).await;
        let mut all = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("the connection ends");
    }
    assert!(!siege.server.seen().contains(&"/never".to_owned()));
    siege.withstood(Duration::from_secs(30), 20 * MEBIBYTE).await;
}
