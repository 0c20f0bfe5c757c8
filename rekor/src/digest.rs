//! Digests of artifacts, and the hash algorithms that make them.

use core::fmt;
use core::str::FromStr;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::json::ProtoEnum;

/// A hash algorithm of [`HashAlgorithm`](https://github.com/sigstore/protobuf-specs) that entries use.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HashAlgorithm {
    /// `SHA2_256`, number 1.
    Sha2_256,
    /// `SHA2_384`, number 2.
    Sha2_384,
    /// `SHA2_512`, number 3.
    Sha2_512,
}

/// The text is no name of a hash algorithm that entries use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the hash algorithm is not SHA2_256, SHA2_384 or SHA2_512")]
pub struct UnknownHashAlgorithm;

impl HashAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha2_256, Self::Sha2_384, Self::Sha2_512];

    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha2_256 => "SHA2_256",
            Self::Sha2_384 => "SHA2_384",
            Self::Sha2_512 => "SHA2_512",
        }
    }

    /// The number in protobuf.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Sha2_256 => 1,
            Self::Sha2_384 => 2,
            Self::Sha2_512 => 3,
        }
    }

    /// The length of a digest, in bytes.
    #[must_use]
    pub const fn digest_size(self) -> usize {
        match self {
            Self::Sha2_256 => 32,
            Self::Sha2_384 => 48,
            Self::Sha2_512 => 64,
        }
    }
}

impl FromStr for HashAlgorithm {
    type Err = UnknownHashAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownHashAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(UnknownHashAlgorithm)
    }
}

impl TryFrom<i32> for HashAlgorithm {
    type Error = UnknownHashAlgorithm;

    fn try_from(number: i32) -> Result<Self, UnknownHashAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.number() == number).ok_or(UnknownHashAlgorithm)
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ProtoEnum for HashAlgorithm {
    const WHAT: &'static str = "a hash algorithm";

    fn number_of(name: &str) -> Option<i32> {
        match name {
            "HASH_ALGORITHM_UNSPECIFIED" => Some(0),
            "SHA3_256" => Some(4),
            "SHA3_384" => Some(5),
            name => name.parse().ok().map(Self::number),
        }
    }

    fn name_of(number: i32) -> Option<&'static str> {
        Self::try_from(number).ok().map(Self::name)
    }
}

/// A digest of the length that its algorithm has.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Digest {
    algorithm: HashAlgorithm,
    bytes: Vec<u8>,
}

/// The digest has another length than its algorithm makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a digest of {algorithm} has {} bytes, not {found}", algorithm.digest_size())]
pub struct DigestLength {
    /// The algorithm.
    pub algorithm: HashAlgorithm,
    /// The length, in bytes.
    pub found: usize,
}

impl Digest {
    /// Takes a digest that was made elsewhere.
    ///
    /// # Errors
    /// Where it has another length than the algorithm makes.
    pub fn new(algorithm: HashAlgorithm, bytes: Vec<u8>) -> Result<Self, DigestLength> {
        let fits = bytes.len() == algorithm.digest_size();
        if fits { Ok(Self { algorithm, bytes }) } else { Err(DigestLength { algorithm, found: bytes.len() }) }
    }

    /// The digest of these bytes.
    #[must_use]
    pub fn of(algorithm: HashAlgorithm, bytes: &[u8]) -> Self {
        let bytes = match algorithm {
            HashAlgorithm::Sha2_256 => Sha256::digest(bytes).to_vec(),
            HashAlgorithm::Sha2_384 => Sha384::digest(bytes).to_vec(),
            HashAlgorithm::Sha2_512 => Sha512::digest(bytes).to_vec(),
        };
        Self { algorithm, bytes }
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The digest itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_the_length_of_its_algorithm() {
        for algorithm in HashAlgorithm::ALL {
            let size = algorithm.digest_size();
            assert_eq!(Digest::of(algorithm, b"x").as_bytes().len(), size);
            assert!(Digest::new(algorithm, vec![0; size]).is_ok());
            let error = Digest::new(algorithm, vec![0; size + 1]).unwrap_err();
            assert_eq!(error, DigestLength { algorithm, found: size + 1 });
        }
    }

    #[test]
    fn names_and_numbers_lead_back() {
        for algorithm in HashAlgorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
            assert_eq!(HashAlgorithm::try_from(algorithm.number()), Ok(algorithm));
        }
        assert_eq!("SHA3_256".parse::<HashAlgorithm>(), Err(UnknownHashAlgorithm));
        assert_eq!(HashAlgorithm::try_from(0), Err(UnknownHashAlgorithm));
    }
}
