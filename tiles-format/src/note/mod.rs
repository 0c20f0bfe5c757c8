//! Signed notes: a text and the signatures under it, as [signed-note] defines them.
//!
//! [signed-note]: https://c2sp.org/signed-note

mod cosignature;
#[cfg(feature = "ecdsa")]
mod ecdsa;
mod key;
mod ml_dsa;
mod signing;

use core::fmt;
use core::str::FromStr;

pub use cosignature::Cosigner;
pub use key::{KeyId, KeyName, KeyNameError, ParseVerifierKeyError, SignatureType, VerifierKey};
#[cfg(feature = "pkcs8")]
pub use signing::Pkcs8Error;
pub use signing::{ParseSigningKeyError, SigningKey};

use crate::text;

/// The start of every signature line: em dash, space.
const SIGNATURE_START: &str = "— ";

/// A note as it was read: a text and signatures that nobody has verified yet.
///
/// The text means nothing until [`Note::verify`] says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line of a note.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSignature {
    name: KeyName,
    key_id: KeyId,
    signature: Vec<u8>,
}

/// Why bytes are no signed note: the first rule of the [format] that they break.
///
/// [format]: https://c2sp.org/signed-note#format
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseNoteError {
    /// Longer than [`Note::MAX_SIZE`].
    #[error("the note is longer than {} bytes", Note::MAX_SIZE)]
    TooLong,
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    Utf8,
    /// An ASCII control character other than newline.
    #[error("the note has a control character other than newline")]
    ControlCharacter,
    /// No blank line, or nothing after the last one.
    #[error("the note has no signatures behind a blank line")]
    Unsigned,
    /// The last line does not end in a newline.
    #[error("the last line of the note does not end in a newline")]
    Unterminated,
    /// More than [`Note::MAX_SIGNATURES`].
    #[error("the note has more than {} signatures", Note::MAX_SIGNATURES)]
    TooManySignatures,
    /// A signature line, counted from 1, is not `— <name> <base64 of key ID and signature>`.
    #[error("signature line {0} of the note is malformed")]
    SignatureLine(usize),
}

/// Why a note is not signed by any of the keys.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyNoteError {
    /// No signature is by a known key.
    #[error("the note has no signature by a known key")]
    UnknownKeys,
    /// A signature by a known key is wrong. The whole note is to be rejected.
    #[error("the note's signature by {name} ({key_id}) is wrong")]
    BadSignature {
        /// The name of the key.
        name: KeyName,
        /// Its ID.
        key_id: KeyId,
    },
}

impl Note {
    /// The longest note that is read, in bytes; the limit of Go's implementation.
    pub const MAX_SIZE: usize = 1_000_000;
    /// The most signatures that are read; the limit of Go's implementation.
    pub const MAX_SIGNATURES: usize = 100;

    /// A note of a text and what was signed over it.
    ///
    /// # Errors
    /// Where the text does not end in a newline, or has another control character, or there is no
    /// signature: what could not be read again.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, ParseNoteError> {
        let note = Self { text, signatures };
        // A text whose end looks like a signature is read as another note.
        let read: Self = note.to_string().parse()?;
        if read == note { Ok(note) } else { Err(ParseNoteError::Unterminated) }
    }

    /// Reads a note.
    ///
    /// # Errors
    /// The first rule of the format that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseNoteError> {
        use ParseNoteError as E;
        if bytes.len() > Self::MAX_SIZE {
            return Err(E::TooLong);
        }
        let note = str::from_utf8(bytes).map_err(|_| E::Utf8)?;
        if note.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(E::ControlCharacter);
        }
        // The text ends with the first newline of the last empty line.
        let blank = note.rfind("\n\n").ok_or(E::Unsigned)?;
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        let signatures = parse_signatures(lines)?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, its final newline included. It means nothing before [`verify`](Self::verify).
    #[must_use]
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// The first line of the text: of a checkpoint, the origin of the log that it says it is of.
    #[must_use]
    pub fn unverified_origin(&self) -> &str {
        self.text.split('\n').next().unwrap_or_default()
    }

    /// The signatures, in order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The same note with one more signature.
    ///
    /// # Errors
    /// Where it has [`MAX_SIGNATURES`](Self::MAX_SIGNATURES) already, or grows beyond [`MAX_SIZE`](Self::MAX_SIZE).
    pub fn with(mut self, signature: NoteSignature) -> Result<Self, ParseNoteError> {
        self.signatures.push(signature);
        Self::new(self.text, self.signatures)
    }

    /// Verifies every signature by one of `keys`, of which there must be one at least. Signatures
    /// by other keys are ignored.
    ///
    /// Returns the text, and the signatures that hold: one for each key, however often it signed, so
    /// that a quorum can count them.
    ///
    /// # Errors
    /// Where none of the keys signed the note, or one of their signatures is wrong.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(&str, Vec<&NoteSignature>), VerifyNoteError> {
        let verified = self.signed_by(keys)?;
        if verified.is_empty() {
            return Err(VerifyNoteError::UnknownKeys);
        }
        Ok((&self.text, verified.into_iter().map(|(_, signature)| signature).collect()))
    }

    /// Which of `keys` signed the note: each once, with its signature, in the order of the signatures. There may be none:
    /// then nobody vouches for the text.
    ///
    /// # Errors
    /// Where a signature by one of the keys is wrong.
    pub fn signed_by<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<Vec<(&'k VerifierKey, &NoteSignature)>, VerifyNoteError> {
        let keys: Vec<&VerifierKey> = keys.into_iter().collect();
        let mut verified: Vec<(&VerifierKey, &NoteSignature)> = Vec::new();
        for (at, signature) in self.signatures.iter().enumerate() {
            // The same line again says nothing new, and costs nothing.
            if self.signatures[..at].contains(signature) {
                continue;
            }
            // A key ID has 32 bits: two known keys may share it, together with the name.
            let mut named = keys.iter().copied().filter(|key| signature.is_by(key)).peekable();
            if named.peek().is_none() {
                continue;
            }
            let Some(signer) = named.find(|key| key.verify(&self.text, &signature.signature)) else {
                let NoteSignature { name, key_id, .. } = signature.clone();
                return Err(VerifyNoteError::BadSignature { name, key_id });
            };
            if !verified.iter().any(|(known, _)| *known == signer) {
                verified.push((signer, signature));
            }
        }
        Ok(verified)
    }
}

/// Reads signature lines, one at least, each with its newline.
pub(crate) fn parse_signatures(lines: &str) -> Result<Vec<NoteSignature>, ParseNoteError> {
    use ParseNoteError as E;
    if lines.is_empty() {
        return Err(E::Unsigned);
    }
    let lines = lines.strip_suffix('\n').ok_or(E::Unterminated)?;
    if lines.split('\n').nth(Note::MAX_SIGNATURES).is_some() {
        return Err(E::TooManySignatures);
    }
    let parse = |(i, line)| NoteSignature::parse(line).ok_or(E::SignatureLine(i + 1));
    lines.split('\n').enumerate().map(parse).collect()
}

impl NoteSignature {
    /// The signature that `key` made, as a line under a note.
    #[must_use]
    pub fn new(key: &VerifierKey, signature: Vec<u8>) -> Self {
        Self { name: key.name().clone(), key_id: key.key_id(), signature }
    }

    /// Reads one line, without its newline.
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
        let bytes = text::parse_base64(encoded)?;
        let (key_id, signature) = bytes.split_first_chunk()?;
        let (name, key_id) = (name.parse().ok()?, KeyId::from_bytes(*key_id));
        (!signature.is_empty()).then(|| Self { name, key_id, signature: signature.to_vec() })
    }

    /// The name of the key.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The ID of the key.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The signature, without the key ID before it.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether name and ID are those of `key`. It says nothing about the signature.
    #[must_use]
    pub fn is_by(&self, key: &VerifierKey) -> bool {
        self.key_id == key.key_id() && self.name == *key.name()
    }
}

/// Writes the line, without a newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.as_bytes(), &self.signature[..]].concat();
        write!(f, "{SIGNATURE_START}{} {}", self.name, text::to_base64(&bytes))
    }
}

impl FromStr for Note {
    type Err = ParseNoteError;

    fn from_str(note: &str) -> Result<Self, ParseNoteError> {
        Self::parse(note.as_bytes())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn key() -> VerifierKey {
        VKEY.parse().unwrap()
    }

    #[test]
    fn the_example_of_the_specification_verifies() {
        let note: Note = NOTE.parse().unwrap();
        assert_eq!(note.to_string(), NOTE);
        let (text, signatures) = note.verify(&[key()]).unwrap();
        assert_eq!(text, "This is an example message.\n");
        assert_eq!(signatures.len(), 1);
    }

    #[test]
    fn each_rule_of_the_format_has_its_error() {
        use ParseNoteError as E;
        let line = NOTE.split_once("\n\n").unwrap().1;
        let many = format!("text\n\n{}", line.repeat(Note::MAX_SIGNATURES + 1));
        let cases: [(&[u8], E); 16] = [
            (&[b'x'; Note::MAX_SIZE + 1], E::TooLong),
            (b"\xff\n\n", E::Utf8),
            (b"a\tb\n\n", E::ControlCharacter),
            (b"a\r\n\n", E::ControlCharacter),
            (b"", E::Unsigned),
            (b"text\n", E::Unsigned),
            (b"text\n\n", E::Unsigned),
            (NOTE.trim_end().as_bytes(), E::Unterminated),
            (many.as_bytes(), E::TooManySignatures),
            (b"text\n\n- name AAAAAAA=\n", E::SignatureLine(1)),
            ("text\n\n—  AAAAAAA=\n".as_bytes(), E::SignatureLine(1)),
            ("text\n\n— na+me AAAAAAA=\n".as_bytes(), E::SignatureLine(1)),
            ("text\n\n— name AAAAAAA\n".as_bytes(), E::SignatureLine(1)),
            ("text\n\n— name  AAAAAAA=\n".as_bytes(), E::SignatureLine(1)),
            ("text\n\n— name AAAAAA==\n".as_bytes(), E::SignatureLine(1)), // no signature behind the ID
            ("text\n\n— name AAAAAAA= \n".as_bytes(), E::SignatureLine(1)),
        ];
        for (bytes, error) in cases {
            assert_eq!(
                Note::parse(bytes),
                Err(error),
                "{:?}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
            );
        }
    }

    #[test]
    fn only_a_known_key_counts_and_a_wrong_signature_by_it_rejects_the_note() {
        let note: Note = NOTE.parse().unwrap();
        assert_eq!(note.verify(&[]), Err(VerifyNoteError::UnknownKeys));
        let changed: Note = NOTE.replace("message", "massage").parse().unwrap();
        assert!(matches!(changed.verify(&[key()]), Err(VerifyNoteError::BadSignature { .. })));
        // A second, wrong signature by the same key is not hidden behind the good one.
        let wrong = format!("{NOTE}— example.com/foo Uw2QOgAAAAA=\n").parse::<Note>().unwrap();
        assert!(matches!(wrong.verify(&[key()]), Err(VerifyNoteError::BadSignature { .. })));
        // One by an unknown key is ignored, whatever it says.
        let more = format!("{NOTE}— example.com/bar Uw2QOgAAAAA=\n").parse::<Note>().unwrap();
        assert_eq!(more.verify(&[key()]).unwrap().1.len(), 1);
        // One that stands there twice counts once, also for who names the key twice.
        let line = NOTE.lines().last().unwrap();
        let twice = format!("{NOTE}{line}\n").parse::<Note>().unwrap();
        assert_eq!(twice.verify(&[key(), key()]).unwrap().1.len(), 1);
    }

    #[test]
    fn the_text_ends_at_the_last_blank_line() {
        let signing = SigningKey::from_seed("example.com/log".parse().unwrap(), [7; 32]);
        let note = signing.sign("a\n\nb\n".to_owned()).unwrap();
        let again: Note = note.to_string().parse().unwrap();
        assert_eq!(again.verify(&[signing.verifier_key()]).unwrap().0, "a\n\nb\n");
    }
}
