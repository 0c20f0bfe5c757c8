//! The listener, and one task for each connection.

use std::convert::Infallible;
use std::io::{self, Error, ErrorKind};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};
use tracing::{Instrument, Level, Span, debug, debug_span, field, warn};

use crate::crowd::{Crowd, Place};
use crate::socket::{Activity, Socket};
use crate::tls::{Spoken, spoken};
use crate::{Client, Handler, Limits, Listener, Response, Tls, TrustedProxies, reply};

/// How long to wait when the system has no file or memory for one more connection: long enough not to
/// spin, short enough that the next connection to close is soon replaced.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The least that hyper takes as a buffer.
const MIN_BUFFER: usize = 8 * 1024;

/// The most bytes of bodies that a connection of HTTP/2 may send before they are read: what the
/// specification begins with.
const HTTP2_WINDOW: u32 = 65_535;

/// How a client that speaks HTTP/2 begins, as far as no other does.
const PREFACE: &[u8; 4] = b"PRI ";

/// Between the first two looks at a beginning that is not whole yet; each pause is twice as long as the one before.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);

/// Serves `listener` until `shutdown` resolves and returns when the last connection is closed.
///
/// On shutdown nothing more is accepted, idle connections are closed, and requests in flight are answered;
/// those that take longer than [`Limits::shutdown_grace`] are dropped. Dropping the future does
/// the same without waiting. No error ends it: what `accept` reports is logged and tried again.
///
/// It speaks HTTP/1.1 with keep-alive, and HTTP/2 with clients that begin with it ("prior knowledge"): an answer
/// that takes a second to come would otherwise cost a connection for each request that waits. A panic in
/// the handler closes its connection, or resets its stream, and no other. Over TLS the client says within the
/// handshake which of them it speaks, and a listener with TLS takes nothing else.
pub async fn serve<H: Handler>(
    listener: impl Into<Listener>,
    limits: Limits,
    handler: Arc<H>,
    shutdown: impl Future<Output = ()>,
) {
    let Listener { tcp: listener, tls, proxies } = listener.into();
    let crowd = limits.max_connections_per_client.map(Crowd::new);
    let (http1, http2) = (http1_within(&limits), http2_within(&limits));
    let streams = Semaphore::new(limits.max_requests);
    let door = Arc::new(Door { http1, http2, limits, handler, streams, tls, proxies, crowd });
    // Each connection holds a receiver. That is how it learns of the shutdown, how connections are
    // counted, and how this function knows that the last one is gone.
    let (stop, _) = watch::channel(());
    tokio::select! {
        never = door.accept_all(&listener, &stop) => match never {},
        () = shutdown => drop(listener),
    }
    stop.send_replace(());
    // Each connection ends itself by then, unless a handler blocks its thread.
    if timeout(limits.shutdown_grace, stop.closed()).await.is_err() {
        warn!(connections = stop.receiver_count(), "the grace time is over, some requests go unanswered");
    }
}

/// What all connections of a listener share.
struct Door<H> {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    limits: Limits,
    handler: Arc<H>,
    /// How many more requests HTTP/2 connections may have open.
    streams: Semaphore,
    tls: Option<Tls>,
    proxies: TrustedProxies,
    /// Where the connections of a client are counted.
    crowd: Option<Arc<Crowd>>,
}

fn http1_within(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.max_header_bytes)
        .max_headers(limits.max_headers)
        .max_buf_size(limits.max_header_bytes.max(MIN_BUFFER))
        // `nc -N` and some proxies close their half once the request is out; they still want the answer.
        .half_close(true);
    http
}

fn http2_within(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        // What a client may send before a handler reads it.
        .initial_stream_window_size(HTTP2_WINDOW)
        .initial_connection_window_size(HTTP2_WINDOW);
    http
}

/// A connection, as long as it is open.
struct Visit {
    peer: IpAddr,
    /// Says when to end, and by its life that this one is open.
    stop: watch::Receiver<()>,
    _place: Option<Place>,
}

/// What HTTP is spoken over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

impl<H: Handler> Door<H> {
    async fn accept_all(self: &Arc<Self>, listener: &TcpListener, stop: &watch::Sender<()>) -> Infallible {
        let mut accepting = true;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    accepting = true;
                    self.admit(stream, peer.ip(), stop);
                }
                Err(error) if is_of_one_connection(&error) => debug!(%error, "a connection ended early"),
                Err(error) => {
                    // Once for each time of trouble, not once for each try.
                    if std::mem::take(&mut accepting) {
                        warn!(%error, "cannot accept connections, trying on");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: IpAddr, stop: &watch::Sender<()>) {
        if stop.receiver_count() >= self.limits.max_connections {
            debug!("connection limit reached, closing the new one");
            return;
        }
        let Ok(place) = self.place(peer) else {
            debug!(%peer, "connection limit of a client reached, closing the new one");
            return;
        };
        // An answer leaves in one write; waiting for more of it would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY");
        }
        let (door, visit) = (Arc::clone(self), Visit { peer, stop: stop.subscribe(), _place: place });
        match self.tls {
            None => tokio::spawn(door.attend(stream, visit)),
            Some(_) => tokio::spawn(door.attend_tls(stream, visit)),
        };
    }

    /// A place among the connections of a client, where these are counted. Those of a trusted proxy are not: they are
    /// of many clients.
    fn place(&self, peer: IpAddr) -> Result<Option<Place>, ()> {
        match &self.crowd {
            Some(crowd) if !self.proxies.contains(peer) => crowd.enter(Client::at(peer)).map(Some).ok_or(()),
            _ => Ok(None),
        }
    }

    /// One connection from its first byte to its last.
    async fn attend(self: Arc<Self>, stream: TcpStream, mut visit: Visit) {
        let version = tokio::select! {
            biased;
            version = timeout(self.limits.header_timeout, begins_http2(&stream)) => version,
            _ = visit.stop.changed() => return,
        };
        match version {
            Ok(Ok(false)) => self.attend_http1(stream, visit).await,
            // Boxed: connections of HTTP/1.1, of which there are many, have no room for its state.
            Ok(Ok(true)) => Box::pin(self.attend_http2(stream, visit)).await,
            Ok(Err(error)) => debug!(%error, "connection closed"),
            Err(_) => debug!("connection closed: it said nothing"),
        }
    }

    /// The same, over TLS.
    async fn attend_tls(self: Arc<Self>, stream: TcpStream, mut visit: Visit) {
        let Some(tls) = &self.tls else { return };
        let accepted = tokio::select! {
            biased;
            accepted = timeout(self.limits.handshake_timeout, Box::pin(tls.accept(stream))) => accepted,
            _ = visit.stop.changed() => return,
        };
        let mut stream = match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return debug!(%error, "no handshake"),
            Err(_) => return debug!("no handshake in time"),
        };
        match spoken(&stream) {
            Spoken::Http1 => self.attend_http1(stream, visit).await,
            Spoken::Http2 => Box::pin(self.attend_http2(stream, visit)).await,
            Spoken::Acme => drop(timeout(self.limits.handshake_timeout, stream.shutdown()).await),
        }
    }

    async fn attend_http1<S: Stream>(&self, stream: S, mut visit: Visit) {
        let answering = AtomicBool::new(false);
        let socket = TokioIo::new(Socket::new(stream, &answering, self.limits.write_timeout));
        let peer = visit.peer;
        // Both borrow from this task, so a request costs no reference count.
        let service = service_fn(|request| {
            answering.store(true, Ordering::Relaxed);
            self.answer(request, peer).map(|response| {
                answering.store(false, Ordering::Relaxed);
                Ok::<_, Infallible>(response)
            })
        });
        let mut connection = pin!(self.http1.serve_connection(socket, service));
        // An error means that `serve` itself was dropped.
        let told = visit.stop.changed().map(drop);
        self.attend_until(connection.as_mut(), told, http1::Connection::graceful_shutdown).await;
    }

    /// Each request is a task of its own. A connection where nothing is asked and nothing moves is told to
    /// go, as one of HTTP/1.1 is closed: within twice the header time-out.
    async fn attend_http2<S: Stream>(self: Arc<Self>, stream: S, mut visit: Visit) {
        let activity = Arc::new(Activity::default());
        let socket = TokioIo::new(Socket::of_http2(stream, &activity, self.limits.write_timeout));
        let peer = visit.peer;
        let service = service_fn(|request| {
            let (door, activity) = (self.clone(), activity.clone());
            activity.asked();
            async move {
                let response = match door.streams.try_acquire() {
                    Ok(_one) => door.answer(request, peer).await,
                    Err(_) => crowded(),
                };
                drop(activity); // open until here
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = pin!(self.http2.serve_connection(socket, service));
        let told = async {
            tokio::select! {
                _ = visit.stop.changed() => {}
                () = idle(&activity, self.limits.header_timeout) => {}
            }
        };
        self.attend_until(connection.as_mut(), told, http2::Connection::graceful_shutdown).await;
    }

    /// Runs a connection to its end, which is within the grace time from when it is told to end.
    async fn attend_until<C: Future<Output = hyper::Result<()>>>(
        &self,
        mut connection: Pin<&mut C>,
        told: impl Future<Output = ()>,
        tell: impl FnOnce(Pin<&mut C>),
    ) {
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            () = told => {
                tell(connection.as_mut());
                timeout(self.limits.shutdown_grace, connection).await.ok()
            }
        };
        if let Some(Err(error)) = ended {
            debug!(%error, "connection closed");
        }
    }

    /// Not an `async fn`: that would hold the request beside what the handler makes of it.
    fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> impl Future<Output = Response> + Send {
        let asked = Asked::if_logged(&request);
        let span = span_of(&request);
        let traced = !span.is_disabled();
        let client = self.proxies.client(peer, request.headers());
        let answered = self.handler.handle(request, client).inspect(move |response| {
            if let Some(asked) = asked {
                asked.log(response);
            }
            if traced {
                Span::current().record("http.response.status_code", i64::from(response.status().as_u16()));
            }
        });
        answered.instrument(span)
    }
}

/// The span of a request, in OpenTelemetry's words, for who collects traces. Whether the client has one of its own does
/// not matter: anybody may send a `traceparent`, and would say which requests are traced here.
fn span_of<B>(request: &Request<B>) -> Span {
    debug_span!(
        "request",
        otel.kind = "server",
        http.request.method = request.method().as_str(),
        server.address = request.uri().host().or_else(|| request.headers().get(header::HOST)?.to_str().ok()),
        url.path = request.uri().path(),
        http.response.status_code = field::Empty,
    )
}

/// Waits until no request is open on a connection of HTTP/2, and nothing moved on it for so long.
async fn idle(activity: &Arc<Activity>, span: Duration) {
    let mut looks = interval_at(Instant::now() + span, span);
    loop {
        looks.tick().await;
        if Arc::strong_count(activity) == IDLE && !activity.has_moved() {
            return;
        }
    }
}

fn crowded() -> Response {
    reply::unavailable(1, "too many requests are open; send it again in a moment\n")
}

/// Whether the client speaks HTTP/2 from the start. No request of HTTP/1.1 begins as its preface does:
/// [RFC 9113, 3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4).
async fn begins_http2(stream: &TcpStream) -> io::Result<bool> {
    let (mut first, mut pause) = ([0; PREFACE.len()], PREFACE_PAUSE);
    loop {
        let length = stream.peek(&mut first).await?;
        if length == 0 || length == PREFACE.len() || !PREFACE.starts_with(&first[..length]) {
            return Ok(first == *PREFACE);
        }
        // What was looked at stays readable, so nothing would tell of more.
        sleep(pause).await;
        pause *= 2;
    }
}

/// The errors that `accept(2)` reports of a connection that is already gone; the next one may be fine.
fn is_of_one_connection(error: &Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// How many hold the [`Activity`] of a connection on which no request is open: its task alone.
const IDLE: usize = 1;

/// What the log says of a request, copied only if somebody listens.
struct Asked(Box<AskedOf>);

struct AskedOf {
    method: Method,
    uri: Uri,
    start: Instant,
}

impl Asked {
    fn if_logged<B>(request: &Request<B>) -> Option<Self> {
        tracing::enabled!(Level::DEBUG).then(|| {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            Self(Box::new(AskedOf { method, uri, start: Instant::now() }))
        })
    }

    fn log(self, response: &Response) {
        let AskedOf { method, uri, start } = *self.0;
        debug!(%method, path = uri.path(), status = response.status().as_u16(), took = ?start.elapsed());
    }
}
