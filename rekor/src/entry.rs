//! Entries of the kinds `hashedrekord` 0.0.2 and `dsse` 0.0.2, and their [canonical bodies].
//!
//! An entry is what its body says, no more: whether the signature is right, and the key one at all, is
//! for `verify` to say.
//!
//! [canonical bodies]: https://github.com/sigstore/rekor-tiles/blob/main/api/proto/rekor/v2/entry.proto

use kiln_tiles::{EntryTooLong, Hash, MAX_ENTRY_SIZE};

use crate::canonical;
use crate::digest::{Digest, HashAlgorithm};
use crate::json::JsonError;
use crate::verifier::Verifier;

/// An entry and its canonical body: the bytes in the log, at most [`MAX_ENTRY_SIZE`] of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    spec: Spec,
    body: Vec<u8>,
}

/// What an entry says, by its kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Spec {
    /// `hashedrekord`: a signature over a digest.
    HashedRekord(HashedRekord),
    /// `dsse`: signatures over the payload of an envelope. No longer written by rekor-tiles.
    Dsse(Dsse),
}

/// A signature over an artifact of which only the digest is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashedRekord {
    /// The digest of the artifact, or of a DSSE envelope's pre-authentication encoding.
    pub data: Digest,
    /// The signature over it.
    pub signature: Signature,
}

/// A signature and who is said to have made it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// The bytes, as they were submitted.
    pub content: Vec<u8>,
    /// Whose it is.
    pub verifier: Verifier,
}

/// The signatures of a DSSE envelope, of whose payload only the digest is known. They sign more than
/// the payload, so this digest alone verifies nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dsse {
    payload_hash: Digest,
    signatures: Vec<Signature>, // ascending by content, none twice
}

/// The kind and version of an entry, as in `kindVersion`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EntryKind {
    /// `hashedrekord`, version 0.0.2.
    HashedRekord,
    /// `dsse`, version 0.0.2.
    Dsse,
}

impl EntryKind {
    /// The version of all kinds here.
    pub const VERSION: &'static str = "0.0.2";

    /// The name of the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HashedRekord => "hashedrekord",
            Self::Dsse => "dsse",
        }
    }
}

/// Why bytes are no canonical body of a known kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseEntryError {
    /// Longer than an entry can be.
    #[error(transparent)]
    TooLong(#[from] EntryTooLong),
    /// Not the JSON of an entry.
    #[error("the body is not the JSON of an entry: {0}")]
    Json(#[from] JsonError),
    /// Another kind or version, or the fields of another.
    #[error("the entry is not of kind hashedrekord or dsse, version 0.0.2")]
    Kind,
    /// A field is missing, or its number or length has no meaning.
    #[error("the entry's {0} is missing or malformed")]
    Field(&'static str),
    /// It says the same as a canonical body, in another spelling.
    #[error("the body is not in its canonical form")]
    NotCanonical,
}

impl Entry {
    /// Writes the canonical body of an entry.
    ///
    /// # Errors
    /// Where it is longer than a log can hold.
    pub fn new(spec: Spec) -> Result<Self, EntryTooLong> {
        let body = canonical::print(&spec).into_bytes();
        let fits = body.len() <= MAX_ENTRY_SIZE;
        if fits { Ok(Self { spec, body }) } else { Err(EntryTooLong(body.len())) }
    }

    /// Reads a canonical body: only what [`new`](Self::new) would write.
    ///
    /// # Errors
    /// The first thing about it that no canonical body has.
    pub fn parse(body: &[u8]) -> Result<Self, ParseEntryError> {
        if body.len() > MAX_ENTRY_SIZE {
            return Err(EntryTooLong(body.len()).into());
        }
        let entry = Self::new(canonical::parse(body)?)?;
        if entry.body == body { Ok(entry) } else { Err(ParseEntryError::NotCanonical) }
    }

    /// What it says.
    #[must_use]
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EntryKind {
        match self.spec {
            Spec::HashedRekord(_) => EntryKind::HashedRekord,
            Spec::Dsse(_) => EntryKind::Dsse,
        }
    }

    /// The canonical body: the entry's bytes in the log.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The canonical body, for who has no further use of the rest.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The hash of its leaf.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        Hash::leaf(&self.body)
    }

    /// All signatures: one of a `hashedrekord`, one or more of a `dsse`.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        match &self.spec {
            Spec::HashedRekord(entry) => core::slice::from_ref(&entry.signature),
            Spec::Dsse(entry) => &entry.signatures,
        }
    }
}

impl Dsse {
    /// How many signatures one entry may have, and how many verifiers one request.
    pub const MAX_SIGNATURES: usize = 10;

    /// Brings the signatures into their order; of equal ones the first stays.
    ///
    /// `None` where there is none, or more than [`MAX_SIGNATURES`](Self::MAX_SIGNATURES), or the digest is not
    /// of SHA-256, as is fixed for all payloads.
    #[must_use]
    pub fn new(payload_hash: Digest, mut signatures: Vec<Signature>) -> Option<Self> {
        signatures.sort_by(|a, b| a.content.cmp(&b.content));
        signatures.dedup_by(|b, a| a.content == b.content);
        let number_fits = (1..=Self::MAX_SIGNATURES).contains(&signatures.len());
        let fits = number_fits && payload_hash.algorithm() == HashAlgorithm::Sha2_256;
        fits.then_some(Self { payload_hash, signatures })
    }

    /// The SHA-256 of the payload.
    #[must_use]
    pub const fn payload_hash(&self) -> &Digest {
        &self.payload_hash
    }

    /// The signatures, ascending by their bytes.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
}
