//! What readers may use up: memory, and the turns at the disk.

use std::cell::RefCell;
use std::time::Duration;

use kiln_http::Bytes;
use kiln_sequencer::ServerOptions;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::world::{Reply, World};

/// Longer than the kernel takes for clients that do not read.
const LONG: usize = 12 << 20;

/// A bundle at this path, as a log of long entries has it.
fn put_bundle(world: &World, path: &str) {
    world.store.memory.tamper(&path.parse().unwrap(), Some(Bytes::from(vec![7; LONG])));
}

/// Asks for a resource and reads no more than the status of the answer.
async fn status_of(world: &World, path: &str) -> (u16, TcpStream) {
    let mut stream = world.send("GET", path, &[], 0, b"").await;
    let mut line = [0; 12];
    timeout(Duration::from_secs(20), stream.read_exact(&mut line)).await.expect("an answer").unwrap();
    (std::str::from_utf8(&line[9..]).unwrap().parse().unwrap(), stream)
}

/// Asks until the answer has this status: what the others do takes effect in a moment.
async fn until<F: Future<Output = Reply>>(status: u16, ask: impl Fn() -> F) -> Reply {
    let asking = async {
        loop {
            let answer = ask().await;
            if answer.status == status {
                return answer;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), asking).await.expect("the others have an effect")
}

/// A hundred connections asked for one bundle of 16 MB and read nothing: each held a copy of its own, and the
/// log took 1.2 GB.
#[tokio::test]
async fn who_reads_the_same_bundle_shares_one_copy_and_there_is_room_for_few() {
    let options = ServerOptions {
        answer_bytes: 32 << 20,
        read_timeout: Duration::from_secs(1),
        ..ServerOptions::default()
    };
    let world = World::new(options).await;
    let mut held = Vec::new();
    for path in ["/tile/entries/000", "/tile/entries/001", "/tile/entries/002"] {
        put_bundle(&world, &path[1..]);
    }
    for _ in 0..30 {
        let (status, stream) = status_of(&world, "/tile/entries/000").await;
        assert_eq!(status, 200, "they share it");
        held.push(stream);
    }
    let (status, stream) = status_of(&world, "/tile/entries/001").await;
    assert_eq!(status, 200, "there is room for a second one");
    held.push(stream);
    let refused = world.get("/tile/entries/002").await.expect(503);
    assert_eq!((refused.header("retry-after"), refused.header("cache-control")), ("1", "no-store"));
    assert_eq!(refused.text(), "too many entry bundles are on their way to readers\n");
    world.get("/checkpoint").await.expect(200);
    drop(held);
    let answer = until(200, || world.get("/tile/entries/002")).await;
    assert_eq!(answer.body.len(), LONG, "what they held was given back");
}

/// Connections could each keep megabytes of a batch that never ends.
#[tokio::test]
async fn batches_that_never_end_leave_the_others_a_503() {
    let world = World::new(ServerOptions { body_bytes: 1 << 20, ..ServerOptions::default() }).await;
    let batch = [&60_000_u16.to_be_bytes()[..], &[7; 60_000]].concat().repeat(8);
    let stalled = RefCell::new(Vec::new());
    let refused = until(503, || async {
        let one_more = world.send("POST", "/add-batch", &[], 2 << 20, &[0; 470_000]).await;
        stalled.borrow_mut().push(one_more);
        world.post("/add-batch", &[], &batch).await
    });
    let refused = refused.await;
    assert!(refused.text().contains("too many requests are being read"), "{}", refused.text());
    assert!(!refused.header("retry-after").is_empty());
    drop(stalled);
    until(200, || world.post("/add-batch", &[], &batch)).await;
}

/// Readers and rounds share the threads that wait for a disk, and readers of a slow one took them all.
#[tokio::test]
async fn readers_of_a_slow_disk_take_turns_and_wait_no_longer_than_they_must() {
    let options = ServerOptions {
        reads_at_once: 4,
        read_timeout: Duration::from_millis(300),
        ..ServerOptions::default()
    };
    let world = World::new(options).await;
    world.post("/add", &[], b"entry").await.expect(200);
    world.store.hold(Some("tile/0/000.p/1"));
    for _ in 0..2 {
        let mut waiting = Vec::new();
        for _ in 0..20 {
            waiting.push(world.send("GET", "/tile/0/000.p/1", &[], 0, b"").await);
        }
        for mut stream in waiting {
            let mut answer = String::new();
            let answered = stream.read_to_string(&mut answer);
            timeout(Duration::from_secs(10), answered).await.expect("an answer").unwrap();
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
        }
        // Those who waited are gone. Their reads are not, and nobody else gets their turns.
        assert_eq!(world.store.waiting(), 4);
    }
    world.store.hold(None);
    world.get("/tile/0/000.p/1").await.expect(200);
}
