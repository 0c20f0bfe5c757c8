//! What a server listens on, and what it makes of who connects.

use tokio::net::TcpListener;

use crate::{Tls, TrustedProxies};

/// A socket that takes connections: in the clear, or over TLS; from clients, or from proxies that speak for some.
#[derive(Debug)]
pub struct Listener {
    pub(crate) tcp: TcpListener,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxies: TrustedProxies,
}

impl From<TcpListener> for Listener {
    /// In the clear, and from clients.
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, tls: None, proxies: TrustedProxies::default() }
    }
}

impl Listener {
    /// Speaks TLS, where there is some, and nothing else.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Believes these proxies.
    #[must_use]
    pub fn behind(self, proxies: TrustedProxies) -> Self {
        Self { proxies, ..self }
    }
}
