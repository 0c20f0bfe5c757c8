//! The rules of [sign-subtree]: pure, and in the order of the specification.
//!
//! [sign-subtree]: https://c2sp.org/tlog-witness#sign-subtree

use kiln_tiles::{
    Checkpoint, Hash, ParseCheckpointError, SignSubtree, Subtree, VerifierKey, VerifyNoteError,
};

use crate::logs::Logs;
use crate::refusal::Refusal;

/// A subtree that is to be signed: of a checkpoint that this witness cosigned. It exists only verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubtreeRequest {
    /// The origin of the log.
    pub(crate) origin: String,
    /// The leaves.
    pub(crate) subtree: Subtree,
    /// The root hash over them.
    pub(crate) hash: Hash,
}

impl SubtreeRequest {
    /// Reads a request, and verifies it by the keys of the witness.
    ///
    /// # Errors
    /// The first rule that it breaks, in this order:
    ///
    /// | the request, or the text of the checkpoint, is malformed; the subtree ends behind it | 400 |
    /// |---|---|
    /// | the proof does not show that the subtree is one of the checkpoint's tree | 422 |
    /// | the origin is unknown | 404 |
    /// | no key of the witness cosigned the checkpoint, or a cosignature of one is wrong | 403 |
    pub fn open(request: &[u8], logs: &Logs, vkeys: &[VerifierKey]) -> Result<Self, Refusal> {
        let SignSubtree { subtree, hash, proof, checkpoint: note } = SignSubtree::parse(request)?;
        let checkpoint: Checkpoint =
            note.unverified_text().parse().map_err(|error: ParseCheckpointError| error)?;
        if subtree.end() > checkpoint.head().size() {
            return Err(Refusal::SubtreeOutside);
        }
        proof.verify(subtree, hash, checkpoint.head()).map_err(Refusal::Proof)?;
        if logs.get(checkpoint.origin()).is_none() {
            return Err(Refusal::UnknownOrigin);
        }
        if note.signed_by(vkeys)?.is_empty() {
            return Err(VerifyNoteError::UnknownKeys.into());
        }
        Ok(Self { origin: checkpoint.origin().to_owned(), subtree, hash })
    }
}
