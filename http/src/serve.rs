//! The listener, and one task for each connection.

use std::convert::Infallible;
use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{Level, debug, warn};

use crate::socket::Socket;
use crate::{Handler, Limits, Response};

/// How long to wait when the system has no file or memory for one more connection: long enough not to
/// spin, short enough that the next connection to close is soon replaced.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The least that hyper takes as a buffer.
const MIN_BUFFER: usize = 8 * 1024;

/// Serves `listener` until `shutdown` resolves and returns when the last connection is closed.
///
/// On shutdown nothing more is accepted, idle connections are closed, and requests in flight are answered;
/// those that take longer than [`Limits::shutdown_grace`] are dropped. Dropping the future does
/// the same without waiting. No error ends it: what `accept` reports is logged and tried again.
///
/// It speaks HTTP/1.1 with keep-alive. HTTP/2 without TLS is left out: to tell the two apart each read would
/// go through one more buffer, no browser speaks it, and proxies that do also speak HTTP/1.1. A panic in
/// the handler closes its connection and no other.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    limits: Limits,
    handler: Arc<H>,
    shutdown: impl Future<Output = ()>,
) {
    let door = Arc::new(Door { http: http1_within(&limits), limits, handler });
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
    http: http1::Builder,
    limits: Limits,
    handler: Arc<H>,
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

impl<H: Handler> Door<H> {
    async fn accept_all(self: &Arc<Self>, listener: &TcpListener, stop: &watch::Sender<()>) -> Infallible {
        let mut accepting = true;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    accepting = true;
                    self.admit(stream, stop);
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

    fn admit(self: &Arc<Self>, stream: TcpStream, stop: &watch::Sender<()>) {
        if stop.receiver_count() >= self.limits.max_connections {
            debug!("connection limit reached, closing the new one");
            return;
        }
        tokio::spawn(Arc::clone(self).attend(stream, stop.subscribe()));
    }

    /// One connection from its first byte to its last.
    async fn attend(self: Arc<Self>, stream: TcpStream, mut stop: watch::Receiver<()>) {
        let answering = AtomicBool::new(false);
        let socket = TokioIo::new(Socket::new(stream, &answering, self.limits.write_timeout));
        // Both borrow from this task, so a request costs no reference count.
        let service = service_fn(|request| self.answer(request, &answering));
        let mut connection = pin!(self.http.serve_connection(socket, service));
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            // An error means that `serve` itself was dropped.
            _ = stop.changed() => {
                connection.as_mut().graceful_shutdown();
                timeout(self.limits.shutdown_grace, connection).await.ok()
            }
        };
        if let Some(Err(error)) = ended {
            debug!(%error, "connection closed");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        answering: &AtomicBool,
    ) -> Result<Response, Infallible> {
        let asked = Asked::if_logged(&request);
        answering.store(true, Ordering::Relaxed);
        let response = self.handler.handle(request).await;
        answering.store(false, Ordering::Relaxed);
        if let Some(asked) = asked {
            asked.log(&response);
        }
        Ok(response)
    }
}

/// The errors that `accept(2)` reports of a connection that is already gone; the next one may be fine.
fn is_of_one_connection(error: &Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What the log says of a request, copied only if somebody listens.
struct Asked {
    method: Method,
    uri: Uri,
    start: Instant,
}

impl Asked {
    fn if_logged<B>(request: &Request<B>) -> Option<Self> {
        tracing::enabled!(Level::DEBUG).then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            start: Instant::now(),
        })
    }

    fn log(self, response: &Response) {
        let Self { method, uri, start } = self;
        debug!(%method, path = uri.path(), status = response.status().as_u16(), took = ?start.elapsed());
    }
}
