//! What an entry says about who signed: a key or a certificate, as bytes, and its key details.
//!
//! An entry of someone else's log may say anything, so the bytes stay bytes. [`Verifier::public_key`]
//! says whether they hold a key, and [`Verifier::matching_key`] whether it is the one that was announced.

use crate::certificate::{Certificate, CertificateError};
use crate::key::{KeyKind, PublicKey, PublicKeyError};
use crate::key_details::KeyDetails;

/// Whose signature it is: the message `Verifier` of Rekor.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Verifier {
    details: KeyDetails,
    material: KeyMaterial,
}

/// A key or certificate in DER, as it was submitted. Nobody has looked into it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum KeyMaterial {
    /// A `SubjectPublicKeyInfo`.
    PublicKey(Vec<u8>),
    /// An X.509 certificate.
    X509Certificate(Vec<u8>),
}

/// Why bytes are no key or certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyMaterialError {
    /// There are none.
    #[error("the key or certificate is empty")]
    Empty,
    /// A key was announced.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// A certificate was announced.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The key is not of the kind that its key details say.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the key is {kind}, which {details} is not")]
pub struct KeyMismatch {
    /// What is said.
    pub details: KeyDetails,
    /// What is there.
    pub kind: KeyKind,
}

/// Why a verifier is not what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// No key or certificate.
    #[error(transparent)]
    Material(#[from] KeyMaterialError),
    /// Another key than it says.
    #[error(transparent)]
    Mismatch(#[from] KeyMismatch),
}

impl KeyMaterial {
    /// The DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        match self {
            Self::PublicKey(der) | Self::X509Certificate(der) => der,
        }
    }

    /// Reads the key.
    ///
    /// # Errors
    /// Where it is no key that an entry may be signed with.
    pub fn public_key(&self) -> Result<PublicKey, KeyMaterialError> {
        match self {
            Self::PublicKey(der) | Self::X509Certificate(der) if der.is_empty() => {
                Err(KeyMaterialError::Empty)
            }
            Self::PublicKey(der) => Ok(PublicKey::from_spki_der(der)?),
            Self::X509Certificate(der) => Ok(Certificate::from_der(der)?.public_key().clone()),
        }
    }
}

impl Verifier {
    /// A verifier as an entry has it; nobody has looked into it.
    #[must_use]
    pub const fn new(details: KeyDetails, material: KeyMaterial) -> Self {
        Self { details, material }
    }

    /// What the key is said to be.
    #[must_use]
    pub const fn details(&self) -> KeyDetails {
        self.details
    }

    /// The key or certificate.
    #[must_use]
    pub const fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// Reads the key, and checks that it is of the kind that is said, to the last bit of the modulus.
    ///
    /// # Errors
    /// Where it is no key, or another.
    pub fn matching_key(&self) -> Result<PublicKey, VerifierError> {
        let key = self.material.public_key()?;
        match_key(self.details, key.kind())?;
        Ok(key)
    }
}

/// Type, curve and modulus of the key are those of its details.
pub(crate) fn match_key(details: KeyDetails, kind: KeyKind) -> Result<(), KeyMismatch> {
    let matches = details.key_kind() == Some(kind);
    if matches { Ok(()) } else { Err(KeyMismatch { details, kind }) }
}
