//! The entry that a bundle must have in the log: rebuilt from what the verifier has, as sigstore-go does it,
//! so that not a byte of the entry is taken from who presents the bundle.

use kiln_tiles::EntryTooLong;

use crate::bundle::{Bundle, BundleContent, VerificationMaterial};
use crate::digest::{Digest, HashAlgorithm};
use crate::entry::{Dsse, Entry, EntryKind, HashedRekord, Signature, Spec};
use crate::key::KeyKind;
use crate::key_details::KeyDetails;
use crate::log_entry::{TransparencyLogEntry, VerifyLogEntryError};
use crate::trusted_root::{TrustedLogError, TrustedRoot};
use crate::verifier::{KeyMaterial, KeyMaterialError, Verifier};

/// What the verifier brings to a bundle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// The key, as the DER of a `SubjectPublicKeyInfo`, where the bundle has no certificate.
    pub public_key: Option<&'a [u8]>,
    /// The digest of the artifact, where the bundle has no envelope.
    pub artifact: Option<&'a Digest>,
}

/// Why no entry can be rebuilt from a bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpectedEntryError {
    /// The bundle has a hint at a key, and the verifier no key.
    #[error("the bundle names a key; bring it")]
    NoKey,
    /// The bundle has a certificate, and the verifier brings a key.
    #[error("the bundle has a certificate; bring no key")]
    UnusedKey,
    /// Key or certificate are none.
    #[error(transparent)]
    Key(#[from] KeyMaterialError),
    /// No client signs with such a key.
    #[error("no client signs with a key of {0}")]
    KeyKind(KeyKind),
    /// The bundle signs an artifact, and the verifier has none.
    #[error("the bundle signs an artifact; bring its digest")]
    NoArtifact,
    /// The digest is not the one that this key signs.
    #[error("the digest of the artifact must be of {0}, which goes with the key")]
    DigestAlgorithm(HashAlgorithm),
    /// The bundle is for another artifact.
    #[error("the bundle is for another artifact: its messageDigest is not that of this one")]
    OtherArtifact,
    /// Entries of kind `dsse` are of envelopes.
    #[error("an entry of kind dsse is of an envelope, and the bundle has none")]
    NoEnvelope,
    /// No log can hold it.
    #[error(transparent)]
    TooLong(#[from] EntryTooLong),
}

/// Why a bundle is not shown to be in a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyBundleError {
    /// None of its entries is in a log that the trusted root knows.
    #[error("the bundle has no entry in a log of the trusted root")]
    NoKnownLog,
    /// The log cannot be believed.
    #[error(transparent)]
    Log(#[from] TrustedLogError),
    /// The entry is not in the log.
    #[error(transparent)]
    LogEntry(#[from] VerifyLogEntryError),
    /// The entry to expect cannot be said.
    #[error(transparent)]
    Expected(#[from] ExpectedEntryError),
    /// The log has an entry, and it is of something else.
    #[error("the entry in the log is not that of this bundle")]
    OtherEntry,
}

impl Bundle {
    /// The digest algorithm that an artifact of this bundle is hashed with, which its key decides.
    ///
    /// # Errors
    /// Where there is no key, or no client signs with it.
    pub fn digest_algorithm(&self, expected: Expected<'_>) -> Result<HashAlgorithm, ExpectedEntryError> {
        Ok(self.verifier(expected)?.1)
    }

    /// The entry of this kind that the log must have for this bundle.
    ///
    /// # Errors
    /// Where key or artifact are missing, or are not those of the bundle.
    pub fn expected_entry(
        &self,
        kind: EntryKind,
        expected: Expected<'_>,
    ) -> Result<Entry, ExpectedEntryError> {
        let (verifier, algorithm) = self.verifier(expected)?;
        let signature = Signature { content: self.signature().to_vec(), verifier };
        let spec = match kind {
            EntryKind::HashedRekord => {
                Spec::HashedRekord(HashedRekord { data: self.signed_digest(algorithm, expected)?, signature })
            }
            EntryKind::Dsse => Spec::Dsse(self.dsse(signature)?),
        };
        Ok(Entry::new(spec)?)
    }

    /// Verifies the log part: that each entry in a log of the trusted root is there, and is the one of this
    /// bundle. There must be one at least; entries of unknown logs are left out.
    ///
    /// Not asked is whether the signature is right, or who the signer is.
    ///
    /// # Errors
    /// The first entry that is not shown to be in its log, or is of something else.
    pub fn verify_log_entries(
        &self,
        root: &TrustedRoot,
        expected: Expected<'_>,
    ) -> Result<Vec<&TransparencyLogEntry>, VerifyBundleError> {
        let mut verified = Vec::new();
        for log_entry in self.log_entries() {
            let Some(log) = root.rekor_log(log_entry.log_id()) else { continue };
            let entry = log_entry.verify(&log.to_rekor_log()?)?;
            if entry != self.expected_entry(entry.kind(), expected)? {
                return Err(VerifyBundleError::OtherEntry);
            }
            verified.push(log_entry);
        }
        if verified.is_empty() { Err(VerifyBundleError::NoKnownLog) } else { Ok(verified) }
    }

    fn verifier(&self, expected: Expected<'_>) -> Result<(Verifier, HashAlgorithm), ExpectedEntryError> {
        use ExpectedEntryError as E;
        let material = match (self.material(), expected.public_key) {
            (VerificationMaterial::PublicKey { .. }, Some(key)) => KeyMaterial::PublicKey(key.to_vec()),
            (VerificationMaterial::PublicKey { .. }, None) => return Err(E::NoKey),
            (VerificationMaterial::Certificate(_), Some(_)) => return Err(E::UnusedKey),
            (VerificationMaterial::Certificate(der), None) => KeyMaterial::X509Certificate(der.clone()),
        };
        let kind = material.public_key()?.kind();
        let details = KeyDetails::of_key(kind).ok_or(E::KeyKind(kind))?;
        let algorithm = details.hash_algorithm().ok_or(E::KeyKind(kind))?;
        Ok((Verifier::new(details, material), algorithm))
    }

    /// The digest that was signed: of the artifact, or of the envelope's encoding.
    fn signed_digest(
        &self,
        algorithm: HashAlgorithm,
        expected: Expected<'_>,
    ) -> Result<Digest, ExpectedEntryError> {
        use ExpectedEntryError as E;
        let digest = match self.content() {
            BundleContent::DsseEnvelope(envelope) => {
                return Ok(Digest::of(algorithm, &envelope.pre_authentication_encoding()));
            }
            BundleContent::MessageSignature { digest, .. } => digest,
        };
        let artifact = expected.artifact.ok_or(E::NoArtifact)?;
        if artifact.algorithm() != algorithm {
            return Err(E::DigestAlgorithm(algorithm));
        }
        let same = digest.as_ref().is_none_or(|digest| digest == artifact);
        if same { Ok(artifact.clone()) } else { Err(E::OtherArtifact) }
    }

    fn dsse(&self, signature: Signature) -> Result<Dsse, ExpectedEntryError> {
        let BundleContent::DsseEnvelope(envelope) = self.content() else {
            return Err(ExpectedEntryError::NoEnvelope);
        };
        let payload_hash = Digest::of(HashAlgorithm::Sha2_256, &envelope.payload);
        Ok(Dsse::new(payload_hash, vec![signature]).expect("one signature, and a digest of SHA2_256"))
    }
}
