//! Secret keys in the form of Go's `golang.org/x/mod/sumdb/note`:
//! `PRIVATE+KEY+<name>+<key ID>+<base64 of signature type and seed>`.
//!
//! That form has no ECDSA keys. Here they stand in it as Ed25519 keys do, with the 32 bytes of the secret number
//! for a seed.

use core::fmt;
use core::str::FromStr;

use base64ct::{Base64, Encoding};
use ed25519_dalek::Signer;
use zeroize::Zeroizing;

#[cfg(feature = "ecdsa")]
use super::ecdsa::{self, ECDSA};
use super::key::{ED25519, KeyId, KeyName, KeyNameError, VerifierKey};
use super::{Note, NoteSignature, ParseNoteError};
use crate::text;

/// What each secret key begins with.
const NOTE_FORM: &str = "PRIVATE+KEY+";

/// A secret key that signs notes. It is wiped from memory when it goes, and never printed but by
/// [`to_note_form`](Self::to_note_form).
pub struct SigningKey {
    name: KeyName,
    secret: Secret,
}

enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    #[cfg(feature = "ecdsa")]
    EcdsaP256(ecdsa::SecretKey),
}

/// Why a text is no secret key. It never quotes the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseSigningKeyError {
    /// Not `PRIVATE+KEY+<name>+<key ID>+<key>`.
    #[error("a secret key is PRIVATE+KEY+<name>+<8 hex digits>+<base64>")]
    Form,
    /// The name.
    #[error(transparent)]
    Name(#[from] KeyNameError),
    /// The key ID is not 8 hex digits in lower case.
    #[error("the key ID is not 8 hex digits in lower case")]
    KeyId,
    /// The key is not canonical base64.
    #[error("the key is not canonical base64")]
    Base64,
    /// The signature type is not known here.
    #[error("signature type {0:#04x} is not supported")]
    SignatureType(u8),
    /// The seed has not 32 bytes, or is no secret number of ECDSA.
    #[error("the secret is not 32 bytes that make a key")]
    Seed,
    /// The key ID is not that of this name and key.
    #[error("the key ID is not that of this name and key: a part was changed")]
    Mismatch,
}

impl SigningKey {
    /// The Ed25519 key that grows from a seed of 32 bytes, which must be random and secret.
    #[must_use]
    pub fn from_seed(name: KeyName, seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self { name, secret: Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed)) }
    }

    /// The ECDSA key on the curve P-256 whose secret number is this, big-endian; it must be random and secret.
    /// `None` for the few numbers that make no key: draw another.
    #[cfg(feature = "ecdsa")]
    #[must_use]
    pub fn ecdsa_from_secret(name: KeyName, secret: [u8; 32]) -> Option<Self> {
        let secret = Zeroizing::new(secret);
        Some(Self { name, secret: Secret::EcdsaP256(ecdsa::SecretKey::from_bytes(&secret[..])?) })
    }

    /// The name of the key; of a log's key it is the log's origin.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The public half.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        let name = self.name.clone();
        match &self.secret {
            Secret::Ed25519(secret) => VerifierKey::ed25519(name, secret.verifying_key()),
            #[cfg(feature = "ecdsa")]
            Secret::EcdsaP256(secret) => VerifierKey::ecdsa(name, secret.public()),
        }
    }

    /// Signs a text that ends in a newline.
    ///
    /// # Errors
    /// Where the text cannot be the text of a note: no final newline, or a control character.
    pub fn sign(&self, text: String) -> Result<Note, ParseNoteError> {
        let signature = match &self.secret {
            Secret::Ed25519(secret) => secret.sign(text.as_bytes()).to_vec(),
            #[cfg(feature = "ecdsa")]
            Secret::EcdsaP256(secret) => secret.sign(text.as_bytes()),
        };
        Note::new(text, vec![NoteSignature::new(&self.verifier_key(), signature)])
    }

    /// The secret key as a line without a newline, in Go's note form.
    #[must_use]
    pub fn to_note_form(&self) -> Zeroizing<String> {
        match &self.secret {
            Secret::Ed25519(secret) => write_note_form(&self.verifier_key(), ED25519, secret.as_bytes()),
            #[cfg(feature = "ecdsa")]
            Secret::EcdsaP256(secret) => write_note_form(&self.verifier_key(), ECDSA, &secret.to_bytes()[..]),
        }
    }
}

/// The line of a secret key, from its public half, signature type and seed.
pub(super) fn write_note_form(public: &VerifierKey, kind: u8, seed: &[u8]) -> Zeroizing<String> {
    let mut typed = Zeroizing::new(Vec::with_capacity(1 + seed.len())); // which never moves
    typed.push(kind);
    typed.extend_from_slice(seed);
    let encoded = Zeroizing::new(Base64::encode_string(&typed));
    Zeroizing::new(format!("{NOTE_FORM}{}+{}+{}", public.name(), public.key_id(), *encoded))
}

/// Name, key ID, and signature type and seed, of the line of a secret key. Whether they belong together is not
/// known yet.
pub(super) fn parse_note_form(
    skey: &str,
) -> Result<(KeyName, KeyId, Zeroizing<Vec<u8>>), ParseSigningKeyError> {
    use ParseSigningKeyError as E;
    let mut parts = skey.strip_prefix(NOTE_FORM).ok_or(E::Form)?.splitn(3, '+');
    let mut part = || parts.next().ok_or(E::Form);
    let (name, key_id, key) = (part()?, part()?, part()?);
    let name = KeyName::from_str(name)?;
    let key_id = text::parse_hex(key_id).map(KeyId::from_bytes).ok_or(E::KeyId)?;
    let typed = Zeroizing::new(text::parse_base64(key).ok_or(E::Base64)?);
    Ok((name, key_id, typed))
}

impl FromStr for SigningKey {
    type Err = ParseSigningKeyError;

    fn from_str(skey: &str) -> Result<Self, ParseSigningKeyError> {
        let (name, key_id, typed) = parse_note_form(skey)?;
        let key = Self::from_typed_seed(name, &typed)?;
        let matches = key.verifier_key().key_id() == key_id;
        if matches { Ok(key) } else { Err(ParseSigningKeyError::Mismatch) }
    }
}

impl SigningKey {
    fn from_typed_seed(name: KeyName, typed: &[u8]) -> Result<Self, ParseSigningKeyError> {
        use ParseSigningKeyError as E;
        match typed.split_first() {
            Some((&ED25519, seed)) => {
                let seed = seed.try_into().map_err(|_| E::Seed)?;
                Ok(Self { name, secret: Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(seed)) })
            }
            #[cfg(feature = "ecdsa")]
            Some((&ECDSA, secret)) => {
                let secret = ecdsa::SecretKey::from_bytes(secret).ok_or(E::Seed)?;
                Ok(Self { name, secret: Secret::EcdsaP256(secret) })
            }
            Some((&other, _)) => Err(E::SignatureType(other)),
            None => Err(E::Base64),
        }
    }
}

/// Prints the name and nothing of the secret.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The text is no key that signs notes in PKCS#8 PEM form, or the key cannot be written so.
#[cfg(feature = "pkcs8")]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a secret key in PKCS#8 PEM form, Ed25519 or ECDSA on the curve P-256")]
pub struct Pkcs8Error;

#[cfg(feature = "pkcs8")]
impl SigningKey {
    /// Reads a key in PKCS#8 PEM form, as OpenSSL writes it; it has no name of its own.
    ///
    /// # Errors
    /// Where the text is anything else.
    pub fn from_pkcs8_pem(name: KeyName, pem: &str) -> Result<Self, Pkcs8Error> {
        Ok(Self { name, secret: Secret::from_pkcs8_pem(pem).ok_or(Pkcs8Error)? })
    }

    /// The secret key in PKCS#8 PEM form; the name is not part of it.
    ///
    /// # Errors
    /// None that is known of; the encoder's signature has one.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, Pkcs8Error> {
        self.secret.to_pkcs8_pem().ok_or(Pkcs8Error)
    }
}

#[cfg(feature = "pkcs8")]
impl Secret {
    fn from_pkcs8_pem(pem: &str) -> Option<Self> {
        use ed25519_dalek::pkcs8::DecodePrivateKey;
        let secret = ed25519_dalek::SigningKey::from_pkcs8_pem(pem).ok().map(Self::Ed25519);
        #[cfg(feature = "ecdsa")]
        let secret = secret.or_else(|| ecdsa::SecretKey::from_pkcs8_pem(pem).map(Self::EcdsaP256));
        secret
    }

    fn to_pkcs8_pem(&self) -> Option<Zeroizing<String>> {
        use ed25519_dalek::pkcs8::EncodePrivateKey;
        use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
        match self {
            Self::Ed25519(secret) => secret.to_pkcs8_pem(LineEnding::LF).ok(),
            #[cfg(feature = "ecdsa")]
            Self::EcdsaP256(secret) => secret.to_pkcs8_pem(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed("example.com/log".parse().unwrap(), [7; 32])
    }

    #[test]
    fn a_secret_key_reads_what_it_prints() {
        let form = key().to_note_form();
        let again: SigningKey = form.parse().unwrap();
        assert_eq!(again.verifier_key(), key().verifier_key());
        assert_eq!(*again.to_note_form(), *form);
    }

    #[test]
    fn each_fault_of_a_secret_key_has_its_error() {
        use ParseSigningKeyError as E;
        let form = key().to_note_form();
        let id = key().verifier_key().key_id().to_string();
        for (skey, error) in [
            ("", E::Form),
            (form.trim_start_matches("PRIVATE+"), E::Form),
            ("PRIVATE+KEY+a b+00000000+AQ==", E::Name(KeyNameError)),
            ("PRIVATE+KEY+a+0000000+AQ==", E::KeyId),
            ("PRIVATE+KEY+a+00000000+AQ", E::Base64),
            ("PRIVATE+KEY+a+00000000+AQ==", E::Seed),
            ("PRIVATE+KEY+a+00000000+CQ==", E::SignatureType(9)),
            (&form.replace(&id, "00000000"), E::Mismatch),
            (&form.replace("/log", "/lag"), E::Mismatch),
        ] {
            assert_eq!(skey.parse::<SigningKey>().map(|_| ()), Err(error), "{error}");
        }
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let printed = format!("{:?}", key());
        assert!(printed.contains("example.com/log"));
        assert!(!printed.contains("7, 7"), "{printed}");
    }
}
