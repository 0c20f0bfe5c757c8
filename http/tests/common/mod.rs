//! A small server behind the door, and a client that writes bytes as no HTTP library would.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kiln_http::{
    ByteBudget, Bytes, Gate, Gated, Handler, Incoming, Limits, Listener, Request, Response, StatusCode,
    read_body, reply, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What `/echo` takes.
pub(crate) const MAX_BODY: usize = 100_000;

/// What all `/echo` together take.
pub(crate) const MAX_BODIES: usize = 150_000;

/// More than the kernel takes for a client that does not read.
pub(crate) const BIG: usize = 32 << 20;

/// How long `/slow` takes.
pub(crate) const SLOW: Duration = Duration::from_millis(200);

/// A short time for each limit, so that tests see them at work.
pub(crate) fn hasty() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(150),
        body_timeout: Duration::from_millis(150),
        write_timeout: Duration::from_millis(150),
        shutdown_grace: Duration::from_millis(500),
        ..Limits::default()
    }
}

pub(crate) struct Routes {
    limits: Limits,
    big: Bytes,
    bodies: ByteBudget,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Handler for Routes {
    async fn handle(&self, request: Request<Incoming>, client: kiln_http::Client) -> Response {
        let path = request.uri().path().to_owned();
        self.seen.lock().unwrap().push(path.clone());
        match path.as_str() {
            "/echo" => self.echo(request).await,
            "/big" => reply::text(StatusCode::OK, self.big.clone()),
            "/slow" => {
                sleep(SLOW).await;
                reply::text(StatusCode::OK, "slow\n")
            }
            "/block" => {
                std::thread::sleep(5 * SLOW);
                reply::text(StatusCode::OK, "blocked\n")
            }
            "/who" => reply::text(StatusCode::OK, client.address().to_string()),
            "/never" => std::future::pending().await,
            "/panic" => panic!("a handler's mistake"),
            _ => reply::text(StatusCode::OK, "hello\n"),
        }
    }
}

impl Routes {
    async fn echo(&self, request: Request<Incoming>) -> Response {
        let mut share = self.bodies.empty_share();
        match read_body(
            request.version(),
            request.into_body(),
            MAX_BODY,
            self.limits.body_timeout,
            &mut share,
        )
        .await
        {
            Ok(body) => reply::text(StatusCode::OK, body),
            Err(error) => error.into_response(),
        }
    }
}

/// A running server; it ends with the test's runtime, or when told to.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The paths that reached the handler.
    seen: Arc<Mutex<Vec<String>>>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(limits: Limits) -> Self {
        Self::start_with(limits, Listener::from).await
    }

    /// The same with a listener that is made of its socket so.
    pub(crate) async fn start_with(limits: Limits, listener: impl FnOnce(TcpListener) -> Listener) -> Self {
        Self::start_behind(Gate::default(), limits, listener).await
    }

    /// The same behind a gate, which all POSTs pass.
    pub(crate) async fn start_behind(
        gate: Gate,
        limits: Limits,
        listener: impl FnOnce(TcpListener) -> Listener,
    ) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let listener = listener(socket);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let bodies = ByteBudget::new(MAX_BODIES);
        let routes = Routes { limits, big: vec![b'b'; BIG].into(), bodies, seen: seen.clone() };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let ended =
            tokio::spawn(serve(listener, limits, Arc::new(Gated::new(routes, Arc::new(gate))), shutdown));
        Self { address, seen, stop, ended }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends these bytes on a connection of their own and reads until the server closes it.
    pub(crate) async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client.read_to_end().await
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Gives the signal and leaves `serve` to its work.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.ended
    }
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    /// Sends what it can: the server may have closed the connection already, which the answer tells.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = timeout(PATIENCE, self.0.write_all(bytes.as_ref())).await.expect("the server reads");
    }

    pub(crate) async fn get(&mut self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: kiln\r\n\r\n")).await;
        self.read_response().await
    }

    /// Everything until the connection ends, however it ends.
    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut text = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut text)).await.expect("the server closes");
        String::from_utf8(text).unwrap()
    }

    /// One response whose head and body are in text.
    pub(crate) async fn read_response(&mut self) -> String {
        timeout(PATIENCE, self.read_one()).await.expect("the server answers")
    }

    async fn read_one(&mut self) -> String {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            let Ok(byte) = self.0.read_u8().await else { return text };
            text.push(byte.into());
        }
        let mut body = vec![0; content_length(&text)];
        self.0.read_exact(&mut body).await.unwrap();
        text + std::str::from_utf8(&body).unwrap()
    }
}

pub(crate) fn content_length(head: &str) -> usize {
    let value = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    value.map_or(0, |digits| digits.parse().unwrap())
}

/// The status codes of all responses in `text`.
pub(crate) fn statuses(text: &str) -> Vec<u16> {
    text.split("HTTP/1.1 ").skip(1).map(|response| response[..3].parse().unwrap()).collect()
}
