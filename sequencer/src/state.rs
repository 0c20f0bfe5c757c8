//! What a log says of itself while it runs.

use std::fmt;
use std::sync::Arc;

use kiln_storage::{StorageError, StorageErrorKind};
use kiln_tiles::{SignedCheckpoint, SignedEnd, Successor};

use crate::lease::Holder;
use crate::load::{CatchUp, LoadError};

/// What a log is doing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Status {
    /// It is being loaded; the dedup index may have to catch up.
    #[default]
    Loading,
    /// The dedup index is catching up.
    CatchingUp(CatchUp),
    /// It takes entries.
    Ready,
    /// It takes entries, but its round does not end: the store does not answer, and the published
    /// checkpoint gets stale.
    Stalled,
    /// It takes entries, as long as there is room, but too few witnesses cosign, and nothing is published without
    /// them: the published checkpoint gets stale.
    Unwitnessed,
    /// Another process writes it. It serves reads, follows, and takes over when that ends.
    StandingBy(Holder),
    /// It could not be loaded, and tries again.
    Failing(Arc<LoadError>),
    /// It is not what it was. It serves reads, and signs and accepts nothing until it is restarted.
    Alarmed(Arc<LoadError>),
    /// It has ended: it serves reads, and takes no entries ever again.
    Frozen(Arc<SignedEnd>),
    /// It was told to stop.
    Stopped,
}

/// What can be seen of a running log.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What it is doing.
    pub status: Status,
    /// The checkpoint published last by this process.
    pub published: Option<Arc<SignedCheckpoint>>,
}

impl Status {
    /// What strangers may know: the kind of trouble, not the operator's paths and addresses.
    #[must_use]
    pub fn public(&self) -> std::borrow::Cow<'static, str> {
        match self {
            Self::StandingBy(_) => "standing by: another process writes the log".into(),
            Self::Failing(error) if error.is_unsigned() => "its key does not sign".into(),
            Self::Failing(error) if error.is_unwitnessed() => Self::Unwitnessed.to_string().into(),
            Self::Failing(error) => match error.storage().map(StorageError::kind) {
                Some(StorageErrorKind::Full) => "its store is full".into(),
                Some(StorageErrorKind::Denied) => "its store denies it access".into(),
                _ => "its store fails".into(),
            },
            Self::Alarmed(_) => "alarm: it neither signs nor accepts".into(),
            status => status.to_string().into(),
        }
    }
}

/// Writes a sentence for people.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loading => f.write_str("the log is being loaded"),
            Self::CatchingUp(CatchUp { done, of }) => {
                write!(f, "the dedup index catches up: {done} of {of} entries")
            }
            Self::Ready => f.write_str("ready"),
            Self::Stalled => f.write_str("its store does not answer, and the checkpoint gets stale"),
            Self::Unwitnessed => f.write_str("too few witnesses cosign, and the checkpoint gets stale"),
            Self::StandingBy(holder) => write!(f, "standing by: the log is written by {holder}"),
            Self::Failing(error) => write!(f, "the log cannot be loaded and tries again: {error}"),
            Self::Alarmed(error) => write!(f, "ALARM, nothing is signed or accepted: {error}"),
            Self::Frozen(end) => {
                write!(
                    f,
                    "this log is frozen: it ended with {} entries, and takes no more",
                    end.head().size()
                )?;
                match end.successor().map(Successor::url) {
                    Some(url) => write!(f, "; {url} goes on in its place"),
                    None => Ok(()),
                }
            }
            Self::Stopped => f.write_str("the log stops"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk was told as one that fails, which sent people looking for other things.
    #[test]
    fn strangers_are_told_the_kind_of_trouble_and_no_path() {
        for (kind, told) in [
            (StorageErrorKind::Full, "its store is full"),
            (StorageErrorKind::Denied, "its store denies it access"),
            (StorageErrorKind::Transient, "its store fails"),
        ] {
            let error = StorageError::new(kind, "write", &"/srv/log/private/head/0", None);
            assert_eq!(Status::Failing(Arc::new(error.into())).public(), told);
        }
    }
}
