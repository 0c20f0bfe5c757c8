//! Why a command ended without success: an exit code, a reason, and what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use kiln_client::{
    BadLog, ClientError, CopyError, Evidence, HttpError, HttpSetupError, SubmitError, TokenError,
};
use kiln_sequencer::{Alarm, CollectError, LoadError, RecoverError, RoundError, SignError};
use kiln_storage::StorageError;

/// What the exit code says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd)]
pub(crate) enum Exit {
    /// The log, proof or signature is bad.
    Bad = 1,
    /// Wrong usage.
    Usage = 2,
    /// It could not be done. Nothing is said about the log.
    Undone = 3,
}

/// Why a command ended without success.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: Box<dyn Error + Send + Sync>,
    hint: Option<Hint>,
}

/// What to do about it.
#[derive(Debug)]
enum Hint {
    Advice(&'static str),
    Evidence(Box<Evidence>),
}

impl Failure {
    /// The log, proof or signature is bad.
    pub(crate) fn bad(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: Exit::Bad, error: error.into(), hint: None }
    }

    /// Wrong usage: another command line would do.
    pub(crate) fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: Exit::Usage, error: error.into(), hint: None }
    }

    /// It could not be done.
    pub(crate) fn undone(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: Exit::Undone, error: error.into(), hint: None }
    }

    /// A file could not be read or written.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::undone(format!("{}: {error}", path.display()))
    }

    /// And what to do about it.
    pub(crate) fn with_advice(self, advice: &'static str) -> Self {
        Self { hint: Some(Hint::Advice(advice)), ..self }
    }

    /// And where, if there are several places.
    pub(crate) fn at(self, place: &str) -> Self {
        Self { error: format!("{place}: {}", self.error).into(), ..self }
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether nobody reads any more what is printed, as in `kiln tail LOG | head`.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let error = self.error.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The words without secret keys, which somebody may have put where a file's name belongs: words end in journals.
pub(crate) fn without_secrets(words: &str) -> std::borrow::Cow<'_, str> {
    const BEGINS: &str = "PRIVATE+KEY+";
    if !words.contains(BEGINS) {
        return words.into();
    }
    let mut parts = words.split(BEGINS);
    let mut harmless = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(part.len());
        harmless += "<a secret key>";
        // What ends a sentence, or a place, is no part of a key.
        let tail = part[..end].trim_end_matches([':', ',', ';']);
        harmless += &part[tail.len()..];
    }
    harmless.into()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(&self.error.to_string()))?;
        match &self.hint {
            None => Ok(()),
            Some(Hint::Advice(advice)) => write!(f, "\n  {advice}"),
            Some(Hint::Evidence(evidence)) => write!(
                f,
                "\nKeep both checkpoints: they show anybody what the log did.\n\n{}\n{}",
                evidence.known.note(),
                evidence.served.note()
            ),
        }
    }
}

/// What is written to standard output, and nothing else, ends here.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::undone(error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let hint = match &error {
            ClientError::BadLog(BadLog::Fork(evidence) | BadLog::Rollback(evidence)) => {
                Some(Hint::Evidence(evidence.clone()))
            }
            _ => None,
        };
        let is_bad = error.is_bad_log() || matches!(error, ClientError::OtherEntry { .. });
        let exit = if is_bad { Exit::Bad } else { Exit::Undone };
        Self { exit, error: error.into(), hint }
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        const REPEAT: &str = "Run the same again: it goes on where it was.";
        match error {
            CopyError::Source(error) => error.into(),
            CopyError::Differs(_) => Self::bad(error),
            error => Self::undone(error).with_advice(REPEAT),
        }
    }
}

/// From another shell than that of the server there is often no guard, and there is one.
const WHERE_THE_GUARD_IS: &str = "Accept nothing before this: the guard is looked for where --guard says, else below KILN_STATE_DIR, else \
     below ~/.local/state/kiln. See that this is the place of the process which wrote the log.";

impl From<RecoverError> for Failure {
    fn from(error: RecoverError) -> Self {
        match error {
            RecoverError::Load(error) => error.into(),
            RecoverError::NotAccepted { .. } => Self::usage(error),
            RecoverError::NoVoice { .. } => Self::bad(error).with_advice(WHERE_THE_GUARD_IS),
            error if error.is_bad_log() => Self::bad(error),
            error => Self::undone(error),
        }
    }
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        match error {
            error if error.is_denied() => Self::undone(error)
                .with_advice("Whoever collects must be allowed to list and to delete; a writer need not be."),
            CollectError::Storage(error) => error.into(),
            error => Self::bad(error),
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            error if error.is_bad_log() => Self::bad(error),
            SubmitError::Empty | SubmitError::TooLong(_) | SubmitError::BatchTooLarge => Self::usage(error),
            SubmitError::Http(error) => error.into(),
            error => Self::undone(error),
        }
    }
}

/// Of a submission.
impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        const REPEAT: &str = "Run the same again: what is in the log already is not added twice.";
        let again = error.is_retryable();
        let failure = Self::undone(error);
        if again { failure.with_advice(REPEAT) } else { failure }
    }
}

impl From<HttpSetupError> for Failure {
    fn from(error: HttpSetupError) -> Self {
        match error {
            HttpSetupError::Url(_) => Self::usage(error),
            error => Self::undone(error),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::usage(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::undone(error)
    }
}

/// Of the note of a log's end.
impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        Self::undone(error).with_advice(
            "The log has ended, and nothing says so yet but its head: run the same again, and its key signs the note of that.",
        )
    }
}

impl From<getrandom::Error> for Failure {
    fn from(error: getrandom::Error) -> Self {
        Self::undone(format!("the system has no randomness to give: {error}"))
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match &error {
            LoadError::OtherLog { .. } => Self::bad(error)
                .with_advice("Give the key that the log was made with: its own folder has it in private/key."),
            LoadError::NotAccepted { .. } => Self::usage(error),
            LoadError::NoVoice { .. } => Self::bad(error).with_advice(WHERE_THE_GUARD_IS),
            LoadError::Read(_) | LoadError::Head(_) | LoadError::Rounds { .. } if error.is_bad_log() => {
                Self::bad(error).with_advice(
                    "`kiln recover STORE --from LOG` brings back what a mirror, a CDN or a backup has; `kiln fsck` names the damaged objects. Nothing was signed.",
                )
            }
            _ if error.is_held() => Self::undone(error)
                .with_advice("One process writes a log at a time: stop that one first, or stand by (--standby)."),
            LoadError::Round(RoundError::Fenced) => Self::undone(error)
                .with_advice("Another process writes this log: stop that one first, and run this again."),
            LoadError::Round(RoundError::Alarm(Alarm::Fork { .. })) => Self::bad(error).with_advice(
                "`kiln recover STORE --from LOG...` brings back what a mirror, a CDN or a newer backup has.",
            ),
            LoadError::Round(RoundError::Guard(_)) if !error.is_bad_log() => Self::undone(error),
            _ if error.is_bad_log() => Self::bad(error),
            _ => Self::undone(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who had put the key itself where its file belongs found it in the journal.
    #[test]
    fn no_failure_quotes_a_secret_key() {
        for (words, told) in [
            ("PRIVATE+KEY+example.com/a+01020304+AQID=: No such file", "<a secret key>: No such file"),
            (
                "line 1: \"PRIVATE+KEY+a+01020304+AQID\" is none of log",
                "line 1: \"<a secret key>\" is none of log",
            ),
            ("PRIVATE+KEY+a PRIVATE+KEY+b", "<a secret key> <a secret key>"),
            ("nothing of the kind", "nothing of the kind"),
        ] {
            assert_eq!(Failure::usage(words).to_string(), told);
        }
    }
}
