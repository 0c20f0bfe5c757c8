//! The limit of the HTTP stack: a hyper server that reads the body and answers a number, or a line for
//! each entry of a batch.
//!
//! usage: `empty-hyper ADDRESS`; prints its URL, then `ready`

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_batch = request.uri().path() == "/add-batch";
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let answer = if is_batch { "0\n".repeat(entries(&body)) } else { body.len().to_string() };
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
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}\nready", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A connection that breaks is the load generator's business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}
