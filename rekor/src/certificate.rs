//! X.509 certificates, as far as a log looks into them: the key that signed, and whose it is.
//!
//! Nothing here vouches for what a certificate says. Validity, chain and issuer are for verifiers, who
//! bring a time and a trusted root; a log records expired and self-signed certificates too.

use x509_cert::Certificate as Parsed;
use x509_cert::der::{Decode, Encode};

use crate::key::{PublicKey, PublicKeyError, looks_like_pem};

/// A certificate that could be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    parsed: Parsed,
    key: PublicKey,
}

/// Why bytes are no certificate that an entry may be signed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Text where binary belongs.
    #[error("the certificate is PEM; DER is asked for")]
    Pem,
    /// Longer than an entry can be.
    #[error("the certificate is longer than {} bytes, and no entry can hold it", Certificate::MAX_SIZE)]
    TooLong,
    /// Not the DER of a `Certificate`, and nothing behind it.
    #[error("the certificate is not the DER of an X.509 certificate")]
    Der,
    /// What is signed names another [algorithm](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.1.2)
    /// than the signature.
    #[error("the certificate names one signature algorithm within and another without")]
    Algorithms,
    /// The key in it.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
}

impl Certificate {
    /// The longest certificate that is read: in base64 it fills an entry.
    pub const MAX_SIZE: usize = kiln_tiles::MAX_ENTRY_SIZE / 4 * 3;

    /// Reads a certificate in DER, with nothing behind it.
    ///
    /// # Errors
    /// Where it is none, or its key is not one that an entry may be signed with.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        use CertificateError as E;
        if looks_like_pem(der) {
            return Err(E::Pem);
        }
        if der.len() > Self::MAX_SIZE {
            return Err(E::TooLong);
        }
        let parsed = Parsed::from_der(der).map_err(|_| E::Der)?;
        let tbs = parsed.tbs_certificate();
        if tbs.signature() != parsed.signature_algorithm() {
            return Err(E::Algorithms);
        }
        let spki = tbs.subject_public_key_info().to_der().map_err(|_| E::Der)?;
        let key = PublicKey::from_spki_der(&spki)?;
        Ok(Self { parsed, key })
    }

    /// The key that it speaks of.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }

    pub(crate) const fn parsed(&self) -> &Parsed {
        &self.parsed
    }
}
