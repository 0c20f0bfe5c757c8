//! The end of a log: a note by which a log says that it takes no more entries, how large it is for ever, and which log
//! goes on in its place. The text is Kiln's own, no specification has one:
//!
//! ```text
//! kiln-end-of-log/v1
//! <origin of the log that ends>
//! <tree size, decimal>
//! <root hash, base64>
//! <vkey of the log that goes on>      these two lines, or neither
//! <its URL>
//! ```
//!
//! The log's key signs nothing else but checkpoints, and no text is both: line 3 of a checkpoint is a hash, line 3 of
//! this one a number.

use core::fmt;
use core::str::FromStr;

use crate::checkpoint::TrustedLog;
use crate::hash::Hash;
use crate::note::{Note, ParseNoteError, VerifierKey, VerifyNoteError};
use crate::text;
use crate::tree::TreeHead;

const HEADER: &str = "kiln-end-of-log/v1";

/// The longest URL of a successor, in bytes.
const MAX_URL: usize = 2048;

/// What a log states when it ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndOfLog {
    origin: String,
    head: TreeHead,
    successor: Option<Successor>,
}

/// The log that goes on where another one ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Successor {
    vkey: VerifierKey,
    url: String,
}

/// The text is no URL by which a successor is named.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the URL of a successor begins with https:// or http://, and has at most {MAX_URL} visible ASCII characters"
)]
pub struct SuccessorUrlError;

/// Why a text does not state the end of a log: the first line at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseEndError {
    /// The text does not end in a newline.
    #[error("the text does not end in a newline")]
    Unterminated,
    /// The first line is another.
    #[error("line 1 is not {HEADER:?}")]
    Header,
    /// The second line is missing or empty.
    #[error("line 2, the origin, is empty")]
    Origin,
    /// The third line is missing, not canonical, or above 2^63 - 1.
    #[error("line 3 is not a tree size in canonical decimal")]
    TreeSize,
    /// The fourth line is missing or not the canonical base64 of 32 bytes, or not that of an empty tree of size 0.
    #[error("line 4 is not the root hash of a tree of this size, in base64")]
    RootHash,
    /// The fifth line is there, and no vkey.
    #[error("line 5, the successor, is not a vkey")]
    Successor,
    /// The sixth line is missing, or no URL.
    #[error("line 6, where the successor is, is not a URL")]
    Url,
    /// More lines follow.
    #[error("something follows line 6")]
    Length,
}

/// Why bytes are no end of this log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenEndError {
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] ParseNoteError),
    /// Not signed by the log's key.
    #[error(transparent)]
    Signature(#[from] VerifyNoteError),
    /// Signed, but it does not state the end of a log.
    #[error(transparent)]
    Text(#[from] ParseEndError),
    /// The end of another log.
    #[error("it is the end of the log {found:?}, not of {expected:?}")]
    Origin {
        /// The origin of the trusted log.
        expected: String,
        /// The origin in the note.
        found: String,
    },
}

/// The end of a log, which a key of this log signed. It exists only verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedEnd {
    end: EndOfLog,
    note: Note,
}

impl Successor {
    /// The log of this key, which is read and fed at `url`.
    ///
    /// # Errors
    /// Where `url` is none.
    pub fn new(vkey: VerifierKey, url: &str) -> Result<Self, SuccessorUrlError> {
        let is_url = (url.starts_with("https://") || url.starts_with("http://"))
            && url.len() <= MAX_URL
            && url.bytes().all(|b| b.is_ascii_graphic());
        if is_url { Ok(Self { vkey, url: url.to_owned() }) } else { Err(SuccessorUrlError) }
    }

    /// Its verifier key.
    #[must_use]
    pub const fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl EndOfLog {
    /// The end of a log at this tree; `None` where the origin is empty or has a newline or another control character.
    #[must_use]
    pub fn new(origin: &str, head: TreeHead, successor: Option<Successor>) -> Option<Self> {
        let origin_is_line = !origin.is_empty() && !origin.contains(|c: char| c < ' ');
        origin_is_line.then(|| Self { origin: origin.to_owned(), head, successor })
    }

    /// The origin of the log that ends.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its last tree.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }

    /// The log that goes on in its place, if it names one.
    #[must_use]
    pub const fn successor(&self) -> Option<&Successor> {
        self.successor.as_ref()
    }
}

impl FromStr for EndOfLog {
    type Err = ParseEndError;

    fn from_str(text: &str) -> Result<Self, ParseEndError> {
        use ParseEndError as E;
        let mut lines = text.strip_suffix('\n').ok_or(E::Unterminated)?.split('\n');
        lines.next().filter(|line| *line == HEADER).ok_or(E::Header)?;
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(E::Origin)?.to_owned();
        let size = lines.next().and_then(text::parse_decimal).ok_or(E::TreeSize)?;
        let root = lines.next().and_then(Hash::from_base64).ok_or(E::RootHash)?;
        let head = TreeHead::new(size, root).ok_or(E::RootHash)?;
        let vkey = lines.next().map(str::parse).transpose().map_err(|_| E::Successor)?;
        let successor = match vkey {
            Some(vkey) => {
                let url = lines.next().ok_or(E::Url)?;
                Some(Successor::new(vkey, url).map_err(|SuccessorUrlError| E::Url)?)
            }
            None => None,
        };
        if lines.next().is_some() { Err(E::Length) } else { Ok(Self { origin, head, successor }) }
    }
}

/// Writes the text, as it is signed.
impl fmt::Display for EndOfLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HEADER}\n{}\n{}\n{}\n", self.origin, self.head.size(), self.head.root())?;
        match &self.successor {
            Some(Successor { vkey, url }) => write!(f, "{vkey}\n{url}\n"),
            None => Ok(()),
        }
    }
}

impl TrustedLog {
    /// Reads and verifies what this log states of its end. Witnesses have no part in it.
    ///
    /// # Errors
    /// The first thing that does not hold: note, signature, text, origin.
    pub fn open_end(&self, note: &[u8]) -> Result<SignedEnd, OpenEndError> {
        let note = Note::parse(note)?;
        let (text, _) = note.verify(self.keys())?;
        let end: EndOfLog = text.parse()?;
        if end.origin != self.origin() {
            let (expected, found) = (self.origin().to_owned(), end.origin);
            return Err(OpenEndError::Origin { expected, found });
        }
        Ok(SignedEnd { end, note })
    }
}

impl SignedEnd {
    /// The log's last tree.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.end.head
    }

    /// The log that goes on in its place, if it names one.
    #[must_use]
    pub const fn successor(&self) -> Option<&Successor> {
        self.end.successor()
    }

    /// The note, with all its signatures.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Checkpoint, OpenCheckpointError};
    use crate::note::SigningKey;

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(name.parse().unwrap(), [seed; 32])
    }

    fn head() -> TreeHead {
        TreeHead::new(7, Hash::from_base64(ROOT).unwrap()).unwrap()
    }

    fn successor() -> Successor {
        Successor::new(key("example.com/next", 8).verifier_key(), "https://next.example/log").unwrap()
    }

    fn end(successor: Option<Successor>) -> EndOfLog {
        EndOfLog::new("example.com/log", head(), successor).unwrap()
    }

    #[test]
    fn an_end_reads_what_it_prints() {
        for end in [end(None), end(Some(successor()))] {
            assert_eq!(end.to_string().parse(), Ok(end));
        }
        let text = format!("kiln-end-of-log/v1\nexample.com/log\n7\n{ROOT}\n");
        assert_eq!(end(None).to_string(), text);
    }

    #[test]
    fn each_line_has_its_error() {
        use ParseEndError as E;
        let (begin, vkey) = (end(None).to_string(), key("n", 1).verifier_key());
        for (text, error) in [
            ("", E::Unterminated),
            (begin.trim_end(), E::Unterminated),
            (&begin.replace("/v1", "/v2"), E::Header),
            ("kiln-end-of-log/v1\n", E::Origin),
            (&begin.replace("example.com/log", ""), E::Origin),
            (&begin.replace("\n7\n", "\n07\n"), E::TreeSize),
            (&begin.replace("\n7\n", "\n0\n"), E::RootHash),
            (&begin.replace(ROOT, &ROOT[1..]), E::RootHash),
            (&format!("{begin}\n"), E::Successor),
            (&format!("{begin}vkey\nhttps://a\n"), E::Successor),
            (&format!("{begin}{vkey}\n"), E::Url),
            (&format!("{begin}{vkey}\nftp://a\n"), E::Url),
            (&format!("{begin}{vkey}\nhttps://a b\n"), E::Url),
            (&format!("{begin}{vkey}\nhttps://{}\n", "a".repeat(MAX_URL)), E::Url),
            (&format!("{begin}{vkey}\nhttps://a\n\n"), E::Length),
        ] {
            assert_eq!(text.parse::<EndOfLog>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn only_this_logs_end_opens() {
        let log = TrustedLog::from(key("example.com/log", 7).verifier_key());
        let sign = |seed, text: String| key("example.com/log", seed).sign(text).unwrap().to_string();
        let note = sign(7, end(Some(successor())).to_string());
        let opened = log.open_end(note.as_bytes()).unwrap();
        assert_eq!((opened.head(), opened.successor()), (head(), Some(&successor())));
        assert_eq!(opened.note().to_string(), note);

        let forged = note.replace("https://next.example", "https://evil.example");
        assert!(matches!(log.open_end(forged.as_bytes()), Err(OpenEndError::Signature(_))));
        let forged = sign(9, end(None).to_string());
        assert!(matches!(log.open_end(forged.as_bytes()), Err(OpenEndError::Signature(_))));
        let other = sign(7, EndOfLog::new("example.com/other", head(), None).unwrap().to_string());
        assert!(matches!(log.open_end(other.as_bytes()), Err(OpenEndError::Origin { .. })));
    }

    /// The log's key signs both: who wants a checkpoint must not be given an end, whatever the origin is, nor the
    /// other way round.
    #[test]
    fn no_text_is_an_end_and_a_checkpoint() {
        for origin in ["example.com/log", "7", HEADER, ROOT] {
            for successor in [None, Some(successor())] {
                let end = EndOfLog::new(origin, head(), successor).unwrap().to_string();
                assert!(end.parse::<Checkpoint>().is_err(), "{end}");
            }
            let checkpoint = Checkpoint::new(origin, head()).unwrap().to_string();
            for text in [checkpoint.clone(), checkpoint.clone() + "7\n", format!("{checkpoint}7\n{ROOT}\n")] {
                assert!(text.parse::<EndOfLog>().is_err(), "{text}");
            }
        }
        let (key, log) = (key(HEADER, 7), TrustedLog::from(key(HEADER, 7).verifier_key()));
        let end = key.sign(EndOfLog::new(HEADER, head(), None).unwrap().to_string()).unwrap().to_string();
        assert!(matches!(log.open(end.as_bytes()), Err(OpenCheckpointError::Text(_))));
        let checkpoint = key.sign(Checkpoint::new(HEADER, head()).unwrap().to_string()).unwrap().to_string();
        assert!(matches!(log.open_end(checkpoint.as_bytes()), Err(OpenEndError::Text(_))));
    }
}
