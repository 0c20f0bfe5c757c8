//! `/healthz`, `/readyz` and `/metrics`.
//!
//! The first two also answer on the public listener ([`health`]); metrics tell more than strangers
//! need to know and stand on the admin listener only ([`AdminHandler`]).

use std::borrow::Cow;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};

use crate::{Client, Handler, Response, reply};

/// What Prometheus calls the text that [`Probe::metrics`] returns.
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// What a prober that was told 503 should wait: they ask every few seconds anyway.
const READY_RETRY_SECS: u32 = 1;

/// What a server says of itself. Both are asked often, and one by strangers: answer from memory.
pub trait Probe: Send + Sync + 'static {
    /// Whether requests sent here would be answered well.
    ///
    /// # Errors
    /// Why not. Anyone may read it.
    fn ready(&self) -> Result<(), NotReady>;

    /// All metrics in the [OpenMetrics] text format, `# EOF` included.
    ///
    /// [OpenMetrics]: https://prometheus.io/docs/specs/om/open_metrics_spec/
    fn metrics(&self) -> String;
}

impl<P: Probe> Probe for Arc<P> {
    fn ready(&self) -> Result<(), NotReady> {
        (**self).ready()
    }

    fn metrics(&self) -> String {
        (**self).metrics()
    }
}

/// Why a server is not ready, for people: "the checkpoint is 40 s old".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not ready: {0}")]
pub struct NotReady(Cow<'static, str>);

impl NotReady {
    /// Not ready for this reason. It is shown to anyone who asks.
    pub fn because(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

/// Answers `/healthz` and `/readyz`; any other path is `None`, for the caller to route.
///
/// `/healthz` says only that the process answers. It is never red for a store, a lease or a fence: an
/// orchestrator would kill the standby, or restart for ever.
pub fn health<B>(request: &Request<B>, probe: &impl Probe) -> Option<Response> {
    match request.uri().path() {
        "/healthz" => Some(read_only(request, || reply::text(StatusCode::OK, "ok\n"))),
        "/readyz" => Some(read_only(request, || ready(probe))),
        _ => None,
    }
}

fn ready(probe: &impl Probe) -> Response {
    match probe.ready() {
        Ok(()) => reply::text(StatusCode::OK, "ready\n"),
        Err(reason) => reply::unavailable(READY_RETRY_SECS, format!("{reason}\n")),
    }
}

fn metrics(probe: &impl Probe) -> Response {
    let mut response = reply::text(StatusCode::OK, probe.metrics());
    reply::set(&mut response, CONTENT_TYPE, OPENMETRICS);
    response
}

/// GET as `answer` says, HEAD the same (hyper leaves the body out), and nothing else.
fn read_only<B>(request: &Request<B>, answer: impl FnOnce() -> Response) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => answer(),
        _ => reply::method_not_allowed("GET, HEAD"),
    }
}

/// The whole admin listener: [`health`] and `/metrics`.
#[derive(Debug)]
pub struct AdminHandler<P>(P);

impl<P: Probe> AdminHandler<P> {
    /// Serves what `probe` says; share it with the public handler as an `Arc`.
    pub fn new(probe: P) -> Self {
        Self(probe)
    }

    /// Answers one request, for who adds routes of their own.
    pub fn respond<B>(&self, request: &Request<B>) -> Response {
        health(request, &self.0).unwrap_or_else(|| match request.uri().path() {
            "/metrics" => read_only(request, || metrics(&self.0)),
            _ => reply::not_found(),
        })
    }
}

impl<P: Probe> Handler for AdminHandler<P> {
    async fn handle(&self, request: Request<Incoming>, _client: Client) -> Response {
        self.respond(&request)
    }
}
