//! Checkpoints: notes that state the size and root hash of a log, as [tlog-checkpoint] defines them.
//!
//! [tlog-checkpoint]: https://c2sp.org/tlog-checkpoint

use core::fmt;
use core::str::FromStr;

use crate::hash::Hash;
use crate::note::{Note, ParseNoteError, VerifierKey, VerifyNoteError};
use crate::quorum::{Quorum, QuorumNotMet};
use crate::text;
use crate::tree::TreeHead;

/// The text of a checkpoint: what a log states about its tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
    extension_lines: Vec<String>,
}

/// Why a text is no checkpoint: the first line at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCheckpointError {
    /// The text does not end in a newline.
    #[error("the checkpoint does not end in a newline")]
    Unterminated,
    /// The first line is empty.
    #[error("line 1 of the checkpoint, its origin, is empty")]
    Origin,
    /// The second line is missing, not canonical, or above 2^63 - 1.
    #[error("line 2 of the checkpoint is not a tree size in canonical decimal")]
    TreeSize,
    /// The third line is missing or not the canonical base64 of 32 bytes.
    #[error("line 3 of the checkpoint is not a root hash in base64")]
    RootHash,
    /// The tree is empty and the root hash is not that of the empty tree.
    #[error("line 3 of the checkpoint is not the root hash of the empty tree that line 2 says")]
    EmptyRoot,
    /// A further line, with its number, is empty.
    #[error("line {0} of the checkpoint, an extension line, is empty")]
    ExtensionLine(usize),
}

impl Checkpoint {
    /// The checkpoint of a log, without extension lines; `None` where the origin is empty or has a
    /// newline or another control character.
    #[must_use]
    pub fn new(origin: &str, head: TreeHead) -> Option<Self> {
        let origin_is_line = !origin.is_empty() && !origin.contains(|c: char| c < ' ');
        origin_is_line.then(|| Self { origin: origin.to_owned(), head, extension_lines: Vec::new() })
    }

    /// The origin: the unique identity of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Tree size and root hash.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }

    /// The extension lines, opaque and hardly ever there.
    #[must_use]
    pub fn extension_lines(&self) -> &[String] {
        &self.extension_lines
    }
}

impl FromStr for Checkpoint {
    type Err = ParseCheckpointError;

    fn from_str(text: &str) -> Result<Self, ParseCheckpointError> {
        use ParseCheckpointError as E;
        let mut lines = text.strip_suffix('\n').ok_or(E::Unterminated)?.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(E::Origin)?.to_owned();
        let size = lines.next().and_then(text::parse_decimal).ok_or(E::TreeSize)?;
        let root = lines.next().and_then(Hash::from_base64).ok_or(E::RootHash)?;
        let head = TreeHead::new(size, root).ok_or(E::EmptyRoot)?;
        let extension_lines = lines.zip(4..).map(nonempty_line).collect::<Result<_, _>>()?;
        Ok(Self { origin, head, extension_lines })
    }
}

fn nonempty_line((line, number): (&str, usize)) -> Result<String, ParseCheckpointError> {
    if line.is_empty() { Err(ParseCheckpointError::ExtensionLine(number)) } else { Ok(line.to_owned()) }
}

/// Writes the text, as it is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.head.size(), self.head.root())?;
        self.extension_lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A log whose checkpoints someone is willing to believe: its origin, its keys, and the witnesses that must have
/// cosigned, if any.
///
/// ```
/// use kiln_tiles::{Checkpoint, SigningKey, TreeHead, TrustedLog};
///
/// let key = SigningKey::from_seed("example.com/log".parse()?, [7; 32]); // random in earnest
/// let text = Checkpoint::new("example.com/log", TreeHead::empty()).unwrap().to_string();
/// let note = key.sign(text)?.to_string();
///
/// let log = TrustedLog::from(key.verifier_key());
/// assert_eq!(log.open(note.as_bytes())?.head().size(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustedLog {
    origin: String,
    keys: Vec<VerifierKey>,
    quorum: Quorum,
}

/// Why bytes are no checkpoint of this log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCheckpointError {
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] ParseNoteError),
    /// Not signed by the log's key.
    #[error(transparent)]
    Signature(#[from] VerifyNoteError),
    /// Signed, but not a checkpoint.
    #[error(transparent)]
    Text(#[from] ParseCheckpointError),
    /// Not cosigned by as many witnesses as the policy asks for.
    #[error(transparent)]
    Quorum(#[from] QuorumNotMet),
    /// A checkpoint of another log.
    #[error("the checkpoint is of the log {found:?}, not of {expected:?}")]
    Origin {
        /// The origin of the trusted log.
        expected: String,
        /// The origin in the checkpoint.
        found: String,
    },
}

/// A checkpoint that a key of its log signed. It exists only verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// A log whose origin is the name of its key, as the specification recommends.
impl From<VerifierKey> for TrustedLog {
    fn from(key: VerifierKey) -> Self {
        Self::new(key.name().as_str().to_owned(), vec![key])
    }
}

impl TrustedLog {
    /// A log that any of `keys` signs for, under another origin than their name.
    #[must_use]
    pub const fn new(origin: String, keys: Vec<VerifierKey>) -> Self {
        Self { origin, keys, quorum: Quorum::none() }
    }

    /// The same log, whose checkpoints count only where these witnesses cosigned them.
    #[must_use]
    pub fn with_quorum(self, quorum: Quorum) -> Self {
        Self { quorum, ..self }
    }

    /// The same log, whose checkpoints count with its own signature alone. For who looks at what a log signed, or
    /// remembers it; not for who relies on it.
    #[must_use]
    pub fn without_quorum(&self) -> Self {
        Self::new(self.origin.clone(), self.keys.clone())
    }

    /// The origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Which witnesses must have cosigned.
    #[must_use]
    pub const fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// Reads and verifies a checkpoint.
    ///
    /// # Errors
    /// The first thing that does not hold: note, signature, text, origin, quorum.
    pub fn open(&self, note: &[u8]) -> Result<SignedCheckpoint, OpenCheckpointError> {
        self.open_note(Note::parse(note)?)
    }

    /// Verifies a checkpoint that was read as a note already.
    ///
    /// # Errors
    /// The first thing that does not hold: signature, text, origin, quorum.
    pub fn open_note(&self, note: Note) -> Result<SignedCheckpoint, OpenCheckpointError> {
        let (text, _) = note.verify(&self.keys)?;
        let checkpoint: Checkpoint = text.parse()?;
        if checkpoint.origin != self.origin {
            let (expected, found) = (self.origin.clone(), checkpoint.origin);
            return Err(OpenCheckpointError::Origin { expected, found });
        }
        self.quorum.check(&note)?;
        Ok(SignedCheckpoint { checkpoint, note })
    }
}

impl SignedCheckpoint {
    /// What the log states.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Tree size and root hash.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.checkpoint.head
    }

    /// The note with all its signatures, those by unknown keys included.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::SigningKey;

    const TEXT: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn a_checkpoint_reads_what_it_prints() {
        let extended = format!("{TEXT}more\nand more\n");
        for text in [TEXT, &extended] {
            assert_eq!(text.parse::<Checkpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_line_has_its_error() {
        use ParseCheckpointError as E;
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for (text, error) in [
            ("", E::Unterminated),
            (TEXT.trim_end(), E::Unterminated),
            ("\n1\n", E::Origin),
            ("o\n", E::TreeSize),
            (&format!("o\n01\n{root}\n"), E::TreeSize),
            (&format!("o\n+1\n{root}\n"), E::TreeSize),
            (&format!("o\n9223372036854775808\n{root}\n"), E::TreeSize),
            ("o\n1\n", E::RootHash),
            (&format!("o\n1\n{}\n", root.trim_end_matches('=')), E::RootHash),
            ("o\n1\nAA==\n", E::RootHash),
            (&format!("o\n0\n{root}\n"), E::EmptyRoot),
            (&format!("o\n1\n{root}\n\n"), E::ExtensionLine(4)),
            (&format!("o\n1\n{root}\nx\n\ny\n"), E::ExtensionLine(5)),
        ] {
            assert_eq!(text.parse::<Checkpoint>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn only_this_logs_checkpoints_open() {
        let key = SigningKey::from_seed("example.com/log".parse().unwrap(), [7; 32]);
        let log = TrustedLog::from(key.verifier_key());
        let text = Checkpoint::new("example.com/log", TreeHead::empty()).unwrap().to_string();
        let note = key.sign(text.clone()).unwrap().to_string();
        assert_eq!(log.open(note.as_bytes()).unwrap().head(), TreeHead::empty());

        let other = SigningKey::from_seed("example.com/log".parse().unwrap(), [8; 32]);
        let note = other.sign(text).unwrap().to_string();
        assert!(matches!(log.open(note.as_bytes()), Err(OpenCheckpointError::Signature(_))));

        let text = Checkpoint::new("example.com/other", TreeHead::empty()).unwrap().to_string();
        let note = key.sign(text).unwrap().to_string();
        assert!(matches!(log.open(note.as_bytes()), Err(OpenCheckpointError::Origin { .. })));

        let note = key.sign("no checkpoint\n".to_owned()).unwrap().to_string();
        assert!(matches!(log.open(note.as_bytes()), Err(OpenCheckpointError::Text(_))));
    }
}
