//! SHA-256 hashes of a Merkle tree, as [RFC 6962, section 2.1] defines them.
//!
//! [RFC 6962, section 2.1]: https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1

#[cfg(feature = "simd")]
mod lanes;

use core::fmt;

use sha2::{Digest, Sha256};

use crate::text;

/// A SHA-256 hash: of a leaf, of an inner node, or of a whole tree (its root hash).
///
/// Its text form, in checkpoints and proofs, is standard base64 with padding.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hash([u8; Hash::SIZE]);

impl Hash {
    /// The length of a hash, in bytes.
    pub const SIZE: usize = 32;

    /// Takes the 32 bytes of a hash as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::SIZE] {
        &self.0
    }

    /// The leaf hash of an entry: `SHA-256(0x00 || entry)`.
    #[must_use]
    pub fn leaf(entry: &[u8]) -> Self {
        sha256(&[&[0x00], entry])
    }

    /// The hash of an inner node: `SHA-256(0x01 || left || right)`.
    #[must_use]
    pub fn node(left: Self, right: Self) -> Self {
        // One buffer of 65 bytes: a single update is a third faster than three.
        let mut block = [0x01; 1 + 2 * Self::SIZE];
        block[1..=Self::SIZE].copy_from_slice(&left.0);
        block[1 + Self::SIZE..].copy_from_slice(&right.0);
        sha256(&[&block])
    }

    /// The leaf hash of each entry: faster than one after another, where the processor has wide vectors.
    #[must_use]
    pub fn leaves<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<Self> {
        #[cfg(feature = "simd")]
        return lanes::hash_all(&entries.into_iter().map(lanes::Message::Leaf).collect::<Vec<_>>());
        #[cfg(not(feature = "simd"))]
        entries.into_iter().map(Self::leaf).collect()
    }

    /// The hash of the node above each pair of hashes, left to right; of an odd one at the end, nothing. Faster
    /// than one after another, as [`leaves`](Self::leaves).
    #[must_use]
    pub fn parents(hashes: &[Self]) -> Vec<Self> {
        let pairs = hashes.chunks_exact(2);
        #[cfg(feature = "simd")]
        return lanes::hash_all(
            &pairs.map(|pair| lanes::Message::Node(&pair[0], &pair[1])).collect::<Vec<_>>(),
        );
        #[cfg(not(feature = "simd"))]
        pairs.map(|pair| Self::node(pair[0], pair[1])).collect()
    }

    /// The root hash of a tree without leaves: `SHA-256()`.
    #[must_use]
    pub fn empty_tree() -> Self {
        sha256(&[])
    }

    /// Reads the base64 form; `None` unless the text is the one spelling of 32 bytes.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        text::parse_base64(text)?.try_into().ok().map(Self)
    }

    /// Reads 64 hex digits in lower case; `None` for anything else.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        text::parse_hex(digits).map(Self)
    }

    /// The hash as 64 hex digits in lower case, the form in which people name entries.
    #[must_use]
    pub fn to_hex(self) -> String {
        text::to_hex(&self.0)
    }
}

/// SHA-256 over the parts, one after another. All hashing of this crate goes through here, or through
/// `lanes`.
pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

/// Writes the base64 form.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::to_base64(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_rfc_6962() {
        // The empty tree's root and the empty leaf's hash are printed in many a CT test suite.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(Hash::empty_tree().to_hex(), empty);
        assert_eq!(Hash::leaf(b"").to_hex(), leaf);
        let pair = Hash::node(Hash::leaf(b""), Hash::leaf(&[0x00]));
        assert_eq!(pair.to_hex(), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    }

    #[test]
    fn a_hash_has_one_base64_spelling() {
        let hash = Hash::leaf(b"x");
        let text = hash.to_string();
        assert_eq!(Hash::from_base64(&text), Some(hash));
        assert_eq!(Hash::from_base64(text.trim_end_matches('=')), None, "no padding");
        assert_eq!(Hash::from_base64(&format!("{text}\n")), None);
        assert_eq!(Hash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(Hash::from_hex(&hash.to_hex().to_uppercase()), None);
    }
}
