//! Handing a request on to another server of the same service, which answers it: once, never in a
//! circle.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use hyper::http::request::Parts;
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::{Response, reply};

/// What a request carries that was handed on already.
const RELAYED: HeaderName = HeaderName::from_static("kiln-relayed");

/// What goes along with a request, and what comes back with an answer.
const ON_THE_WAY: [HeaderName; 3] = [ACCEPT, AUTHORIZATION, CONTENT_TYPE];
const ON_THE_WAY_BACK: [HeaderName; 4] = [
    CONTENT_TYPE,
    CACHE_CONTROL,
    RETRY_AFTER,
    HeaderName::from_static("x-log-index"), // Rekor's, of an entry that was there before
];

/// The longest answer that is handed back, in bytes.
const MOST: usize = 1 << 20;

/// Hands requests on. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Relay {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// Why there was no answer to hand back.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("its URL is malformed")]
    Url,
    #[error("it did not answer in {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("its answer broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

impl Relay {
    /// A relay that waits so long for an answer.
    ///
    /// # Errors
    /// Where this machine has no root certificates, so that no https server could be trusted.
    pub fn new(timeout: Duration) -> io::Result<Self> {
        let connector =
            HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), timeout })
    }

    /// Whether somebody handed this request on already. It is not handed on again.
    #[must_use]
    pub fn was_relayed(headers: &HeaderMap) -> bool {
        headers.contains_key(RELAYED)
    }

    /// Sends the request to the server at `base`, a URL without a trailing slash, and returns its answer.
    /// Where there is none, the answer is 503: whoever asked may ask again, and what became of the
    /// request is not known.
    pub async fn send(&self, base: &str, parts: &Parts, body: Bytes) -> Response {
        match tokio::time::timeout(self.timeout, self.ask(base, parts, body)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => unanswered(&error),
            Err(_) => unanswered(&RelayError::Timeout(self.timeout)),
        }
    }

    async fn ask(&self, base: &str, parts: &Parts, body: Bytes) -> Result<Response, RelayError> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri: Uri = format!("{base}{path}").parse().map_err(|_| RelayError::Url)?;
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut()) = (parts.method.clone(), uri);
        copy(&parts.headers, request.headers_mut(), &ON_THE_WAY);
        if !is_private(request.uri()) {
            request.headers_mut().remove(AUTHORIZATION);
        }
        request.headers_mut().insert(RELAYED, HeaderValue::from_static("1"));
        let (answer, body) = self.client.request(request).await?.into_parts();
        let body = Limited::new(body, MOST).collect().await.map_err(RelayError::Body)?.to_bytes();
        let mut response = reply::text(answer.status, body);
        copy(&answer.headers, response.headers_mut(), &ON_THE_WAY_BACK);
        Ok(response)
    }
}

/// Whether nobody on the way reads what is sent there.
fn is_private(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    uri.scheme_str() == Some("https")
        || host == "localhost"
        || address.is_ok_and(|address| address.is_loopback())
}

fn copy(from: &HeaderMap, to: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert(name, value.clone());
        }
    }
}

fn unanswered(error: &RelayError) -> Response {
    tracing::warn!(%error, "the server that a request was handed on to did not answer");
    reply::unavailable(1, "the server that this was handed on to did not answer; send it again\n")
}
