//! The limit of the HTTP stack: a hyper server that reads the body and answers a number, or a line for
//! each entry of a batch.
//!
//! usage: `empty-hyper [--hold MILLIS] ADDRESS`; prints its URL, then `ready`. It answers at once, or so much
//! later, as a log does.
//!
//! What hyper, tokio and the sockets are told is what Kiln tells them: `kiln_http::serve` is the other half of this
//! comparison, and a setting that changes there changes here.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kiln_http::Limits;
use tokio::net::{TcpListener, TcpStream};

/// As in Kiln.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The window of a stream and of a connection of HTTP/2, as in Kiln.
const HTTP2_WINDOW: u32 = 65_535;

/// How a client that speaks HTTP/2 begins, as far as no other does.
const PREFACE: &[u8; 4] = b"PRI ";

/// What all connections share.
struct Server {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    hold: Option<Duration>,
}

impl Server {
    fn new(hold: Option<Duration>) -> Self {
        let limits = Limits::default();
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_header_size(limits.max_header_bytes)
            .max_headers(limits.max_headers)
            .max_buf_size(limits.max_header_bytes)
            .half_close(true);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_streams)
            .max_header_list_size(u32::try_from(limits.max_header_bytes).expect("16 KiB"))
            .initial_stream_window_size(HTTP2_WINDOW)
            .initial_connection_window_size(HTTP2_WINDOW);
        Self { http1, http2, hold }
    }

    /// A connection that breaks is the load generator's business.
    async fn attend(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut first = [0; PREFACE.len()];
        let length = stream.peek(&mut first).await?;
        let service = service_fn(|request| answer(request, self.hold));
        let stream = TokioIo::new(stream);
        let ended = if first[..length] == *PREFACE {
            // Boxed, as in Kiln: connections of HTTP/1.1 have no room for its state.
            Box::pin(self.http2.serve_connection(stream, service)).await
        } else {
            self.http1.serve_connection(stream, service).await
        };
        ended.map_err(io::Error::other)
    }
}

async fn answer(
    request: Request<Incoming>,
    hold: Option<Duration>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_batch = request.uri().path() == "/add-batch";
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let answer = if is_batch { "0\n".repeat(entries(&body)) } else { body.len().to_string() };
    if let Some(hold) = hold {
        tokio::time::sleep(hold).await;
    }
    Ok(Response::new(Full::from(answer)))
}

/// How many entries a batch has, each behind its length in two bytes.
fn entries(mut batch: &[u8]) -> usize {
    let mut count = 0;
    while let Some((length, rest)) = batch.split_first_chunk() {
        batch = rest.get(usize::from(u16::from_be_bytes(*length))..).unwrap_or_default();
        count += 1;
    }
    count
}

/// The runtime has the threads that `kiln serve` has.
#[tokio::main]
async fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (hold, address) = match &words[..] {
        [flag, millis, address] if flag == "--hold" => {
            (millis.parse().ok().map(Duration::from_millis), address)
        }
        [address] => (None, address),
        _ => return Err(io::Error::other("usage: empty-hyper [--hold MILLIS] ADDRESS")),
    };
    let listener = TcpListener::bind(address).await?;
    println!("http://{}\nready", listener.local_addr()?);
    let server: &Server = Box::leak(Box::new(Server::new(hold)));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(server.attend(stream));
    }
}
