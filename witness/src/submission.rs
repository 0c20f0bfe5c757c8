//! The rules of [add-checkpoint]: pure, and in the order of the specification.
//!
//! [add-checkpoint]: https://c2sp.org/tlog-witness#add-checkpoint

use std::sync::Arc;

use kiln_tiles::{AddCheckpoint, Checkpoint, Note, ParseCheckpointError, Proof, TreeHead, VerifyNoteError};

use crate::evidence::Case;
use crate::logs::{Log, Logs};
use crate::refusal::Refusal;

/// A submitted checkpoint that a key of its log signed. It exists only verified; whether the tree extends the known
/// one, [`check`](Self::check) says.
#[derive(Clone, Debug)]
pub struct Submission {
    log: Arc<Log>,
    old: u64,
    proof: Proof,
    /// `None` for an empty tree with a root hash that it cannot have.
    checkpoint: Option<Checkpoint>,
    /// The text, and the signatures by keys of the log: all others are nobody's word here.
    note: Note,
}

impl Submission {
    /// Reads a request, and verifies who signed the checkpoint.
    ///
    /// # Errors
    /// The first rule that it breaks, in this order:
    ///
    /// | the request, or the text of the checkpoint, is malformed | 400 |
    /// |---|---|
    /// | the origin is unknown | 404 |
    /// | no key that is trusted for it signed, or the signature of one is wrong | 403 |
    pub fn open(request: &[u8], logs: &Logs) -> Result<Self, Refusal> {
        let AddCheckpoint { old, proof, checkpoint: note } = AddCheckpoint::parse(request)?;
        let text = note.unverified_text();
        let checkpoint = match text.parse::<Checkpoint>() {
            Ok(checkpoint) => Some(checkpoint),
            // A status of its own, once it is known that the log said so.
            Err(ParseCheckpointError::EmptyRoot) => None,
            Err(error) => return Err(error.into()),
        };
        let origin = text.split('\n').next().unwrap_or_default();
        let log = logs.get(origin).ok_or(Refusal::UnknownOrigin)?.clone();
        let note = signed_by_the_log(&note, &log)?;
        Ok(Self { log, old, proof, checkpoint, note })
    }

    /// Whether the checkpoint may be cosigned by who knows the tree `latest` of the log, which is the empty one where
    /// no checkpoint was cosigned yet.
    ///
    /// Extension lines are opaque: the witness [makes no statement] about them, and the tree may be the same under
    /// others.
    ///
    /// # Errors
    /// The first rule that it breaks, in this order:
    ///
    /// | the old size is above that of the checkpoint | 400 |
    /// |---|---|
    /// | the old size is not that of `latest` | 409 |
    /// | the tree is empty and its root hash is not | 422 |
    /// | the tree has the old size and another root hash | 422 |
    /// | the proof does not lead from `latest` to the tree, or is none of the one length that it can have | 422 |
    ///
    /// [makes no statement]: https://c2sp.org/tlog-cosignature#ed25519-signed-message
    pub fn check(&self, latest: TreeHead) -> Result<&Checkpoint, Refusal> {
        if self.old > self.size() {
            return Err(Refusal::OldAboveSize);
        }
        if self.old != latest.size() {
            return Err(Refusal::Conflict(latest.size()));
        }
        let checkpoint = self.checkpoint.as_ref().ok_or(Refusal::EmptyRoot)?;
        if self.is_fork_of(latest) {
            return Err(Refusal::Fork);
        }
        self.proof.verify_consistency(latest, checkpoint.head()).map_err(Refusal::Proof)?;
        Ok(checkpoint)
    }

    /// What the checkpoint, which the log signed, shows beside the latest tree that the witness recorded. A fork shows
    /// whatever `old` and proof a stranger put before it.
    pub(crate) fn shows(&self, latest: TreeHead) -> Option<Case> {
        match self.check(latest) {
            Err(Refusal::EmptyRoot) => Some(Case::Fork),
            _ if self.checkpoint.is_none() || self.is_fork_of(latest) => Some(Case::Fork),
            Err(Refusal::Proof(_)) => Some(Case::BadProof),
            _ => None,
        }
    }

    fn is_fork_of(&self, latest: TreeHead) -> bool {
        let head = self.checkpoint.as_ref().map(Checkpoint::head);
        head.is_some_and(|head| head.size() == latest.size() && head.root() != latest.root())
    }

    fn size(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.head().size())
    }

    /// The log that signed it.
    #[must_use]
    pub const fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The checkpoint with the signatures of its log, and no others.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Whether it says no more than that the old tree is still the newest.
    pub(crate) fn is_repeated(&self) -> bool {
        self.old == self.size()
    }

    /// The request as it can be sent again, without the signatures by others.
    pub(crate) fn to_request(&self) -> AddCheckpoint {
        AddCheckpoint { old: self.old, proof: self.proof.clone(), checkpoint: self.note.clone() }
    }
}

/// The note with the signatures by keys of the log, each of which is [verified].
///
/// [verified]: https://c2sp.org/signed-note#verifying-signatures
fn signed_by_the_log(note: &Note, log: &Log) -> Result<Note, Refusal> {
    let verified = note.signed_by(log.keys())?;
    if verified.is_empty() {
        return Err(VerifyNoteError::UnknownKeys.into());
    }
    let lines = verified.into_iter().map(|(_, signature)| signature.clone()).collect();
    let text = note.unverified_text().to_owned();
    Ok(Note::new(text, lines).expect("a note with fewer of its signatures is a note"))
}
