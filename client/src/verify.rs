//! Offline verification: bytes in, a verified claim out. No clock, no network, no async.

use kiln_tiles::{
    Hash, ParseTlogProofError, SignedCheckpoint, TlogProof, TreeHead, TrustedLog, VerifyTlogProofError,
};

use crate::signers::OtherKeys;

/// What a proof showed. It exists only verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    index: u64,
    checkpoint: SignedCheckpoint,
}

/// Why a proof shows nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bytes are no tlog proof.
    #[error("not a tlog proof: {0}")]
    Parse(#[from] ParseTlogProofError),
    /// Its checkpoint is signed, but by nobody who is known.
    #[error("checkpoint: {0}")]
    OtherKeys(#[from] OtherKeys),
    /// It is one, and a step of its verification failed: which, is in the error.
    #[error(transparent)]
    Proof(#[from] VerifyTlogProofError),
}

/// Verifies that `log` has `entry`, by a [tlog-proof] and nothing else; where the log has a quorum of
/// witnesses, that they have cosigned the checkpoint, too.
///
/// [tlog-proof]: https://c2sp.org/tlog-proof
///
/// # Errors
/// Where the proof does not parse, or the first step of its verification that failed.
pub fn verify(proof: &[u8], entry: &[u8], log: &TrustedLog) -> Result<Claim, VerifyError> {
    verify_leaf(proof, Hash::leaf(entry), log)
}

/// As [`verify`], for who has only the leaf hash of the entry.
///
/// # Errors
/// As [`verify`].
pub fn verify_leaf(proof: &[u8], leaf: Hash, log: &TrustedLog) -> Result<Claim, VerifyError> {
    let proof = TlogProof::parse(proof)?;
    let checkpoint = check(&proof, leaf, log)?;
    Ok(Claim { index: proof.index(), checkpoint })
}

pub(crate) fn check(
    proof: &TlogProof,
    leaf: Hash,
    log: &TrustedLog,
) -> Result<SignedCheckpoint, VerifyError> {
    proof.verify(leaf, log).map_err(|error| {
        let keys = match &error {
            VerifyTlogProofError::Checkpoint(error) => OtherKeys::explain(error, proof.checkpoint(), log),
            _ => None,
        };
        keys.map_or(error.into(), VerifyError::OtherKeys)
    })
}

impl Claim {
    /// The index that the entry has in the log.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The tree that has it there.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.checkpoint.head()
    }

    /// The log.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.checkpoint.checkpoint().origin()
    }

    /// The checkpoint by which the log vouches for it.
    #[must_use]
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }
}
