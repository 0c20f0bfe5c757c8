//! Public keys, read strictly from the DER of [`SubjectPublicKeyInfo`].
//!
//! Only what an entry may be signed with has a form here: named curves and uncompressed points, RSA,
//! Ed25519. Whether a point is on its curve shows when a signature is verified.
//!
//! [`SubjectPublicKeyInfo`]: https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.7

use core::fmt;

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Key type, with curve or modulus: what [`KeyDetails`](crate::KeyDetails) must agree with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyKind {
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// RSA, with the bits of its modulus.
    Rsa(usize),
    /// Ed25519.
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EcdsaP256 => f.write_str("ECDSA P-256"),
            Self::EcdsaP384 => f.write_str("ECDSA P-384"),
            Self::EcdsaP521 => f.write_str("ECDSA P-521"),
            Self::Rsa(bits) => write!(f, "RSA with {bits} bits"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// A public key that an entry may be signed with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    kind: KeyKind,
    bytes: Vec<u8>, // the content of `subjectPublicKey`
}

/// Why bytes are no public key that an entry may be signed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Text where binary belongs.
    #[error("the key is PEM; DER is asked for")]
    Pem,
    /// Not the DER of a `SubjectPublicKeyInfo`, and nothing behind it.
    #[error("the key is not the DER of a SubjectPublicKeyInfo")]
    Der,
    /// Neither ECDSA, RSA nor Ed25519.
    #[error("the key is neither ECDSA, RSA nor Ed25519")]
    Algorithm,
    /// Parameters that the algorithm does not have, or lacks: RSA has NULL, Ed25519 none.
    #[error("the key's algorithm has other parameters than its specification says")]
    Parameters,
    /// Not a name of P-256, P-384 or P-521; or parameters instead of a name.
    #[error("the curve is not P-256, P-384 or P-521, by name")]
    Curve,
    /// Not an uncompressed point of the curve's length.
    #[error("the key is not an uncompressed point of its curve")]
    Point,
    /// Not the DER of an `RSAPublicKey`.
    #[error("the key is not the DER of an RSAPublicKey")]
    Rsa,
    /// An exponent that is even, below 3, or longer than 32 bits.
    #[error("the RSA exponent is even, below 3, or above 2^32")]
    Exponent,
    /// Ed25519 keys have 32 bytes.
    #[error("an Ed25519 key has 32 bytes")]
    Ed25519,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` in DER, with nothing behind it.
    ///
    /// # Errors
    /// The first thing about it that no accepted key has.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        if looks_like_pem(der) {
            return Err(PublicKeyError::Pem);
        }
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| PublicKeyError::Der)?;
        let bytes = spki.subject_public_key.as_bytes().ok_or(PublicKeyError::Der)?;
        let kind = match spki.algorithm.oid {
            EC => ec_kind(spki.algorithm.parameters, bytes)?,
            RSA => rsa_kind(spki.algorithm.parameters, bytes)?,
            ED25519 => ed25519_kind(spki.algorithm.parameters, bytes)?,
            _ => return Err(PublicKeyError::Algorithm),
        };
        Ok(Self { kind, bytes: bytes.to_vec() })
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key itself: the point in its uncompressed form, the DER of the `RSAPublicKey`, or the 32 bytes
    /// of Ed25519.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

pub(crate) fn looks_like_pem(der: &[u8]) -> bool {
    der.trim_ascii_start().starts_with(b"-----BEGIN")
}

/// [RFC 5480, section 2](https://www.rfc-editor.org/rfc/rfc5480#section-2).
fn ec_kind(parameters: Option<AnyRef<'_>>, point: &[u8]) -> Result<KeyKind, PublicKeyError> {
    let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    let (kind, field) = match curve.ok_or(PublicKeyError::Curve)? {
        P256 => (KeyKind::EcdsaP256, 32),
        P384 => (KeyKind::EcdsaP384, 48),
        P521 => (KeyKind::EcdsaP521, 66),
        _ => return Err(PublicKeyError::Curve),
    };
    let uncompressed = point.len() == 1 + 2 * field && point[0] == 0x04;
    if uncompressed { Ok(kind) } else { Err(PublicKeyError::Point) }
}

/// [RFC 3279, section 2.3.1](https://www.rfc-editor.org/rfc/rfc3279#section-2.3.1). Nothing is computed
/// with the modulus, so an absurd one costs nothing.
fn rsa_kind(parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<KeyKind, PublicKeyError> {
    if parameters != Some(AnyRef::NULL) {
        return Err(PublicKeyError::Parameters);
    }
    let (modulus, exponent) = parse_rsa(key).map_err(|_| PublicKeyError::Rsa)?;
    check_exponent(exponent)?;
    Ok(KeyKind::Rsa(bit_length(modulus)))
}

fn parse_rsa(key: &[u8]) -> Result<(&[u8], &[u8]), x509_cert::der::Error> {
    let mut reader = SliceReader::new(key)?;
    let numbers = reader.sequence(|numbers| {
        let (modulus, exponent) = (UintRef::decode(numbers)?, UintRef::decode(numbers)?);
        Ok::<_, x509_cert::der::Error>((modulus.as_bytes(), exponent.as_bytes()))
    })?;
    reader.finish()?;
    Ok(numbers)
}

fn check_exponent(exponent: &[u8]) -> Result<(), PublicKeyError> {
    let value = exponent.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
    let usual = exponent.len() <= 4 && value >= 3 && value % 2 == 1;
    if usual { Ok(()) } else { Err(PublicKeyError::Exponent) }
}

/// Of a number without leading zero bytes.
fn bit_length(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// [RFC 8410, section 3](https://www.rfc-editor.org/rfc/rfc8410#section-3).
fn ed25519_kind(parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<KeyKind, PublicKeyError> {
    match (parameters, key.len()) {
        (Some(_), _) => Err(PublicKeyError::Parameters),
        (None, 32) => Ok(KeyKind::Ed25519),
        (None, _) => Err(PublicKeyError::Ed25519),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use x509_cert::der::asn1::{Any, BitString, Null, Uint};
    use x509_cert::der::{Encode, Tag};
    use x509_cert::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo};

    use super::*;

    pub(crate) fn spki(oid: ObjectIdentifier, parameters: Option<Any>, key: &[u8]) -> Vec<u8> {
        let subject_public_key = BitString::from_bytes(key).unwrap();
        let algorithm = AlgorithmIdentifier { oid, parameters };
        SubjectPublicKeyInfo { algorithm, subject_public_key }.to_der().unwrap()
    }

    fn ec(curve: &str, point: &[u8]) -> Vec<u8> {
        let curve = ObjectIdentifier::new(curve).unwrap();
        spki(EC, Some(Any::encode_from(&curve).unwrap()), point)
    }

    pub(crate) fn rsa(bits: usize, exponent: &[u8]) -> Vec<u8> {
        let mut modulus = vec![0xff; bits / 8];
        if !bits.is_multiple_of(8) {
            modulus.insert(0, (1 << (bits % 8)) - 1);
        }
        let numbers = [Uint::new(&modulus).unwrap(), Uint::new(exponent).unwrap()];
        spki(RSA, Some(Any::encode_from(&Null).unwrap()), &numbers.to_vec().to_der().unwrap())
    }

    fn point(field: usize) -> Vec<u8> {
        let mut point = vec![0x04];
        point.resize(1 + 2 * field, 0x17);
        point
    }

    #[test]
    fn each_kind_of_key_is_told_by_curve_and_modulus() {
        for (der, kind) in [
            (ec("1.2.840.10045.3.1.7", &point(32)), KeyKind::EcdsaP256),
            (ec("1.3.132.0.34", &point(48)), KeyKind::EcdsaP384),
            (ec("1.3.132.0.35", &point(66)), KeyKind::EcdsaP521),
            (rsa(2048, &[1, 0, 1]), KeyKind::Rsa(2048)),
            (rsa(2047, &[3]), KeyKind::Rsa(2047)),
            (rsa(2049, &[3]), KeyKind::Rsa(2049)),
            (rsa(16_384, &[1, 0, 1]), KeyKind::Rsa(16_384)),
            (spki(ED25519, None, &[7; 32]), KeyKind::Ed25519),
        ] {
            assert_eq!(PublicKey::from_spki_der(&der).unwrap().kind(), kind);
        }
    }

    #[test]
    fn each_fault_of_a_key_has_its_error() {
        use PublicKeyError as E;
        let null = || Some(Any::encode_from(&Null).unwrap());
        let good = ec("1.2.840.10045.3.1.7", &point(32));
        let explicit_curve = Any::new(Tag::Sequence, vec![0x02, 0x01, 0x01]).unwrap();
        let mut unused_bits = spki(ED25519, None, &[8; 32]);
        let at = unused_bits.len() - 33;
        unused_bits[at] = 3;
        for (der, error) in [
            (b"-----BEGIN PUBLIC KEY-----\nMFkw".to_vec(), E::Pem),
            (Vec::new(), E::Der),
            (good[..good.len() - 1].to_vec(), E::Der),
            ([&good[..], &[0]].concat(), E::Der),
            (unused_bits, E::Der),
            (spki(ObjectIdentifier::new_unwrap("1.3.101.110"), None, &[7; 32]), E::Algorithm),
            (spki(ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), None, &[7; 32]), E::Algorithm),
            (ec("1.3.132.0.10", &point(32)), E::Curve),
            (spki(EC, None, &point(32)), E::Curve),
            (spki(EC, Some(explicit_curve), &point(32)), E::Curve),
            (ec("1.2.840.10045.3.1.7", &[&[0x02], &point(32)[1..33]].concat()), E::Point),
            (ec("1.2.840.10045.3.1.7", &[&[0x06], &point(32)[1..]].concat()), E::Point),
            (ec("1.2.840.10045.3.1.7", &point(48)), E::Point),
            (ec("1.2.840.10045.3.1.7", &[0]), E::Point),
            (ec("1.2.840.10045.3.1.7", &[]), E::Point),
            (spki(RSA, None, &[0x30, 0]), E::Parameters),
            (spki(RSA, null(), &[0x30, 0]), E::Rsa),
            (spki(RSA, null(), &[0x30, 6, 2, 1, 0x81, 2, 1, 3]), E::Rsa),
            (rsa(2048, &[1]), E::Exponent),
            (rsa(2048, &[1, 0, 0]), E::Exponent),
            (rsa(2048, &[1, 0, 0, 0, 1]), E::Exponent),
            (rsa(2048, &[0xff; 512]), E::Exponent),
            (spki(ED25519, null(), &[7; 32]), E::Parameters),
            (spki(ED25519, None, &[7; 31]), E::Ed25519),
        ] {
            assert_eq!(PublicKey::from_spki_der(&der), Err(error), "{der:02x?}");
        }
    }
}
