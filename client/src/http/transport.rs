//! HTTP requests with bounds: time, bytes, retries. Used for reading and submitting alike.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::answer::HttpAnswer;
use super::retry;
use super::url::{LogUrl, UrlError};

/// How requests are made. Each option has a default.
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpOptions {
    timeout: Duration,
    retries: u32,
    user_agent: String,
    http2: bool,
    on_retry: Option<fn(&Retry<'_>)>,
}

/// A request that is about to be tried again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Retry<'a> {
    /// Why.
    pub error: &'a HttpError,
    /// In how long.
    pub pause: Duration,
}

/// Why there is no HTTP client for a URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpSetupError {
    /// The URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// No root certificates were found on this machine, so no server can be trusted with https.
    #[error("no root certificates to check https servers by: {0}")]
    Roots(#[source] std::io::Error),
    /// The user agent cannot stand in a header.
    #[error("a user agent is printable ASCII")]
    UserAgent,
}

/// Why an HTTP request had no usable answer, after all retries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The whole answer did not come in time.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// No connection, or one that broke.
    #[error("no connection: {}{}", innermost(.0), other_scheme(.0))]
    Connection(#[from] hyper_util::client::legacy::Error),
    /// The answer broke off, or was no HTTP.
    #[error("the answer broke off: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is longer than it may be.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// The most bytes.
        limit: usize,
    },
    /// The server answered with an error.
    #[error("the server answered {status}{}{sentence}", if sentence.is_empty() { "" } else { ": " })]
    Status {
        /// The HTTP status.
        status: u16,
        /// What the server says about it, shortened and without control characters.
        sentence: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The resource stands elsewhere. Redirects are not followed: a log stands where its URL says,
    /// and one that moved should be looked at by a person.
    #[error("the server redirects to {location:?}: use that URL if it is the log's")]
    Redirect {
        /// The HTTP status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// The answer is compressed, though no compression was asked for.
    #[error("the answer is encoded as {0:?}, which was not asked for")]
    Encoding(String),
    /// The path cannot stand in a URL.
    #[error("the path cannot stand in a URL")]
    Path,
}

impl Default for HttpOptions {
    fn default() -> Self {
        let user_agent = concat!("kiln-client/", env!("CARGO_PKG_VERSION")).to_owned();
        Self { timeout: Duration::from_secs(30), retries: 4, user_agent, http2: false, on_retry: None }
    }
}

impl HttpOptions {
    /// How long one request may take, its whole answer included; 30 seconds unless said.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a request is tried again after the first time, when the connection fails, time runs
    /// out, or the server says 408, 429 or 5xx; 4 times unless said. Pauses double from 0.2 s to
    /// 10 s, half of them random; a server's `Retry-After` in seconds, up to 60, is waited for.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// What is told of each retry, before the pause; nobody is unless said. A person who waits may want to know what
    /// for.
    pub const fn on_retry(mut self, tell: fn(&Retry<'_>)) -> Self {
        self.on_retry = Some(tell);
        self
    }

    /// Speaks HTTP/2 from the start, also over plain http: all requests share one connection, as many at
    /// once as the server takes. Without it an https server chooses, and plain http is HTTP/1.1.
    pub const fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// The program that asks, put before `kiln-client/<version>` in the `User-Agent`.
    pub fn user_agent(mut self, program: &str) -> Self {
        self.user_agent = format!("{program} {}", Self::default().user_agent);
        self
    }
}

impl HttpError {
    /// Whether the same request may succeed later, without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Connection(_) | Self::Body(_) => true,
            Self::Status { status, .. } => is_retryable(*status),
            Self::TooLong { .. } | Self::Redirect { .. } | Self::Encoding(_) | Self::Path => false,
        }
    }
}

/// The error that says something: that of the system, at the end of the chain.
fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a dyn std::error::Error {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

/// What may help where a server speaks, and not what it was asked to speak.
fn other_scheme(error: &(dyn std::error::Error + 'static)) -> &'static str {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let found = causes.find_map(|cause| {
        let is_tls = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
        let is_plain = cause.downcast_ref::<std::io::Error>().is_some_and(is_no_tls);
        match (is_tls, is_plain) {
            (true, _) => Some(" (it may speak TLS: is its URL https://?)"),
            (_, true) => Some(" (it may not speak TLS: is its URL http://?)"),
            _ => None,
        }
    });
    found.unwrap_or_default()
}

/// Whether a handshake met something else: words that are no TLS, or nobody who understood it.
fn is_no_tls(error: &std::io::Error) -> bool {
    use rustls::{Error, InvalidMessage};
    let inner = error.get_ref();
    let other_words = inner
        .and_then(|inner| inner.downcast_ref())
        .is_some_and(|error| matches!(error, Error::InvalidMessage(InvalidMessage::InvalidContentType)));
    // tokio-rustls says it in words alone.
    other_words || inner.is_some_and(|inner| inner.to_string() == "tls handshake eof")
}

/// An HTTP client for one log, with a pool of connections.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: LogUrl,
    options: HttpOptions,
    user_agent: HeaderValue,
}

impl Transport {
    pub(crate) fn new(url: &str, options: HttpOptions) -> Result<Self, HttpSetupError> {
        let url = LogUrl::parse(url)?;
        let user_agent = options.user_agent.parse().map_err(|_| HttpSetupError::UserAgent)?;
        let connector = connector(&url)?;
        let client = Client::builder(TokioExecutor::new()).http2_only(options.http2).build(connector);
        Ok(Self { client, url, options, user_agent })
    }

    pub(crate) const fn url(&self) -> &LogUrl {
        &self.url
    }

    /// Sends a request below the log's URL, again where that makes sense, and returns the body of a
    /// 200.
    pub(crate) async fn send(&self, ask: &Ask<'_>) -> Result<Bytes, HttpError> {
        self.exchange(ask).await?.into_body()
    }

    /// The same for whom other answers than a 200 tell something.
    pub(crate) async fn exchange(&self, ask: &Ask<'_>) -> Result<HttpAnswer, HttpError> {
        let mut retry = 0;
        loop {
            let outcome = self.attempt(ask).await;
            let (again, asked) = match &outcome {
                Ok(answer) => (is_retryable(answer.status()), answer.retry_after()),
                Err(error) => (error.is_retryable(), None),
            };
            if !again || retry == self.options.retries {
                return outcome;
            }
            let Some(pause) = retry::pause(retry, asked) else { return outcome };
            if let Some(tell) = self.options.on_retry {
                match &outcome {
                    Ok(answer) => tell(&Retry { error: &answer.refusal(), pause }),
                    Err(error) => tell(&Retry { error, pause }),
                }
            }
            tokio::time::sleep(pause).await;
            retry += 1;
        }
    }

    async fn attempt(&self, ask: &Ask<'_>) -> Result<HttpAnswer, HttpError> {
        let mut request = Request::new(Full::new(ask.body.clone().unwrap_or_default()));
        *request.uri_mut() = self.url.join(ask.path).ok_or(HttpError::Path)?;
        if ask.body.is_some() {
            *request.method_mut() = hyper::Method::POST;
        }
        request.headers_mut().clone_from(&ask.headers);
        request.headers_mut().insert(header::USER_AGENT, self.user_agent.clone());
        let answer = async { HttpAnswer::read(self.client.request(request).await?, ask.limit).await };
        let late = |_| HttpError::Timeout(self.options.timeout);
        tokio::time::timeout(self.options.timeout, answer).await.map_err(late)?
    }
}

/// Whether the server may answer otherwise the next time.
const fn is_retryable(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

/// A request below a log's URL.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) path: &'a str,
    pub(crate) headers: HeaderMap,
    /// What is posted; without it the request is a GET.
    pub(crate) body: Option<Bytes>,
    /// The most bytes that the answer may have.
    pub(crate) limit: usize,
}

fn connector(url: &LogUrl) -> Result<HttpsConnector<HttpConnector>, HttpSetupError> {
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpSetupError::Roots(std::io::Error::other(error)))?;
    // A machine without root certificates can still read a log over plain http.
    let config = if url.is_https() {
        config.with_native_roots().map_err(HttpSetupError::Roots)?
    } else {
        config.with_root_certificates(rustls::RootCertStore::empty())
    };
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let builder = HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth());
    Ok(builder.https_or_http().enable_all_versions().wrap_connector(http))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
