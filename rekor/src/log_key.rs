//! The key of a log, and the ID that names both in entries and trusted roots.

use core::fmt;

use kiln_tiles::{KeyId, KeyName, VerifierKey};
use sha2::{Digest as _, Sha256};

use crate::base64;
use crate::key::{KeyKind, PublicKey, PublicKeyError};
use crate::key_details::KeyDetails;

/// The ID of a log: the key ID of its checkpoints by [signed-note], before that is cut to 4 bytes.
///
/// Its text form is standard base64 with padding.
///
/// [signed-note]: https://c2sp.org/signed-note#verifier-keys
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LogId([u8; 32]);

impl LogId {
    /// Takes the 32 bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 4 bytes, which stand in a note.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let [a, b, c, d, ..] = self.0;
        KeyId::from_bytes([a, b, c, d])
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(&self.0))
    }
}

/// The public key of a log, of any kind that Sigstore's clients take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogKey {
    key: PublicKey,
    spki: Vec<u8>, // the DER of the key
}

/// What an Ed25519 key looks like in DER, up to its 32 bytes.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl LogKey {
    /// Reads the DER of a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, PublicKeyError> {
        Ok(Self { key: PublicKey::from_spki_der(spki)?, spki: spki.to_vec() })
    }

    /// The key that a log signs its notes with; `None` for a type that Sigstore's clients do not take.
    #[must_use]
    pub fn of(vkey: &VerifierKey) -> Option<Self> {
        match vkey.to_typed_bytes().split_first()? {
            (0x01, key) => Some(Self::ed25519(key.try_into().ok()?)),
            (0x02, spki) => Self::from_spki_der(spki).ok(),
            _ => None,
        }
    }

    /// The Ed25519 key with these bytes.
    #[must_use]
    pub fn ed25519(key: &[u8; 32]) -> Self {
        let spki = [&ED25519_SPKI[..], key].concat();
        Self::from_spki_der(&spki).expect("the form is fixed, and 32 bytes are a key")
    }

    /// The key itself.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The key as the DER of a `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// How the log signs its checkpoints. A checkpoint is there to be hashed, so Ed25519 is the pure one.
    ///
    /// `None` for an RSA key of an uncommon size.
    #[must_use]
    pub fn details(&self) -> Option<KeyDetails> {
        match self.key.kind() {
            KeyKind::Ed25519 => Some(KeyDetails::PkixEd25519),
            kind => KeyDetails::of_key(kind),
        }
    }

    /// The ID of the log with this key and origin. In that of an ECDSA key the origin has no part.
    #[must_use]
    pub fn log_id(&self, origin: &KeyName) -> LogId {
        let origin = origin.as_str().as_bytes();
        LogId(match self.key.kind() {
            KeyKind::Ed25519 => sha256(&[origin, b"\n\x01", self.key.as_bytes()]),
            KeyKind::Rsa(_) => sha256(&[origin, b"\n\xffPKIX-RSA-PKCS#1v1.5", &self.spki]),
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => sha256(&[&self.spki]),
        })
    }

    /// The verifier key under the log's notes, of an Ed25519 key; `None` of any other.
    #[must_use]
    pub fn verifier_key(&self, origin: &KeyName) -> Option<VerifierKey> {
        let typed = [&[0x01], self.key.as_bytes()].concat();
        let is_ed25519 = self.key.kind() == KeyKind::Ed25519;
        is_ed25519.then(|| VerifierKey::from_typed_bytes(origin.clone(), &typed).ok())?
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let hash = parts.iter().fold(Sha256::new(), Sha256::chain_update);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log of the examples: origin 127.0.0.1.
    const SPKI: &str = "MCowBQYDK2VwAyEAiudyl3lXbKoXaNaiX8wgOrcGbA/mIrCONaETGTsfedY=";
    const ID: &str = "SzxguI8/XqzmmOrUihVOszQUfy/ZIWbfNsRMGh6nAl8=";

    fn id(spki: &[u8], origin: &str) -> String {
        LogKey::from_spki_der(spki).unwrap().log_id(&origin.parse().unwrap()).to_string()
    }

    #[test]
    fn the_id_of_an_ed25519_log_is_that_of_rekor_tiles() {
        let spki = base64::decode(SPKI).unwrap();
        assert_eq!(id(&spki, "127.0.0.1"), ID);
        assert_ne!(id(&spki, "127.0.0.2"), ID);
        let key = LogKey::from_spki_der(&spki).unwrap();
        assert_eq!(key, LogKey::ed25519(key.public_key().as_bytes().try_into().unwrap()));
        assert_eq!(key.details(), Some(KeyDetails::PkixEd25519));
    }

    #[test]
    fn the_id_of_an_ecdsa_log_is_the_hash_of_its_key() {
        // The first log of the public good instance, and its ID in the trusted root.
        let spki = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwrkBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==";
        let spki = base64::decode(spki).unwrap();
        assert_eq!(id(&spki, "rekor.sigstore.dev"), "wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0=");
        assert_eq!(id(&spki, "else.where"), id(&spki, "rekor.sigstore.dev"));
        let key = LogKey::from_spki_der(&spki).unwrap();
        assert_eq!(key.verifier_key(&"a".parse().unwrap()), None);
    }

    #[test]
    fn an_ed25519_log_has_a_verifier_key_of_the_same_id() {
        let key = LogKey::from_spki_der(&base64::decode(SPKI).unwrap()).unwrap();
        let origin = "127.0.0.1".parse().unwrap();
        let vkey = key.verifier_key(&origin).unwrap();
        assert_eq!(vkey.name(), &origin);
        assert_eq!(vkey.key_id(), key.log_id(&origin).key_id());
    }
}
