//! From a request to an entry: the checks of a log, in the [order of rekor-tiles].
//!
//! [order of rekor-tiles]: https://github.com/sigstore/rekor-tiles/blob/main/pkg/types/hashedrekord/hashedrekord.go

use kiln_tiles::EntryTooLong;

use crate::digest::{Digest, DigestLength, HashAlgorithm};
use crate::dsse::{Envelope, EnvelopeSignature};
use crate::entry::{Dsse, Entry, EntryKind, HashedRekord, Signature, Spec};
use crate::key::PublicKey;
use crate::key_details::KeyDetails;
use crate::policy::Policy;
use crate::request::{Asked, AskedVerifier, CreateEntryRequest};
use crate::signature::{BadSignature, verify_digest, verify_message};
use crate::verifier::{KeyMaterial, KeyMaterialError, KeyMismatch, Verifier, match_key};

/// Why a request is refused. It prints the one fixed message that clients know for the kind; the
/// reason is [beside it](Self::fault).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid {} request", kind.name())]
pub struct InvalidRequest {
    kind: EntryKind,
    #[source]
    fault: RequestFault,
}

/// What is wrong with a request: the first check that failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFault {
    /// No signature, or an empty one.
    #[error("the signature is missing")]
    NoSignature,
    /// Nobody is said to have signed.
    #[error("the verifier is missing")]
    NoVerifier,
    /// No digest, or an empty one.
    #[error("the digest is missing")]
    NoDigest,
    /// A verifier without both.
    #[error("the verifier has neither a public key nor a certificate")]
    NoKey,
    /// What is there is no key.
    #[error(transparent)]
    Key(#[from] KeyMaterialError),
    /// A number without a name.
    #[error("{0} is no number of key details")]
    UnknownKeyDetails(i32),
    /// Not taken by this log.
    #[error("{0} is not accepted")]
    NotAccepted(KeyDetails),
    /// The key is not what is said of it.
    #[error(transparent)]
    Mismatch(#[from] KeyMismatch),
    /// The digest is not one of the hash that goes with the key.
    #[error(transparent)]
    Digest(#[from] DigestLength),
    /// The signature is not the key's.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The entry does not fit into a log.
    #[error(transparent)]
    TooLong(#[from] EntryTooLong),
    /// No DSSE envelope.
    #[error("the envelope is missing")]
    NoEnvelope,
    /// No signature in an envelope, or too many.
    #[error("an envelope has 1 to {max} signatures, not {0}", max = Dsse::MAX_SIGNATURES)]
    SignatureCount(usize),
    /// Too many verifiers of an envelope.
    #[error("an envelope has at most {max} verifiers, not {0}", max = Dsse::MAX_SIGNATURES)]
    TooManyVerifiers(usize),
}

impl InvalidRequest {
    /// The kind of entry that was asked for.
    #[must_use]
    pub const fn kind(&self) -> EntryKind {
        self.kind
    }

    /// What is wrong with the request.
    #[must_use]
    pub const fn fault(&self) -> RequestFault {
        self.fault
    }
}

impl CreateEntryRequest {
    /// Checks the request, verifies its signatures, and writes the entry.
    ///
    /// Not checked is what only verifiers can judge: validity, chain and issuer of a certificate.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify(self, policy: &Policy) -> Result<Entry, InvalidRequest> {
        let kind = self.kind();
        let entry = match self.0 {
            Asked::HashedRekord { digest, content, verifier } => {
                hashedrekord(digest, content, verifier, policy)
            }
            Asked::Dsse { envelope, verifiers } => dsse(envelope, verifiers, policy),
        };
        entry.map_err(|fault| InvalidRequest { kind, fault })
    }
}

fn hashedrekord(
    digest: Vec<u8>,
    content: Vec<u8>,
    verifier: Option<AskedVerifier>,
    policy: &Policy,
) -> Result<Entry, RequestFault> {
    if content.is_empty() {
        return Err(RequestFault::NoSignature);
    }
    let verifier = verifier.ok_or(RequestFault::NoVerifier)?;
    if digest.is_empty() {
        return Err(RequestFault::NoDigest);
    }
    let (verifier, key) = checked(verifier, EntryKind::HashedRekord, policy)?;
    let unhashed = RequestFault::NotAccepted(verifier.details());
    let data = Digest::new(verifier.details().hash_algorithm().ok_or(unhashed)?, digest)?;
    verify_digest(&key, &data, &content)?;
    let signature = Signature { content, verifier };
    Ok(Entry::new(Spec::HashedRekord(HashedRekord { data, signature }))?)
}

/// The rules for a verifier of any kind of entry: a key, of accepted details, which are its own.
fn checked(
    verifier: AskedVerifier,
    kind: EntryKind,
    policy: &Policy,
) -> Result<(Verifier, PublicKey), RequestFault> {
    let material: KeyMaterial = verifier.material.ok_or(RequestFault::NoKey)?;
    let key = material.public_key()?;
    let unknown = RequestFault::UnknownKeyDetails(verifier.details);
    let details = KeyDetails::try_from(verifier.details).map_err(|_| unknown)?;
    if !policy.accepts(details, kind) {
        return Err(RequestFault::NotAccepted(details));
    }
    match_key(details, key.kind())?;
    Ok((Verifier::new(details, material), key))
}

fn dsse(
    envelope: Option<Envelope>,
    verifiers: Vec<AskedVerifier>,
    policy: &Policy,
) -> Result<Entry, RequestFault> {
    let envelope = envelope.ok_or(RequestFault::NoEnvelope)?;
    check_counts(&envelope, &verifiers)?;
    let keys = verifiers.into_iter().map(|verifier| checked(verifier, EntryKind::Dsse, policy));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let encoding = envelope.pre_authentication_encoding();
    let signers: Vec<_> =
        keys.into_iter().map(|(verifier, key)| Signer::new(verifier, key, &encoding)).collect();
    let signatures = envelope.signatures.iter().map(|signature| signed_by_one_of(&signers, signature));
    let signatures = signatures.collect::<Result<_, _>>()?;
    let payload_hash = Digest::of(HashAlgorithm::Sha2_256, &envelope.payload);
    let entry = Dsse::new(payload_hash, signatures).expect("the counts and the hash were checked above");
    Ok(Entry::new(Spec::Dsse(entry))?)
}

fn check_counts(envelope: &Envelope, verifiers: &[AskedVerifier]) -> Result<(), RequestFault> {
    let signatures = &envelope.signatures;
    if verifiers.is_empty() {
        return Err(RequestFault::NoVerifier);
    }
    if verifiers.len() > Dsse::MAX_SIGNATURES {
        return Err(RequestFault::TooManyVerifiers(verifiers.len()));
    }
    if signatures.is_empty() || signatures.len() > Dsse::MAX_SIGNATURES {
        return Err(RequestFault::SignatureCount(signatures.len()));
    }
    let empty = signatures.iter().any(|signature| signature.sig.is_empty());
    if empty { Err(RequestFault::NoSignature) } else { Ok(()) }
}

/// A key, and what it must have signed. Hashed once, however many signatures are tried.
struct Signer<'a> {
    verifier: Verifier,
    key: PublicKey,
    signed: Signed<'a>,
}

enum Signed<'a> {
    Digest(Digest),
    Message(&'a [u8]), // by pure Ed25519
}

impl<'a> Signer<'a> {
    fn new(verifier: Verifier, key: PublicKey, encoding: &'a [u8]) -> Self {
        let digest = verifier.details().hash_algorithm().map(|algorithm| Digest::of(algorithm, encoding));
        Self { verifier, key, signed: digest.map_or(Signed::Message(encoding), Signed::Digest) }
    }

    fn has_made(&self, signature: &[u8]) -> bool {
        let verified = match &self.signed {
            Signed::Digest(digest) => verify_digest(&self.key, digest, signature),
            Signed::Message(message) => {
                verify_message(&self.key, self.verifier.details(), message, signature)
            }
        };
        verified.is_ok()
    }
}

fn signed_by_one_of(
    signers: &[Signer<'_>],
    signature: &EnvelopeSignature,
) -> Result<Signature, RequestFault> {
    let signer = signers.iter().find(|signer| signer.has_made(&signature.sig)).ok_or(BadSignature)?;
    Ok(Signature { content: signature.sig.clone(), verifier: signer.verifier.clone() })
}
