//! HTTP requests of the object stores, over the same hyper, rustls and ring as all of Kiln.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

/// A store that does not take a connection in this time is gone.
const CONNECT: Duration = Duration::from_secs(3);

/// Servers close connections that idle: S3 after about 20 seconds, Node's after 5. Before that we do.
const IDLE: Duration = Duration::from_secs(4);

/// How long a request may take, its answer included. Stores stall for seconds now and then, and a
/// request that is given up would only have to be made again. A head of 64 MiB gets half a minute.
fn patience(body: u64) -> Duration {
    Duration::from_secs(15 + (body >> 22))
}

/// Makes the clients, one for the store and one for where its credentials come from. Other services of a cloud are
/// asked over such a client, too: each has roots, time-outs and connections as a store's has.
#[derive(Clone, Copy, Debug)]
pub struct Connector;

#[derive(Debug)]
struct Transport {
    client: Client<HttpsConnector<HttpConnector>, HttpRequestBody>,
}

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
enum TransportError {
    #[error("no complete answer within {0:?}")]
    Late(Duration),
    #[error("{}", innermost(.0))]
    Client(#[source] ClientError),
    #[error("the answer broke off: {}", innermost(.0))]
    Body(#[source] hyper::Error),
}

/// The error that says something: that of the system, at the end of the chain.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a dyn Error {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

impl object_store::client::HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Set for metadata services of clouds, and for endpoints that the operator wrote so.
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        let connector = connector(plain)
            .map_err(|source| object_store::Error::Generic { store: "TLS", source: source.into() })?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(HttpClient::new(Transport { client }))
    }
}

fn connector(plain: bool) -> std::io::Result<HttpsConnector<HttpConnector>> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT));
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?;
    // A machine without root certificates can still use a store that speaks plain http.
    let config = match config.clone().with_native_roots() {
        Err(_) if plain => config.with_root_certificates(rustls::RootCertStore::empty()),
        roots => roots?,
    };
    let builder = HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth());
    let builder = if plain { builder.https_or_http() } else { builder.https_only() };
    Ok(builder.enable_http1().wrap_connector(http))
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        const AGENT: HeaderValue = HeaderValue::from_static(concat!("kiln/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, AGENT);
        let patience = patience(request.body().content_length() as u64);
        let end = Instant::now() + patience;
        let late = |_| HttpError::new(HttpErrorKind::Timeout, TransportError::Late(patience));
        let answer = timeout_at(end, self.client.request(request)).await.map_err(late)?;
        let (parts, body) = answer.map_err(client_error)?.into_parts();
        let body = TimedBody { body, patience, end: Box::pin(sleep_until(end)) };
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

/// What may be tried again: whatever never reached the store, and whatever broke off on a connection
/// that the store may just have closed. A conditional write of the latter kind that did arrive finds
/// itself in the way; callers read again after a conflict.
fn client_error(error: ClientError) -> HttpError {
    let source = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    let kind = match source {
        _ if error.is_connect() => HttpErrorKind::Connect,
        Some(e) if e.is_canceled() || e.is_closed() || e.is_incomplete_message() => HttpErrorKind::Request,
        _ => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, TransportError::Client(error))
}

/// An answer that must be complete in time. `object_store` takes up one that breaks off where it did.
#[derive(Debug)]
struct TimedBody {
    body: Incoming,
    patience: Duration,
    end: Pin<Box<Sleep>>,
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let broken = |e| HttpError::new(HttpErrorKind::Interrupted, TransportError::Body(e));
            return Poll::Ready(frame.map(|frame| frame.map_err(broken)));
        }
        let late = TransportError::Late(self.patience);
        self.end.as_mut().poll(context).map(|()| Some(Err(HttpError::new(HttpErrorKind::Timeout, late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
