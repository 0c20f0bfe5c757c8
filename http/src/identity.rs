//! What a server shows of itself over TLS: a chain of certificates, and the key of the first.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// A chain of certificates and its key, which fit each other.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) key: Arc<CertifiedKey>,
    validity: Validity,
}

/// From when to when a certificate is valid, in Unix time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// Its first second.
    pub not_before: u64,
    /// Its last second.
    pub not_after: u64,
}

/// Why files make no identity. None of these repeats the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The chain is not in PEM.
    #[error("the certificates are not in PEM: {0}")]
    Chain(pem::Error),
    /// The chain is empty.
    #[error("there is no certificate: a chain begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// The first certificate cannot be read.
    #[error("the first certificate is malformed: {0}")]
    Certificate(x509_cert::der::Error),
    /// There is no private key.
    #[error("there is no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted)")]
    NoKey,
    /// The key is of no kind that TLS knows, or is not the certificate's.
    #[error("{0}")]
    Key(rustls::Error),
}

impl Identity {
    /// Reads a chain, the server's own certificate first, and its private key, both in PEM.
    ///
    /// # Errors
    /// Where one of them cannot be read, or they do not fit each other.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(IdentityError::Chain)?;
        let first = chain.first().ok_or(IdentityError::NoCertificate)?;
        let validity = Validity::of(&Certificate::from_der(first).map_err(IdentityError::Certificate)?);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::NoKey)?;
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(IdentityError::Key)?;
        Ok(Self { key: Arc::new(key), validity })
    }

    /// When its certificate is valid.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }
}

impl Validity {
    fn of(certificate: &Certificate) -> Self {
        let validity = &certificate.tbs_certificate().validity();
        let [not_before, not_after] =
            [validity.not_before, validity.not_after].map(|time| time.to_unix_duration().as_secs());
        Self { not_before, not_after }
    }

    /// Whether less than a third of it is left: when a certificate is renewed.
    #[must_use]
    pub const fn is_ending(&self, now: u64) -> bool {
        let span = self.not_after.saturating_sub(self.not_before);
        self.not_after.saturating_sub(now) < span / 3
    }
}
