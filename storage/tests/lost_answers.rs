//! Real object stores behind a line that loses answers: requests arrive, and nobody is told.
//!
//! The endpoints stand in the environment, which a test cannot change for itself; so each test here runs
//! itself again as another process, with the bad line in place of the endpoint.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use bytes::Bytes;
use kiln_storage::{Bucket, CreateError, ImmutableObjects, Loaded, Object, ObjectPath, Register, Store};

/// Where clouds' own tools look for an endpoint.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL", "AZURITE_BLOB_STORAGE_URL", "STORAGE_EMULATOR_HOST"];

/// Set in the other process.
const BAD_LINE: &str = "KILN_TEST_BAD_LINE";

/// Every fourth answer is lost.
const LOST: u32 = 4;

const WRITERS: usize = 8;
const COUNTS: u32 = 10;

fn store() -> Option<Bucket> {
    std::env::var(BAD_LINE).ok()?;
    let url = std::env::var("KILN_TEST_STORE").ok()?;
    Some(Bucket::open(&url.parse().expect("a URL")).expect("credentials in the environment"))
}

/// Runs a test of this file again, over a bad line, where there is an endpoint to have one to.
fn again_over_a_bad_line(test: &str) {
    let found = ENDPOINTS.iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
    let (Some((name, endpoint)), Ok(store)) = (found, std::env::var("KILN_TEST_STORE")) else {
        // Past what the test runner keeps back.
        let why = "KILN_TEST_STORE names no bucket to test with, or no endpoint is known";
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
        return;
    };
    let address = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let line = TcpListener::bind("127.0.0.1:0").expect("a port");
    let bad = format!("http://{}", line.local_addr().expect("its address"));
    let (lost, counted) = (std::sync::Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
    let losses = lost.clone();
    thread::spawn(move || {
        let counted = std::sync::Arc::new(counted);
        for client in line.incoming() {
            let (address, counted, losses) = (address.clone(), counted.clone(), losses.clone());
            thread::spawn(move || relay(client.ok()?, &address, &counted, &losses));
        }
    });
    let prefix = format!("{store}/{test}-{}", std::process::id());
    let mut run = Command::new(std::env::current_exe().expect("this test"));
    let run = run.args(["--exact", test, "--nocapture"]);
    let status = run.env(BAD_LINE, "yes").env(name, bad).env("KILN_TEST_STORE", prefix).status();
    assert!(status.expect("another process").success(), "over the bad line");
    assert!(lost.load(Ordering::Relaxed) > 5, "the line was not that bad");
}

/// Passes requests on, and most answers back; then the connection ends. Each answer is one burst or more, so
/// a connection whose turn it is loses all of what comes back.
fn relay(client: TcpStream, address: &str, counted: &AtomicU32, losses: &AtomicU32) -> Option<()> {
    let server = TcpStream::connect(address).ok()?;
    let (mut requests, mut to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut requests, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let (mut answers, mut to_client, mut burst) = (server, client, [0; 1 << 16]);
    loop {
        let length = answers.read(&mut burst).ok().filter(|&length| length > 0);
        let is_lost = length.is_some() && counted.fetch_add(1, Ordering::Relaxed) % LOST == LOST - 1;
        losses.fetch_add(u32::from(is_lost), Ordering::Relaxed);
        match length {
            Some(length) if !is_lost => to_client.write_all(&burst[..length]).ok()?,
            _ => return to_client.shutdown(Shutdown::Both).ok(),
        }
    }
}

/// Writers that count together, each its own number, and read again after whatever is no clear yes. A swap
/// that two of them won, or one that came back, would lose a count or take one twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_swap_is_lost_or_done_twice() {
    let Some(bucket) = store() else { return again_over_a_bad_line("no_swap_is_lost_or_done_twice") };
    let writers: Vec<_> = (0..WRITERS).map(|me| tokio::spawn(count(bucket.clone(), me))).collect();
    for writer in writers {
        writer.await.expect("a writer of this file");
    }
    let counts = loop {
        if let Ok(loaded) = bucket.head().load().await {
            break counts(loaded.value.as_ref());
        }
    };
    assert_eq!(counts, [COUNTS; WRITERS]);
}

async fn count(bucket: Bucket, me: usize) {
    let (mut mine, mut attempt) = (0, 0);
    while mine < COUNTS {
        let Ok(Loaded { held, value }) = bucket.head().load().await else { continue };
        let mut counts = counts(value.as_ref());
        // Its own number is the last it knows of, or one more, where an answer was lost.
        assert!((mine..=mine + 1).contains(&counts[me]), "{counts:?}, but writer {me} had {mine}");
        mine = counts[me];
        if mine == COUNTS {
            return;
        }
        attempt += 1;
        counts[me] += 1;
        // No two values are equal, as the contract asks.
        let next = format!("{} by {me}.{attempt}", counts.map(|count| count.to_string()).join(","));
        mine += u32::from(bucket.head().swap(held, next.into()).await.is_ok());
    }
}

fn counts(value: Option<&Bytes>) -> [u32; WRITERS] {
    let mut counts = [0; WRITERS];
    let text = value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    let numbers = text.split(' ').next().unwrap_or_default().split(',');
    for (count, number) in counts.iter_mut().zip(numbers) {
        *count = number.parse().unwrap_or(0);
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tiles_are_created_by_calling_again() {
    let Some(bucket) = store() else { return again_over_a_bad_line("tiles_are_created_by_calling_again") };
    let tile = |number: u32| Object {
        path: format!("tile/0/{number:03}").parse::<ObjectPath>().expect("a name"),
        body: number.to_string().into(),
    };
    for number in 0..30 {
        while let Err(error) = bucket.create(vec![tile(number)]).await {
            assert!(matches!(error, CreateError::Storage(_)), "its own write is no other log's: {error}");
        }
    }
    for number in 0..30 {
        let found = loop {
            if let Ok(found) = bucket.read(&tile(number).path).await {
                break found;
            }
        };
        assert_eq!(found, Some(tile(number).body));
    }
}

/// Whoever has a bad line is told so, or gets through; a store that keeps conditions is never accused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_accused_over_a_bad_line() {
    let Some(bucket) = store() else { return again_over_a_bad_line("nobody_is_accused_over_a_bad_line") };
    for nonce in 0..20 {
        match bucket.check_conditions([nonce; 16]).await {
            Ok(()) | Err(kiln_storage::bucket::ConditionsError::Storage(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
