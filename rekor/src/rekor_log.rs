//! A Rekor log that someone is willing to believe, and its checkpoints.

#[cfg(feature = "signatures")]
use kiln_tiles::{Checkpoint, Note};
use kiln_tiles::{
    KeyName, OpenCheckpointError, ParseCheckpointError, ParseNoteError, TreeHead, TrustedLog, VerifierKey,
};

use crate::log_key::{LogId, LogKey};
#[cfg(feature = "signatures")]
use crate::signature::verify_message;

/// A log whose checkpoints someone is willing to believe: its origin and its key.
///
/// The origin is the name under its checkpoints too. For sigstore-go it is the host of the log's URL, so
/// a log has a host of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RekorLog {
    origin: KeyName,
    key: LogKey,
}

/// Why bytes are no checkpoint of this log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenRekorCheckpointError {
    /// Of a log with an Ed25519 key: not its note, or none.
    #[error(transparent)]
    Ed25519(#[from] OpenCheckpointError),
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] ParseNoteError),
    /// No signature by the log's key.
    #[error("the checkpoint has no signature by the log's key")]
    Unsigned,
    /// One that does not hold.
    #[error("the log's signature on the checkpoint is wrong")]
    BadSignature,
    /// Signed, but not a checkpoint.
    #[error(transparent)]
    Text(#[from] ParseCheckpointError),
    /// A checkpoint of another log.
    #[error("the checkpoint is of another log than its signature")]
    Origin,
    /// Signatures by such a key are not verified here.
    #[error("checkpoints signed by such a key are not verified in this build")]
    KeyKind,
}

impl RekorLog {
    /// The log with this origin and key.
    #[must_use]
    pub const fn new(origin: KeyName, key: LogKey) -> Self {
        Self { origin, key }
    }

    /// The log that signs with this key; `None` for a type of key that Sigstore's clients do not take.
    #[must_use]
    pub fn of(vkey: &VerifierKey) -> Option<Self> {
        Some(Self::new(vkey.name().clone(), LogKey::of(vkey)?))
    }

    /// The origin.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &LogKey {
        &self.key
    }

    /// The ID, by which entries name the log.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.key.log_id(&self.origin)
    }

    /// Reads and verifies a checkpoint: which tree does the log vouch for?
    ///
    /// # Errors
    /// The first thing that does not hold: note, signature, text, origin.
    pub fn open_checkpoint(&self, note: &[u8]) -> Result<TreeHead, OpenRekorCheckpointError> {
        match self.key.verifier_key(&self.origin) {
            Some(vkey) => Ok(TrustedLog::from(vkey).open(note)?.head()),
            None => self.open_other(note),
        }
    }

    /// By a key that signed notes have no type for.
    #[cfg(feature = "signatures")]
    fn open_other(&self, note: &[u8]) -> Result<TreeHead, OpenRekorCheckpointError> {
        use OpenRekorCheckpointError as E;
        let note = Note::parse(note)?;
        self.verify_note(&note)?;
        let checkpoint: Checkpoint = note.unverified_text().parse()?;
        if checkpoint.origin() == self.origin.as_str() { Ok(checkpoint.head()) } else { Err(E::Origin) }
    }

    #[cfg(not(feature = "signatures"))]
    fn open_other(&self, _: &[u8]) -> Result<TreeHead, OpenRekorCheckpointError> {
        Err(OpenRekorCheckpointError::KeyKind)
    }

    /// Every signature by the log's key must hold, and there must be one.
    #[cfg(feature = "signatures")]
    fn verify_note(&self, note: &Note) -> Result<(), OpenRekorCheckpointError> {
        use OpenRekorCheckpointError as E;
        let details = self.key.details().ok_or(E::KeyKind)?;
        let id = self.id().key_id();
        let own = note.signatures().iter().filter(|line| *line.name() == self.origin && line.key_id() == id);
        let mut own = own.peekable();
        own.peek().ok_or(E::Unsigned)?;
        let (key, text) = (self.key.public_key(), note.unverified_text().as_bytes());
        own.try_for_each(|line| verify_message(key, details, text, line.signature()))
            .map_err(|_| E::BadSignature)
    }
}
