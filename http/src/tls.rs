//! TLS 1.2 and 1.3, with a certificate that can be replaced while connections are open.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, server};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::identity::{Identity, Validity};

const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// What an authority speaks that looks whether the server has a name:
/// [RFC 8737](https://www.rfc-editor.org/rfc/rfc8737).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// The certificate that a listener shows, and that can be replaced. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Certificates(Arc<Shown>);

#[derive(Debug, Default)]
struct Shown {
    current: RwLock<Option<Identity>>,
    /// What an authority that looks is shown of each name, while it does.
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Shows this identity. An empty one, by [`Default`], has none yet: no handshake succeeds until then.
    #[must_use]
    pub fn of(identity: Identity) -> Self {
        let certificates = Self::default();
        certificates.replace(identity);
        certificates
    }

    /// Shows this one to whoever connects from now on. Connections that are open stay.
    pub fn replace(&self, identity: Identity) {
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }

    /// When the certificate that is shown is valid; `None` where there is none yet.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(Identity::validity)
    }

    #[cfg(feature = "acme")]
    pub(crate) fn set_challenges(&self, keys: HashMap<String, Arc<CertifiedKey>>) {
        *self.0.challenges.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.alpn().is_some_and(|mut names| names.any(|name| name == ACME_TLS)) {
            let challenges = self.challenges.read().unwrap_or_else(PoisonError::into_inner);
            return challenges.get(hello.server_name()?).cloned();
        }
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|identity| identity.key.clone())
    }
}

/// What a listener needs to speak TLS. Clones share it.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// What was agreed upon within TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
    /// Nothing: the authority has seen what it came for.
    Acme,
}

impl Tls {
    /// TLS with these certificates. Clients are not asked for any.
    #[must_use]
    pub fn new(certificates: &Certificates) -> Self {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("ring has suites for both");
        let mut config = config.with_no_client_auth().with_cert_resolver(certificates.0.clone());
        config.alpn_protocols = [H2, HTTP1, ACME_TLS].map(<[u8]>::to_vec).to_vec();
        // A client that comes back brings its session along: none takes memory here.
        config.session_storage = Arc::new(server::NoServerSessionStorage {});
        if let Ok(ticketer) = Ticketer::new() {
            config.ticketer = ticketer;
        }
        Self(TlsAcceptor::from(Arc::new(config)))
    }

    pub(crate) fn accept(&self, stream: TcpStream) -> Accept<TcpStream> {
        self.0.accept(stream)
    }
}

pub(crate) fn spoken(stream: &TlsStream<TcpStream>) -> Spoken {
    match stream.get_ref().1.alpn_protocol() {
        Some(H2) => Spoken::Http2,
        Some(ACME_TLS) => Spoken::Acme,
        _ => Spoken::Http1,
    }
}
