//! Whose signatures a note has, for who holds another key.

use std::fmt;

use kiln_tiles::{KeyId, KeyName, Note, OpenCheckpointError, TrustedLog, VerifyNoteError};

/// No signature of a note is by a key of the log that is believed: the key, or the place, is another
/// log's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is signed by {}, and not by the given key, {}", listed(signed), listed(known))]
#[non_exhaustive]
pub struct OtherKeys {
    /// The keys that the note names. Nothing vouches for it.
    pub signed: Vec<(KeyName, KeyId)>,
    /// The keys of the log that is believed.
    pub known: Vec<(KeyName, KeyId)>,
}

impl OtherKeys {
    /// The same error as `error`, with the keys in it, if it is that no key is known.
    pub(crate) fn explain(error: &OpenCheckpointError, note: &Note, log: &TrustedLog) -> Option<Self> {
        let unknown = matches!(error, OpenCheckpointError::Signature(VerifyNoteError::UnknownKeys));
        unknown.then(|| Self {
            signed: note.signatures().iter().map(|one| (one.name().clone(), one.key_id())).collect(),
            known: log.keys().iter().map(|key| (key.name().clone(), key.key_id())).collect(),
        })
    }
}

/// The first few, since a note may have thousands.
fn listed(keys: &[(KeyName, KeyId)]) -> impl fmt::Display {
    const MOST: usize = 8;
    let named = keys.iter().take(MOST).map(|(name, key_id)| format!("{name} ({key_id})"));
    let more = keys.len().checked_sub(MOST).filter(|&more| more > 0).map(|more| format!("{more} more"));
    let all: Vec<String> = named.chain(more).collect();
    if all.is_empty() { "nobody".to_owned() } else { all.join(", ") }
}
