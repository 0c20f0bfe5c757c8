//! A witness that answers on a port, and the least of a client.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use kiln_http::Limits;
use kiln_tiles::{AddCheckpoint, Cosignatures, VerifierKey};
use kiln_witness::Witness;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::world::cosigners;

/// A witness that answers until it is stopped.
pub(crate) struct Door {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    pub(crate) witness: Witness,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Door {
    pub(crate) async fn open(witness: Witness) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let handler = Arc::new(witness.clone());
        let stopped = async {
            let _ = stopped.await;
        };
        let serving = tokio::spawn(kiln_http::serve(listener, Limits::default(), handler, stopped));
        Self { address, stop, serving, witness }
    }

    /// Answers who asked, and writes what waits.
    pub(crate) async fn close(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        tokio::task::spawn_blocking(move || drop(self.witness)).await.unwrap();
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let (status, fields) = head.split_once("\r\n").unwrap();
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Reply {
            status: status.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: fields.split("\r\n").map(field).collect(),
            body: body.to_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "", b"").await
    }

    pub(crate) async fn add(&self, request: &AddCheckpoint) -> Reply {
        self.ask("POST", "/add-checkpoint", "", request.to_string().as_bytes()).await
    }

    /// Adds a checkpoint that is granted: both keys cosigned it, at this time.
    pub(crate) async fn granted(&self, request: &AddCheckpoint) -> u64 {
        let reply = self.add(request).await.expect(200);
        let lines = Cosignatures::parse(reply.body.as_bytes()).unwrap();
        let vkeys: Vec<VerifierKey> = cosigners().vkeys().to_vec();
        assert_eq!(lines.lines().len(), vkeys.len());
        let times: Vec<u64> = vkeys
            .iter()
            .zip(lines.lines())
            .map(|(vkey, line)| {
                assert!(
                    line.is_by(vkey) && vkey.verify(request.checkpoint.unverified_text(), line.signature())
                );
                vkey.time_of(line).unwrap()
            })
            .collect();
        assert_eq!(times[0], times[1]);
        times[0]
    }
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}
