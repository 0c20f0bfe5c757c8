//! `PublicKeyDetails`: what a key is, what is hashed and how is signed, all in one name, as
//! [protobuf-specs] lists them.
//!
//! [protobuf-specs]: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_common.proto

use core::fmt;
use core::str::FromStr;

use crate::digest::HashAlgorithm;
use crate::json::ProtoEnum;
use crate::key::KeyKind;

/// A kind of key, a hash and a form of signature.
///
/// All that have a name are here, so that whatever an entry says can be shown; [`ACCEPTED`](Self::ACCEPTED)
/// are those that a log takes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(i32)]
#[allow(missing_docs, reason = "the names are the specification's, and say it all")]
pub enum KeyDetails {
    Unspecified = 0,
    Pkcs1RsaPkcs1v5 = 1,
    Pkcs1RsaPss = 2,
    PkixRsaPkcs1v5 = 3,
    PkixRsaPss = 4,
    PkixEcdsaP256Sha256 = 5,
    PkixEcdsaP256HmacSha256 = 6,
    PkixEd25519 = 7,
    PkixEd25519Ph = 8,
    PkixRsaPkcs1v15_2048Sha256 = 9,
    PkixRsaPkcs1v15_3072Sha256 = 10,
    PkixRsaPkcs1v15_4096Sha256 = 11,
    PkixEcdsaP384Sha384 = 12,
    PkixEcdsaP521Sha512 = 13,
    LmsSha256 = 14,
    LmotsSha256 = 15,
    PkixRsaPss2048Sha256 = 16,
    PkixRsaPss3072Sha256 = 17,
    PkixRsaPss4096Sha256 = 18,
    PkixEcdsaP384Sha256 = 19,
    PkixEcdsaP521Sha256 = 20,
    MlDsa65 = 21,
    MlDsa87 = 22,
    MlDsa44 = 23,
}

/// Neither a name nor a number of key details.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no name or number of key details")]
pub struct UnknownKeyDetails;

use KeyDetails as K;

/// Names in the order of their numbers.
const NAMES: [(KeyDetails, &str); 24] = [
    (K::Unspecified, "PUBLIC_KEY_DETAILS_UNSPECIFIED"),
    (K::Pkcs1RsaPkcs1v5, "PKCS1_RSA_PKCS1V5"),
    (K::Pkcs1RsaPss, "PKCS1_RSA_PSS"),
    (K::PkixRsaPkcs1v5, "PKIX_RSA_PKCS1V5"),
    (K::PkixRsaPss, "PKIX_RSA_PSS"),
    (K::PkixEcdsaP256Sha256, "PKIX_ECDSA_P256_SHA_256"),
    (K::PkixEcdsaP256HmacSha256, "PKIX_ECDSA_P256_HMAC_SHA_256"),
    (K::PkixEd25519, "PKIX_ED25519"),
    (K::PkixEd25519Ph, "PKIX_ED25519_PH"),
    (K::PkixRsaPkcs1v15_2048Sha256, "PKIX_RSA_PKCS1V15_2048_SHA256"),
    (K::PkixRsaPkcs1v15_3072Sha256, "PKIX_RSA_PKCS1V15_3072_SHA256"),
    (K::PkixRsaPkcs1v15_4096Sha256, "PKIX_RSA_PKCS1V15_4096_SHA256"),
    (K::PkixEcdsaP384Sha384, "PKIX_ECDSA_P384_SHA_384"),
    (K::PkixEcdsaP521Sha512, "PKIX_ECDSA_P521_SHA_512"),
    (K::LmsSha256, "LMS_SHA256"),
    (K::LmotsSha256, "LMOTS_SHA256"),
    (K::PkixRsaPss2048Sha256, "PKIX_RSA_PSS_2048_SHA256"),
    (K::PkixRsaPss3072Sha256, "PKIX_RSA_PSS_3072_SHA256"),
    (K::PkixRsaPss4096Sha256, "PKIX_RSA_PSS_4096_SHA256"),
    (K::PkixEcdsaP384Sha256, "PKIX_ECDSA_P384_SHA_256"),
    (K::PkixEcdsaP521Sha256, "PKIX_ECDSA_P521_SHA_256"),
    (K::MlDsa65, "ML_DSA_65"),
    (K::MlDsa87, "ML_DSA_87"),
    (K::MlDsa44, "ML_DSA_44"),
];

impl KeyDetails {
    /// What a log takes for `hashedrekord`, the only set that clients can count on: each signs a digest, so
    /// that a log needs no artifact.
    pub const ACCEPTED: [Self; 7] = [
        K::PkixEcdsaP256Sha256,
        K::PkixEd25519Ph,
        K::PkixRsaPkcs1v15_2048Sha256,
        K::PkixRsaPkcs1v15_3072Sha256,
        K::PkixRsaPkcs1v15_4096Sha256,
        K::PkixEcdsaP384Sha384,
        K::PkixEcdsaP521Sha512,
    ];

    /// All that have a name, by their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(details, _)| details)
    }

    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        // The test below holds the table to the numbers.
        NAMES[self as usize].1
    }

    /// The number in protobuf.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Whether it is among [`ACCEPTED`](Self::ACCEPTED).
    #[must_use]
    pub fn is_accepted(self) -> bool {
        Self::ACCEPTED.contains(&self)
    }

    /// The name that rekor-tiles' flag `--client-signing-algorithms` has for it; `None` unless it is
    /// [accepted](Self::ACCEPTED).
    #[must_use]
    pub const fn flag_name(self) -> Option<&'static str> {
        Some(match self {
            K::PkixEcdsaP256Sha256 => "ecdsa-sha2-256-nistp256",
            K::PkixEcdsaP384Sha384 => "ecdsa-sha2-384-nistp384",
            K::PkixEcdsaP521Sha512 => "ecdsa-sha2-512-nistp521",
            K::PkixEd25519Ph => "ed25519-ph",
            K::PkixRsaPkcs1v15_2048Sha256 => "rsa-sign-pkcs1-2048-sha256",
            K::PkixRsaPkcs1v15_3072Sha256 => "rsa-sign-pkcs1-3072-sha256",
            K::PkixRsaPkcs1v15_4096Sha256 => "rsa-sign-pkcs1-4096-sha256",
            _ => return None,
        })
    }

    /// What hashes the artifact before it is signed; `None` where the artifact itself is signed, or the
    /// name does not say.
    #[must_use]
    pub const fn hash_algorithm(self) -> Option<HashAlgorithm> {
        Some(match self {
            K::PkixEcdsaP384Sha384 => HashAlgorithm::Sha2_384,
            K::PkixEcdsaP521Sha512 | K::PkixEd25519Ph => HashAlgorithm::Sha2_512,
            K::PkixEcdsaP256Sha256 | K::PkixEcdsaP256HmacSha256 => HashAlgorithm::Sha2_256,
            K::PkixEcdsaP384Sha256 | K::PkixEcdsaP521Sha256 => HashAlgorithm::Sha2_256,
            K::PkixRsaPkcs1v15_2048Sha256 | K::PkixRsaPss2048Sha256 => HashAlgorithm::Sha2_256,
            K::PkixRsaPkcs1v15_3072Sha256 | K::PkixRsaPss3072Sha256 => HashAlgorithm::Sha2_256,
            K::PkixRsaPkcs1v15_4096Sha256 | K::PkixRsaPss4096Sha256 => HashAlgorithm::Sha2_256,
            _ => return None,
        })
    }

    /// The kind of key, where the name says it to the last bit and this crate knows it.
    #[must_use]
    pub const fn key_kind(self) -> Option<KeyKind> {
        Some(match self {
            K::PkixEcdsaP256Sha256 | K::PkixEcdsaP256HmacSha256 => KeyKind::EcdsaP256,
            K::PkixEcdsaP384Sha384 | K::PkixEcdsaP384Sha256 => KeyKind::EcdsaP384,
            K::PkixEcdsaP521Sha512 | K::PkixEcdsaP521Sha256 => KeyKind::EcdsaP521,
            K::PkixEd25519 | K::PkixEd25519Ph => KeyKind::Ed25519,
            K::PkixRsaPkcs1v15_2048Sha256 | K::PkixRsaPss2048Sha256 => KeyKind::Rsa(2048),
            K::PkixRsaPkcs1v15_3072Sha256 | K::PkixRsaPss3072Sha256 => KeyKind::Rsa(3072),
            K::PkixRsaPkcs1v15_4096Sha256 | K::PkixRsaPss4096Sha256 => KeyKind::Rsa(4096),
            _ => return None,
        })
    }

    /// What clients say of a key when nobody tells them otherwise, and therefore what sigstore-go expects
    /// to find in an entry; `None` where they sign with no such key.
    #[must_use]
    pub fn of_key(kind: KeyKind) -> Option<Self> {
        Self::ACCEPTED.into_iter().find(|details| details.key_kind() == Some(kind))
    }
}

impl TryFrom<i32> for KeyDetails {
    type Error = UnknownKeyDetails;

    fn try_from(number: i32) -> Result<Self, UnknownKeyDetails> {
        let index = usize::try_from(number).map_err(|_| UnknownKeyDetails)?;
        NAMES.get(index).map(|(details, _)| *details).ok_or(UnknownKeyDetails)
    }
}

/// Reads a name, or the decimal number.
impl FromStr for KeyDetails {
    type Err = UnknownKeyDetails;

    fn from_str(text: &str) -> Result<Self, UnknownKeyDetails> {
        let mut all = Self::all();
        all.find(|k| k.name() == text || k.number().to_string() == text).ok_or(UnknownKeyDetails)
    }
}

impl fmt::Display for KeyDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ProtoEnum for KeyDetails {
    const WHAT: &'static str = "key details";

    fn number_of(name: &str) -> Option<i32> {
        Self::all().find(|details| details.name() == name).map(Self::number)
    }

    fn name_of(number: i32) -> Option<&'static str> {
        Self::try_from(number).ok().map(Self::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back() {
        for (index, (details, name)) in NAMES.into_iter().enumerate() {
            assert_eq!(usize::try_from(details.number()), Ok(index));
            assert_eq!(details.name(), name);
            assert_eq!(KeyDetails::try_from(details.number()), Ok(details));
            assert_eq!(name.parse(), Ok(details));
            assert_eq!(index.to_string().parse(), Ok(details));
        }
        for bad in ["", "24", "-1", "05", "pkix_ed25519", "PKIX_ED25519 "] {
            assert_eq!(bad.parse::<KeyDetails>(), Err(UnknownKeyDetails), "{bad:?}");
        }
        assert_eq!(KeyDetails::try_from(24), Err(UnknownKeyDetails));
        assert_eq!(KeyDetails::try_from(-1), Err(UnknownKeyDetails));
    }

    #[test]
    fn what_is_accepted_has_a_key_a_hash_and_a_flag() {
        for details in KeyDetails::all() {
            assert_eq!(details.flag_name().is_some(), details.is_accepted(), "{details}");
        }
        let numbers = KeyDetails::ACCEPTED.map(KeyDetails::number);
        assert_eq!(numbers, [5, 8, 9, 10, 11, 12, 13]);
        for details in KeyDetails::ACCEPTED {
            let kind = details.key_kind().unwrap();
            assert!(details.hash_algorithm().is_some(), "{details}");
            assert_eq!(KeyDetails::of_key(kind), Some(details));
        }
        assert_eq!(KeyDetails::of_key(KeyKind::Rsa(1024)), None);
    }
}
