//! SIGTERM: stop taking, answer what is in flight, close the rest, and be done in bounded time.

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, SLOW, Server, hasty, statuses};
use kiln_http::Limits;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Long enough for a request to reach the handler.
const MOMENT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_request_in_flight_is_answered_and_nothing_new_accepted() {
    let server = Server::start(Limits::default()).await;
    let address = server.address;
    let mut client = server.connect().await;
    client.send("GET /slow HTTP/1.1\r\nHost: kiln\r\n\r\n").await;
    sleep(MOMENT).await;
    let ended = server.stop();
    sleep(MOMENT).await;
    assert!(TcpStream::connect(address).await.is_err(), "still listening");
    let answer = client.read_to_end().await;
    assert!(answer.ends_with("slow\n"), "{answer:?}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    drop(client);
    timeout(PATIENCE, ended).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn idle_connections_are_closed_at_once() {
    let server = Server::start(Limits::default()).await;
    let mut fresh = server.connect().await;
    let mut used = server.connect().await;
    assert_eq!(statuses(&used.get("/").await), [200]);
    let ended = server.stop();
    assert_eq!(fresh.read_to_end().await, "");
    assert_eq!(used.read_to_end().await, "");
    drop((fresh, used));
    timeout(PATIENCE, ended).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn a_request_that_takes_for_ever_is_dropped_after_the_grace_time() {
    let server = Server::start(hasty()).await;
    let mut client = server.connect().await;
    client.send("GET /never HTTP/1.1\r\nHost: kiln\r\n\r\n").await;
    sleep(MOMENT).await;
    let start = Instant::now();
    timeout(PATIENCE, server.stop()).await.expect("it ends").unwrap();
    assert!(start.elapsed() >= hasty().shutdown_grace);
    assert_eq!(client.read_to_end().await, "");
}

/// Such a handler cannot be dropped. It must not keep the process from going on to release its lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_blocks_its_thread_does_not_hold_up_the_shutdown() {
    let limits = Limits { shutdown_grace: SLOW, ..Limits::default() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.send("GET /block HTTP/1.1\r\nHost: kiln\r\n\r\n").await;
    sleep(MOMENT).await;
    let start = Instant::now();
    timeout(PATIENCE, server.stop()).await.expect("it ends").unwrap();
    assert!(start.elapsed() < 3 * SLOW, "{:?}", start.elapsed());
}
