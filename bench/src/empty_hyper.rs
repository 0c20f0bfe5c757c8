//! The limit of the HTTP stack: a hyper server that reads the body and answers a number, or a line for
//! each entry of a batch.
//!
//! usage: `empty-hyper [--hold MILLIS] ADDRESS`; prints its URL, then `ready`. It answers at once, or so much
//! later, as a log does.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// As in Kiln.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many as Kiln takes.
const MAX_STREAMS: u32 = 256;

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

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (hold, address) = match &words[..] {
        [flag, millis, address] if flag == "--hold" => {
            (millis.parse().ok().map(Duration::from_millis), address)
        }
        [address] => (None, address),
        _ => return Err(std::io::Error::other("usage: empty-hyper [--hold MILLIS] ADDRESS")),
    };
    let listener = TcpListener::bind(address).await?;
    println!("http://{}\nready", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A connection that breaks is the load generator's business.
            let mut http = auto::Builder::new(TokioExecutor::new());
            http.http2().max_concurrent_streams(MAX_STREAMS);
            let _ = http
                .serve_connection(TokioIo::new(stream), service_fn(|request| answer(request, hold)))
                .await;
        });
    }
}
