//! A server on loopback that does as it is told, badly if need be.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A running server. It takes one request on each connection.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A request as it came: line and headers in lower case, and the body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

/// Answers request number `n` by whatever `answer` writes.
pub(crate) async fn raw<F>(answer: impl Fn(usize, Request, TcpStream) -> F + Send + Sync + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let (counter, answer) = (Arc::clone(&requests), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (counter, answer) = (Arc::clone(&counter), Arc::clone(&answer));
            tokio::spawn(async move {
                if let Some(request) = read(&mut stream).await {
                    let number = counter.fetch_add(1, Ordering::SeqCst);
                    answer(number, request, stream).await;
                }
            });
        }
    });
    Server { url, requests }
}

/// Answers request number `n` with these bytes, and closes.
pub(crate) async fn scripted(answer: impl Fn(usize, Request) -> Vec<u8> + Send + Sync + 'static) -> Server {
    raw(move |number, request, mut stream| {
        let bytes = answer(number, request);
        async move {
            drop(stream.write_all(&bytes).await);
            drop(stream.shutdown().await);
        }
    })
    .await
}

/// A log server: what it was asked is kept.
pub(crate) async fn recording(
    answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> (Server, Arc<Mutex<Vec<Request>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let server = scripted(move |number, request| {
        record.lock().unwrap().push(request);
        answer(number)
    });
    (server.await, seen)
}

/// An answer with a length.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(crate) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", "", body)
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 65_536];
        let read = stream.read(&mut buffer).await.ok().filter(|&read| read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while bytes.len() < end + 4 + length {
            let read = stream.read(&mut buffer).await.ok().filter(|&read| read > 0)?;
            bytes.extend_from_slice(&buffer[..read]);
        }
        return Some(Request { head, body: bytes[end + 4..].to_vec() });
    }
}
