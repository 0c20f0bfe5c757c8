//! When the system has no file for one more connection. Alone in its process, whose files it uses up.

mod common;

use std::fs::File;

use common::{Client, Server, statuses};
use kiln_http::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpSocket;
use tokio::time::{Duration, sleep};

/// A listener that gives up on EMFILE leaves a process that lives and serves nobody.
#[tokio::test]
async fn the_listener_waits_for_a_free_file_and_goes_on() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) }).unwrap();
    let server = Server::start(Limits::default()).await;
    let socket = TcpSocket::new_v4().unwrap();
    let files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let mut client = Client(socket.connect(server.address).await.unwrap());
    sleep(Duration::from_millis(150)).await;
    assert!(client.0.try_read(&mut [0]).is_err(), "still in the backlog");
    drop(files);
    assert_eq!(statuses(&client.get("/").await), [200]);
}
