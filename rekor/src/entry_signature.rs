//! Whether an entry of a log is what a log should have taken: its signatures, and the keys beside them.
//!
//! Monitors ask this. Logs have taken entries whose key details are not those of the key, and no client
//! verifies them.

use crate::digest::HashAlgorithm;
use crate::dsse::Envelope;
use crate::entry::{Dsse, HashedRekord, Signature};
use crate::signature::{BadSignature, verify_digest, verify_message};
use crate::verifier::VerifierError;
use crate::{Digest, KeyDetails};

/// Why the signature of an entry does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EntrySignatureError {
    /// The key is none, or not what is said of it.
    #[error(transparent)]
    Verifier(#[from] VerifierError),
    /// The digest is of another algorithm than goes with the key.
    #[error("a digest of {found} does not go with {details}")]
    DigestAlgorithm {
        /// What is said of the key.
        details: KeyDetails,
        /// What the digest is of.
        found: HashAlgorithm,
    },
    /// The envelope is not the one of the entry.
    #[error("the envelope has another payload than the entry")]
    OtherPayload,
    /// The signature is not the key's.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl HashedRekord {
    /// Verifies the signature over the digest, by the key that the entry names.
    ///
    /// # Errors
    /// Where the key is not what is said of it, or did not sign.
    pub fn verify(&self) -> Result<(), EntrySignatureError> {
        let Signature { content, verifier } = &self.signature;
        let key = verifier.matching_key()?;
        let (details, found) = (verifier.details(), self.data.algorithm());
        if details.hash_algorithm() != Some(found) {
            return Err(EntrySignatureError::DigestAlgorithm { details, found });
        }
        Ok(verify_digest(&key, &self.data, content)?)
    }
}

impl Dsse {
    /// Verifies all signatures of the entry over the envelope, which it does not hold itself.
    ///
    /// # Errors
    /// Where the envelope is of another payload, or a signature does not hold.
    pub fn verify(&self, envelope: &Envelope) -> Result<(), EntrySignatureError> {
        if Digest::of(HashAlgorithm::Sha2_256, &envelope.payload) != *self.payload_hash() {
            return Err(EntrySignatureError::OtherPayload);
        }
        let encoding = envelope.pre_authentication_encoding();
        self.signatures().iter().try_for_each(|Signature { content, verifier }| {
            let key = verifier.matching_key()?;
            Ok(verify_message(&key, verifier.details(), &encoding, content)?)
        })
    }
}
