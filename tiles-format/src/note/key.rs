//! Names, IDs and verifier keys, as [signed-note](https://c2sp.org/signed-note#verifier-keys) defines them.

use core::fmt;
use core::str::FromStr;

use ed25519_dalek::{Signature, VerifyingKey};

#[cfg(feature = "ecdsa")]
use super::ecdsa::{self, ECDSA};
use super::{NoteSignature, cosignature, ml_dsa};
use crate::hash::{Hash, sha256};
use crate::text;
use crate::tree::Subtree;

/// The name of a key, recommended to be a URL without a scheme: not empty, at most 255 bytes,
/// without white space, plus or control character.
///
/// The limit of 255 bytes is that of [cosignatures](https://c2sp.org/tlog-cosignature).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyName(String);

/// The text is no key name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key name is 1 to {} bytes without white space, plus or control character", KeyName::MAX_LENGTH)]
pub struct KeyNameError;

impl KeyName {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 255;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(name: &str) -> Result<Self, KeyNameError> {
        let refused = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        let valid = (1..=Self::MAX_LENGTH).contains(&name.len()) && !name.contains(refused);
        if valid { Ok(Self(name.to_owned())) } else { Err(KeyNameError) }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The 4 bytes that, with the name, tell which key made a signature and by which algorithm.
/// Its text form is 8 hex digits in lower case.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// Takes the four bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    /// The recommended ID: `SHA-256(name || 0x0A || signature type || public key)[:4]`.
    pub(crate) fn of(name: &KeyName, typed_key: &[u8]) -> Self {
        let hash = sha256(&[name.0.as_bytes(), b"\n", typed_key]);
        let [a, b, c, d, ..] = *hash.as_bytes();
        Self([a, b, c, d])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::to_hex(&self.0))
    }
}

/// A verifier key, or *vkey*: `<name>+<key ID>+<base64 of signature type and public key>`.
///
/// Signature types that are known: those of [`SignatureType`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifierKey {
    name: KeyName,
    key_id: KeyId,
    public: PublicKey,
}

/// A public key of one of the [signature types](https://c2sp.org/signed-note#signature-types).
#[derive(Clone, Debug, Eq, PartialEq)]
enum PublicKey {
    Ed25519(VerifyingKey),
    #[cfg(feature = "ecdsa")]
    EcdsaP256(ecdsa::PublicKey),
    Ed25519Cosigner(VerifyingKey),
    MlDsa44Cosigner(ml_dsa::PublicKey),
}

/// What a key signs, and how: the [signature types](https://c2sp.org/signed-note#signature-types) that are known here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignatureType {
    /// `0x01`: Ed25519, over the text of a note.
    Ed25519,
    /// `0x02`: ECDSA on the curve P-256, over the text of a note.
    #[cfg(feature = "ecdsa")]
    EcdsaP256,
    /// `0x04`: a [cosignature](https://c2sp.org/tlog-cosignature) of Ed25519.
    Ed25519Cosignature,
    /// `0x06`: a [cosignature](https://c2sp.org/tlog-cosignature) of ML-DSA-44.
    MlDsa44Cosignature,
}

impl SignatureType {
    /// Whether it is a statement about a checkpoint, with a time.
    #[must_use]
    pub const fn is_cosignature(self) -> bool {
        matches!(self, Self::Ed25519Cosignature | Self::MlDsa44Cosignature)
    }
}

/// In the words that people know.
impl fmt::Display for SignatureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            #[cfg(feature = "ecdsa")]
            Self::EcdsaP256 => "ECDSA P-256",
            Self::Ed25519Cosignature => "Ed25519 cosignature",
            Self::MlDsa44Cosignature => "ML-DSA-44 cosignature",
        })
    }
}

/// Signature type identifier byte of Ed25519.
pub(super) const ED25519: u8 = 0x01;
/// That of a cosignature of Ed25519.
pub(super) const ED25519_COSIGNATURE: u8 = 0x04;
/// That of a cosignature of ML-DSA-44.
pub(super) const ML_DSA_44_COSIGNATURE: u8 = 0x06;

/// Why a text is no verifier key that this crate can use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseVerifierKeyError {
    /// Not three parts with pluses between them.
    #[error("a verifier key is <name>+<8 hex digits>+<base64>")]
    Form,
    /// The first part.
    #[error(transparent)]
    Name(#[from] KeyNameError),
    /// The second part is not 8 hex digits in lower case.
    #[error("the key ID is not 8 hex digits in lower case")]
    KeyId,
    /// The third part is not canonical base64, or empty.
    #[error("the key is not canonical base64")]
    Base64,
    /// The signature type is not known here.
    #[error("signature type {0:#04x} is not supported")]
    SignatureType(u8),
    /// The public key has another length or form than its type.
    #[error("the public key is malformed")]
    PublicKey,
    /// The key ID is not that of this name and key.
    #[error("the key ID is not that of this name and key: a part was changed")]
    Mismatch,
}

impl VerifierKey {
    pub(super) fn ed25519(name: KeyName, key: VerifyingKey) -> Self {
        Self::new(name, PublicKey::Ed25519(key))
    }

    #[cfg(feature = "ecdsa")]
    pub(super) fn ecdsa(name: KeyName, key: ecdsa::PublicKey) -> Self {
        Self::new(name, PublicKey::EcdsaP256(key))
    }

    pub(super) fn ed25519_cosigner(name: KeyName, key: VerifyingKey) -> Self {
        Self::new(name, PublicKey::Ed25519Cosigner(key))
    }

    pub(super) fn ml_dsa_44_cosigner(name: KeyName, key: ml_dsa::PublicKey) -> Self {
        Self::new(name, PublicKey::MlDsa44Cosigner(key))
    }

    fn new(name: KeyName, public: PublicKey) -> Self {
        Self { key_id: public.key_id(&name), name, public }
    }

    /// The name of the key; of a log's key it is the log's origin.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The ID of the key.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// What the key signs, and how.
    #[must_use]
    pub const fn signature_type(&self) -> SignatureType {
        match &self.public {
            PublicKey::Ed25519(_) => SignatureType::Ed25519,
            #[cfg(feature = "ecdsa")]
            PublicKey::EcdsaP256(_) => SignatureType::EcdsaP256,
            PublicKey::Ed25519Cosigner(_) => SignatureType::Ed25519Cosignature,
            PublicKey::MlDsa44Cosigner(_) => SignatureType::MlDsa44Cosignature,
        }
    }

    /// Whether `signature`, without the key ID, is this key's over `text`, the text of a note. To a key that cosigns,
    /// the text must be a checkpoint.
    #[must_use]
    pub fn verify(&self, text: &str, signature: &[u8]) -> bool {
        match &self.public {
            PublicKey::Ed25519(key) => {
                let signature = Signature::from_slice(signature);
                signature.is_ok_and(|signature| key.verify_strict(text.as_bytes(), &signature).is_ok())
            }
            #[cfg(feature = "ecdsa")]
            PublicKey::EcdsaP256(key) => key.verify(text.as_bytes(), signature),
            PublicKey::Ed25519Cosigner(key) => cosignature::verify_ed25519(key, text, signature),
            PublicKey::MlDsa44Cosigner(key) => {
                cosignature::verify_ml_dsa_44(&self.name, key, text, signature)
            }
        }
    }

    /// Whether `signature`, without the key ID, is this key's over a subtree of the log of this origin. Only cosignatures
    /// of ML-DSA-44 are made over subtrees.
    #[must_use]
    pub fn verify_subtree(&self, origin: &str, subtree: Subtree, hash: Hash, signature: &[u8]) -> bool {
        let PublicKey::MlDsa44Cosigner(key) = &self.public else { return false };
        let tree = cosignature::Tree::of_subtree(subtree, hash);
        cosignature::verify_tree(&self.name, key, origin, tree, signature)
    }

    /// When this key says that it cosigned, in seconds since 1970; `None` for a key that does not cosign. It means
    /// nothing before the signature is verified.
    #[must_use]
    pub fn time_of(&self, signature: &NoteSignature) -> Option<u64> {
        let cosigns = self.signature_type().is_cosignature();
        let time = || cosignature::split_time(signature.signature()).map(|(time, _)| time);
        cosigns.then(time).flatten()
    }

    /// Whether both wrap the same public key, whatever they are called and whatever they sign with it.
    #[must_use]
    pub fn wraps_key_of(&self, other: &Self) -> bool {
        self.public.is_of_ed25519() == other.public.is_of_ed25519()
            && self.to_typed_bytes()[1..] == other.to_typed_bytes()[1..]
    }

    /// The key of this name, from what [`to_typed_bytes`](Self::to_typed_bytes) gives.
    ///
    /// # Errors
    /// Where the signature type is not known here, or the key is malformed.
    pub fn from_typed_bytes(name: KeyName, typed: &[u8]) -> Result<Self, ParseVerifierKeyError> {
        Ok(Self::new(name, PublicKey::parse(typed)?))
    }

    /// The [signature type](https://c2sp.org/signed-note#signature-types), and the public key in the form that it
    /// has in a vkey: for Ed25519 its 32 bytes, for ECDSA a `SubjectPublicKeyInfo` in DER form.
    #[must_use]
    pub fn to_typed_bytes(&self) -> Vec<u8> {
        self.public.to_typed_bytes()
    }

    /// SHA-256 of the key's text form: what names a log's key outside of notes, for example in
    /// the guard.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        sha256(&[self.to_string().as_bytes()])
    }
}

impl PublicKey {
    fn parse(typed: &[u8]) -> Result<Self, ParseVerifierKeyError> {
        use ParseVerifierKeyError as E;
        let (&kind, key) = typed.split_first().ok_or(E::Base64)?;
        let ed25519 = || {
            let key = key.try_into().map_err(|_| E::PublicKey)?;
            VerifyingKey::from_bytes(key).map_err(|_| E::PublicKey)
        };
        match kind {
            ED25519 => ed25519().map(Self::Ed25519),
            ED25519_COSIGNATURE => ed25519().map(Self::Ed25519Cosigner),
            ML_DSA_44_COSIGNATURE => {
                ml_dsa::PublicKey::parse(key).map(Self::MlDsa44Cosigner).ok_or(E::PublicKey)
            }
            #[cfg(feature = "ecdsa")]
            ECDSA => ecdsa::PublicKey::parse(key).map(Self::EcdsaP256).ok_or(E::PublicKey),
            other => Err(E::SignatureType(other)),
        }
    }

    /// Signature type and public key, as in a vkey.
    fn to_typed_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => [&[ED25519], &key.as_bytes()[..]].concat(),
            #[cfg(feature = "ecdsa")]
            Self::EcdsaP256(key) => [&[ECDSA], &key.to_der()[..]].concat(),
            Self::Ed25519Cosigner(key) => [&[ED25519_COSIGNATURE], &key.as_bytes()[..]].concat(),
            Self::MlDsa44Cosigner(key) => [&[ML_DSA_44_COSIGNATURE], &key.to_bytes()[..]].concat(),
        }
    }

    const fn is_of_ed25519(&self) -> bool {
        matches!(self, Self::Ed25519(_) | Self::Ed25519Cosigner(_))
    }

    /// The ID under this name: the recommended one, but of ECDSA.
    fn key_id(&self, name: &KeyName) -> KeyId {
        match self {
            #[cfg(feature = "ecdsa")]
            Self::EcdsaP256(key) => key.key_id(),
            _ => KeyId::of(name, &self.to_typed_bytes()),
        }
    }
}

impl FromStr for VerifierKey {
    type Err = ParseVerifierKeyError;

    fn from_str(vkey: &str) -> Result<Self, ParseVerifierKeyError> {
        use ParseVerifierKeyError as E;
        let mut parts = vkey.splitn(3, '+');
        let mut part = || parts.next().ok_or(E::Form);
        let (name, key_id, key) = (part()?, part()?, part()?);
        let name = KeyName::from_str(name)?;
        let key_id = text::parse_hex(key_id).map(KeyId).ok_or(E::KeyId)?;
        let typed = text::parse_base64(key).ok_or(E::Base64)?;
        let key = Self::from_typed_bytes(name, &typed)?;
        if key.key_id == key_id { Ok(key) } else { Err(E::Mismatch) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, self.key_id, text::to_base64(&self.public.to_typed_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn a_vkey_reads_what_it_prints() {
        let key: VerifierKey = VKEY.parse().unwrap();
        assert_eq!(key.to_string(), VKEY);
        assert_eq!(key.name().as_str(), "example.com/foo");
        assert_eq!(key.key_id().to_string(), "530d903a");
    }

    #[test]
    fn each_fault_of_a_vkey_has_its_error() {
        use ParseVerifierKeyError as E;
        for (vkey, error) in [
            ("", E::Form),
            ("example.com/foo+530d903a", E::Form),
            ("+530d903a+AQ==", E::Name(KeyNameError)),
            ("a b+530d903a+AQ==", E::Name(KeyNameError)),
            ("a+530D903A+AQ==", E::KeyId),
            ("a+530d903+AQ==", E::KeyId),
            ("a+530d903a+", E::Base64),
            ("a+530d903a+AQ", E::Base64),
            ("a+530d903a+AQ==", E::PublicKey),
            ("a+530d903a+CQ==", E::SignatureType(9)),
            ("a+530d903a+BAEC", E::PublicKey),
            ("a+530d903a+BgEC", E::PublicKey),
            (&VKEY.replace("530d903a", "530d903b"), E::Mismatch),
            (&VKEY.replace("foo", "fop"), E::Mismatch),
            (&format!("{VKEY}\n"), E::Base64),
        ] {
            assert_eq!(vkey.parse::<VerifierKey>(), Err(error), "{vkey:?}");
        }
    }

    #[test]
    fn a_key_name_has_no_space_plus_or_control_character() {
        for good in ["a", "example.com/log", "ü", &"n".repeat(255)] {
            assert!(good.parse::<KeyName>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a+b", "a\n", "a\u{a0}b", "a\u{2003}b", "a\u{7f}", &"n".repeat(256)] {
            assert_eq!(bad.parse::<KeyName>(), Err(KeyNameError), "{bad:?}");
        }
    }
}
