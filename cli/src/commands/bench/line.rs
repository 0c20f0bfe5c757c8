//! Lines to the server under load. Little stands between the load and the sockets: what the generator uses,
//! a server on the same machine lacks. So there is no pool that others share, no retry, no clock for each request.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest as Http2;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest as Http1};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::failure::Failure;

/// What is asked of the server, but for the body.
#[derive(Clone, Debug)]
pub(super) struct Target {
    uri: Uri,
    address: String,
    headers: HeaderMap,
    http2: bool,
    longest_answer: usize,
}

/// Why a request was not answered well.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum LineError {
    #[error("no connection, or one that broke")]
    Broken,
    #[error("answer {0}")]
    Status(u16),
    #[error("an answer that is not one index for each entry")]
    Answer,
}

/// A way to the server: a connection of HTTP/2, or as many of HTTP/1.1 as there are requests at once.
#[derive(Debug)]
pub(super) struct Line {
    target: Arc<Target>,
    connections: Connections,
}

#[derive(Debug)]
enum Connections {
    /// Those that wait for a request.
    Http1(Mutex<Vec<Http1<Full<Bytes>>>>),
    /// The one for all requests. Who finds none makes it, and the others wait for it.
    Http2(Mutex<Option<Http2<Bytes>>>),
}

/// The longest index, and the end of its line.
const LONGEST_INDEX: usize = 24;

/// Answers that a connection of HTTP/2 takes before they are read. A round answers all streams at once, and h2 ends a
/// connection on which more small frames wait than half of this, each counted as 256 bytes.
const HTTP2_WINDOW: u32 = 16 << 20;

impl Target {
    /// Posts of `entries` entries to this resource of a server that speaks plain HTTP.
    pub(super) fn new(url: &str, http2: bool, entries: u64) -> Result<Self, Failure> {
        let uri: Uri = url.parse().map_err(|_| Failure::usage(format!("{url} is not a URL")))?;
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(Failure::usage(format!(
                "{url} does not begin with http://: a load is sent by plain HTTP"
            )));
        };
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        let longest_answer = usize::try_from(entries).expect("a few thousand") * LONGEST_INDEX;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("kiln/", env!("CARGO_PKG_VERSION"))));
        if !http2 {
            let host = uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
            headers.extend(host.and_then(Result::ok).map(|host| (HOST, host)));
        }
        Ok(Self { uri, address, headers, http2, longest_answer })
    }

    fn request<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.headers);
        request
    }

    async fn connect(&self) -> Result<TcpStream, LineError> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect_http1(&self) -> Result<Http1<Full<Bytes>>, LineError> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.connect().await?)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn connect_http2(&self) -> Result<Http2<Bytes>, LineError> {
        let mut http2 = h2::client::Builder::new();
        http2.initial_connection_window_size(HTTP2_WINDOW);
        let (sender, connection) = http2.handshake(self.connect().await?).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Line {
    pub(super) fn new(target: &Arc<Target>) -> Self {
        let connections = if target.http2 {
            Connections::Http2(Mutex::default())
        } else {
            Connections::Http1(Mutex::default())
        };
        Self { target: target.clone(), connections }
    }

    /// Connects before there is anything to send: who connects in a crowd, under load, meets a full backlog, and
    /// waits for seconds until its system tries again.
    pub(super) async fn open(&self) -> Result<(), LineError> {
        match &self.connections {
            Connections::Http1(idle) => idle.lock().await.push(self.target.connect_http1().await?),
            Connections::Http2(one) => *one.lock().await = Some(self.target.connect_http2().await?),
        }
        Ok(())
    }

    /// Posts a body and returns the answer to it.
    pub(super) async fn post(&self, body: Bytes) -> Result<Vec<u8>, LineError> {
        match &self.connections {
            Connections::Http1(idle) => self.post_http1(idle, body).await,
            Connections::Http2(one) => self.post_http2(one, body).await,
        }
    }

    async fn post_http1(
        &self,
        idle: &Mutex<Vec<Http1<Full<Bytes>>>>,
        body: Bytes,
    ) -> Result<Vec<u8>, LineError> {
        let waiting = idle.lock().await.pop().filter(|sender| !sender.is_closed());
        let mut sender = match waiting {
            Some(sender) => sender,
            None => self.target.connect_http1().await?,
        };
        sender.ready().await?;
        let response = sender.send_request(self.target.request(Full::new(body))).await?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), self.target.longest_answer).collect().await;
        idle.lock().await.push(sender);
        well(status)?;
        Ok(answer.map_err(|_| LineError::Answer)?.to_bytes().into())
    }

    async fn post_http2(&self, one: &Mutex<Option<Http2<Bytes>>>, body: Bytes) -> Result<Vec<u8>, LineError> {
        let mut request = self.target.request(());
        request.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        let (response, mut stream) = self.sender(one).await?.send_request(request, false)?;
        stream.send_data(body, true)?;
        drop(stream);
        let response = response.await?;
        well(response.status())?;
        let (mut data, mut answer) = (response.into_body(), Vec::new());
        while let Some(piece) = data.data().await {
            let piece = piece?;
            let _ = data.flow_control().release_capacity(piece.len()); // of a stream that may have ended
            answer.extend_from_slice(&piece);
            if answer.len() > self.target.longest_answer {
                return Err(LineError::Answer);
            }
        }
        Ok(answer)
    }

    /// Who may send a request now.
    async fn sender(&self, one: &Mutex<Option<Http2<Bytes>>>) -> Result<Http2<Bytes>, LineError> {
        let mut kept = one.lock().await;
        let sender = match &*kept {
            Some(sender) => sender.clone(),
            None => kept.insert(self.target.connect_http2().await?).clone(),
        };
        drop(kept);
        match sender.ready().await {
            Ok(sender) => Ok(sender),
            Err(error) => {
                *one.lock().await = None; // the next one connects anew
                Err(error.into())
            }
        }
    }
}

fn well(status: StatusCode) -> Result<(), LineError> {
    if status == StatusCode::OK { Ok(()) } else { Err(LineError::Status(status.as_u16())) }
}

impl From<std::io::Error> for LineError {
    fn from(_: std::io::Error) -> Self {
        Self::Broken
    }
}

impl From<hyper::Error> for LineError {
    fn from(_: hyper::Error) -> Self {
        Self::Broken
    }
}

impl From<h2::Error> for LineError {
    fn from(_: h2::Error) -> Self {
        Self::Broken
    }
}
