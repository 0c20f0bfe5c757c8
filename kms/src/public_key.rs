//! A public key as key management services give it, a `SubjectPublicKeyInfo`.

use kiln_tiles::{KeyName, SignatureType, VerifierKey};

use crate::failure::KmsError;

/// A `SubjectPublicKeyInfo` of Ed25519 but its last 32 bytes, which are the key ([RFC 8410]).
///
/// [RFC 8410]: https://www.rfc-editor.org/rfc/rfc8410#section-4
const ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The verifier key of this name, from a key in DER form.
pub(crate) fn from_der(name: KeyName, der: &[u8]) -> Result<VerifierKey, KmsError> {
    let typed = match der.strip_prefix(ED25519) {
        Some(key) => [&[SIGNS_ED25519], key].concat(),
        None => [&[SIGNS_ECDSA], der].concat(),
    };
    VerifierKey::from_typed_bytes(name, &typed).map_err(|_| KmsError::KeyType)
}

/// The [types](https://c2sp.org/signed-note#signature-types) of signatures.
const SIGNS_ED25519: u8 = 0x01;
const SIGNS_ECDSA: u8 = 0x02;

/// What a key signs by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Algorithm {
    Ed25519,
    EcdsaP256,
}

impl Algorithm {
    pub(crate) fn of(vkey: &VerifierKey) -> Result<Self, KmsError> {
        match vkey.signature_type() {
            SignatureType::Ed25519 => Ok(Self::Ed25519),
            SignatureType::EcdsaP256 => Ok(Self::EcdsaP256),
            _ => Err(KmsError::KeyType),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};
    use kiln_tiles::SigningKey;

    use super::*;

    fn name() -> KeyName {
        "example.com/log".parse().unwrap()
    }

    #[test]
    fn both_kinds_of_keys_are_read_from_what_openssl_writes() {
        // By `openssl pkey -pubout`.
        let ed25519 = "MCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";
        let vkey = from_der(name(), &Base64::decode_vec(ed25519).unwrap()).unwrap();
        assert_eq!(vkey, SigningKey::from_seed(name(), [7; 32]).verifier_key());
        let ecdsa = SigningKey::ecdsa_from_secret(name(), [7; 32]).unwrap().verifier_key();
        assert_eq!(from_der(name(), &ecdsa.to_typed_bytes()[1..]).unwrap(), ecdsa);
    }

    #[test]
    fn other_keys_are_refused() {
        for der in [&b""[..], ED25519, &[0x30, 0x59, 0x30]] {
            assert!(matches!(from_der(name(), der), Err(KmsError::KeyType)), "{der:?}");
        }
    }
}
