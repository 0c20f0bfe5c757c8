//! A backend of an [https-bastion]: a witness that nobody can connect to connects to a bastion, and serves HTTP/2 on
//! that connection.
//!
//! [https-bastion]: https://c2sp.org/https-bastion

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kiln_http::{Client, Handler, Incoming, Limits, Request};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate::{BackendKey, BackendKeyError};
use crate::server::Witness;

/// What a backend says that it speaks: [ALPN](https://c2sp.org/https-bastion#backend-to-bastion-connection).
const ALPN: &[u8] = b"bastion/0";

/// For the connection and its handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two pings, and for their answers: a bastion that went away without a word is noticed within both.
const PING: Duration = Duration::from_secs(20);

/// Between two attempts: the first, and the longest. A connection that lasted so long begins anew.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A bastion that this witness serves behind.
#[derive(Clone)]
pub struct Bastion {
    address: String,
    host: ServerName<'static>,
    tls: TlsConnector,
    /// From 0 to 1: backends that lost one bastion do not all come back at once.
    spread: f64,
}

/// Who may say of a certificate that it is a bastion's.
#[derive(Clone, Debug)]
pub struct BastionRoots(Arc<RootCertStore>);

/// Why no bastion can be served, ever.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BastionError {
    /// Not `host:port`.
    #[error("{0} is not the host and port of a bastion, such as bastion.example.com:443")]
    Address(String),
    /// The host is neither a name nor an IP address.
    #[error(transparent)]
    Host(#[from] InvalidDnsNameError),
    /// The key of the backend.
    #[error(transparent)]
    Key(#[from] BackendKeyError),
    /// This machine has no root certificates.
    #[error("this machine has no root certificates: SSL_CERT_FILE can name a file of them")]
    NoRoots,
    /// TLS 1.3 cannot be spoken.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Why a connection ended, or was none. Another may be better.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no connection within {}", humane(PATIENCE))]
    TimedOut,
    #[error("no connection: {0}")]
    Connect(#[from] io::Error),
    #[error("it speaks no bastion/0")]
    NoBastion,
    #[error("the connection ended: {0}")]
    Http(#[from] hyper::Error),
    #[error("the bastion closed the connection")]
    Closed,
}

fn humane(span: Duration) -> String {
    format!("{} s", span.as_secs())
}

impl BastionRoots {
    /// Those of this machine, or of the file that `SSL_CERT_FILE` names.
    ///
    /// # Errors
    /// Where there is none.
    pub fn native() -> Result<Self, BastionError> {
        Self::of(rustls_native_certs::load_native_certs().certs)
    }

    /// These certificates, in DER form.
    ///
    /// # Errors
    /// Where none of them is one.
    pub fn trusting(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, BastionError> {
        Self::of(certificates.into_iter().map(CertificateDer::from).collect())
    }

    fn of(certificates: Vec<CertificateDer<'static>>) -> Result<Self, BastionError> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added > 0 { Ok(Self(Arc::new(roots))) } else { Err(BastionError::NoRoots) }
    }
}

impl Bastion {
    /// A bastion at `host:port`, which knows the witness by this key.
    ///
    /// # Errors
    /// Where it is no such address, or the key does not work.
    pub fn new(address: &str, key: &BackendKey, roots: &BastionRoots) -> Result<Self, BastionError> {
        let bad = || BastionError::Address(address.to_owned());
        let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
        port.parse::<u16>().map_err(|_| bad())?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = ServerName::try_from(host.to_owned())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Only TLS 1.3 hides the certificate of the client.
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots.0.clone());
        let mut tls = tls.with_client_cert_resolver(Arc::new(Always(Arc::new(key.certified()?))));
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let tls = TlsConnector::from(Arc::new(tls));
        Ok(Self { address: address.to_owned(), host, tls, spread: key.spread() })
    }

    /// Serves the witness behind the bastion until `stop` says so: requests that are open then are answered. A connection
    /// that ends is made anew, after a pause that grows.
    pub async fn serve(self, witness: Witness, mut stop: watch::Receiver<bool>) {
        let handler = Arc::new(witness.clone());
        let mut pause = SHORTEST_PAUSE;
        loop {
            let began = Instant::now();
            let mut connected = || {
                tracing::info!(bastion = self.address, "connected to the bastion");
                witness.metrics().set_bastion(&self.address, true);
            };
            let ended = self.serve_once(&handler, &mut stop, &mut connected).await;
            witness.metrics().set_bastion(&self.address, false);
            let Err(error) = ended else { return };
            if began.elapsed() >= LONGEST_PAUSE {
                pause = SHORTEST_PAUSE;
            }
            let wait = pause.mul_f64(1.0 + self.spread);
            tracing::warn!(bastion = self.address, %error, again_in = ?wait, "not behind the bastion");
            tokio::select! {
                () = sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// One connection. It is `Ok` once the process was told to stop.
    async fn serve_once(
        &self,
        handler: &Arc<Witness>,
        stop: &mut watch::Receiver<bool>,
        connected: &mut impl FnMut(),
    ) -> Result<(), Lost> {
        let stream = tokio::select! {
            stream = timeout(PATIENCE, self.connect()) => stream.map_err(|_| Lost::TimedOut)??,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        connected();
        let service = service_fn(|request| {
            let handler = handler.clone();
            async move {
                log_client(&request);
                // Who asked the bastion is known to it alone.
                Ok::<_, Infallible>(handler.handle(request, Client::UNKNOWN).await)
            }
        });
        let mut connection = pin!(http().serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => {
                ended?;
                return Err(Lost::Closed);
            }
            _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        // Nobody waits longer for a bastion that takes no answers.
        let _ = timeout(Limits::default().shutdown_grace, connection).await;
        Ok(())
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, Lost> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(self.host.clone(), stream).await?;
        let spoken = stream.get_ref().1.alpn_protocol();
        if spoken == Some(ALPN) { Ok(stream) } else { Err(Lost::NoBastion) }
    }
}

/// HTTP/2 within the limits of a listener.
fn http() -> http2::Builder<TokioExecutor> {
    let limits = Limits::default();
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    http
}

/// Who asks, as [the bastion] says: no other connection's word on it counts.
///
/// [the bastion]: https://c2sp.org/https-bastion#client-to-bastion-requests
fn log_client(request: &Request<Incoming>) {
    let client =
        request.headers().get("x-forwarded-for").map(|value| String::from_utf8_lossy(value.as_bytes()));
    tracing::debug!(client = client.as_deref(), path = request.uri().path(), "asked behind the bastion");
}

/// The one certificate, whatever a bastion says that it would take.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _roots: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        schemes.contains(&SignatureScheme::ED25519).then(|| self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
