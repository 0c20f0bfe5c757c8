//! What is said between a log and a witness, as [tlog-witness] defines it.
//!
//! [tlog-witness]: https://c2sp.org/tlog-witness

use core::fmt;
use core::str::FromStr;

use crate::hash::{Hash, sha256};
use crate::note::{Note, NoteSignature, ParseNoteError, parse_signatures};
use crate::proof::Proof;
use crate::text;
use crate::tree::Subtree;

/// The most lines of a consistency proof that a request may have.
const MAX_PROOF_LINES: usize = 63;

/// A request to `add-checkpoint`: a checkpoint, and a proof that it extends the tree of size `old`.
///
/// It was only read: nobody has verified the checkpoint or the proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    /// The size of the tree that the witness is said to know.
    pub old: u64,
    /// The consistency proof from that tree.
    pub proof: Proof,
    /// The checkpoint.
    pub checkpoint: Note,
}

/// A request to `sign-subtree`: a subtree, and a proof that it is one of the tree of a checkpoint.
///
/// It was only read: nobody has verified the checkpoint or the proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignSubtree {
    /// The subtree.
    pub subtree: Subtree,
    /// The root hash that it is said to have.
    pub hash: Hash,
    /// The subtree consistency proof.
    pub proof: Proof,
    /// The checkpoint, which the witness itself cosigned.
    pub checkpoint: Note,
}

/// Why bytes are none of what a log and a witness say to each other: the first rule that they break.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseWitnessError {
    /// Not UTF-8.
    #[error("the request is not UTF-8")]
    Utf8,
    /// No empty line ends the proof.
    #[error("no empty line ends the proof")]
    Unfinished,
    /// The first line of a request to `add-checkpoint` is another.
    #[error("line 1 is not \"old\", a space, and a tree size in canonical decimal")]
    Old,
    /// The first line of a request to `sign-subtree` is another, or what it names is no subtree.
    #[error("line 1 is not \"subtree\" and the start and end of a subtree in canonical decimal")]
    Subtree,
    /// The second line of a request to `sign-subtree` is no hash.
    #[error("line 2 is not the hash of a subtree, 32 bytes in canonical base64")]
    SubtreeHash,
    /// A hash of the proof, counted from 1, is none.
    #[error("hash {0} of the proof is not 32 bytes in canonical base64")]
    Hash(usize),
    /// The proof has more hashes than any tree allows.
    #[error("the proof has more than {MAX_PROOF_LINES} hashes")]
    TooManyHashes,
    /// What follows is no signed note.
    #[error("the checkpoint: {0}")]
    Checkpoint(ParseNoteError),
    /// Not lines of signatures.
    #[error("the answer: {0}")]
    Signatures(ParseNoteError),
    /// Not a tree size.
    #[error("the answer is not a tree size in canonical decimal and a newline")]
    Size,
}

impl AddCheckpoint {
    /// Reads a request.
    ///
    /// # Errors
    /// The first rule that it breaks. To all of them a witness says 400.
    pub fn parse(request: &[u8]) -> Result<Self, ParseWitnessError> {
        let (lines, checkpoint) = split(request)?;
        let mut lines = lines.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(text::parse_decimal).ok_or(ParseWitnessError::Old)?;
        Ok(Self { old, proof: parse_proof(lines)?, checkpoint: parse_checkpoint(checkpoint)? })
    }
}

impl FromStr for AddCheckpoint {
    type Err = ParseWitnessError;

    fn from_str(request: &str) -> Result<Self, ParseWitnessError> {
        Self::parse(request.as_bytes())
    }
}

/// Writes the body of the request.
impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.hashes().iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl SignSubtree {
    /// Reads a request.
    ///
    /// # Errors
    /// The first rule that it breaks. To all of them a witness says 400.
    pub fn parse(request: &[u8]) -> Result<Self, ParseWitnessError> {
        use ParseWitnessError as E;
        let (lines, checkpoint) = split(request)?;
        let mut lines = lines.split('\n');
        let subtree = lines.next().and_then(parse_subtree).ok_or(E::Subtree)?;
        let hash = lines.next().and_then(Hash::from_base64).ok_or(E::SubtreeHash)?;
        Ok(Self { subtree, hash, proof: parse_proof(lines)?, checkpoint: parse_checkpoint(checkpoint)? })
    }
}

impl FromStr for SignSubtree {
    type Err = ParseWitnessError;

    fn from_str(request: &str) -> Result<Self, ParseWitnessError> {
        Self::parse(request.as_bytes())
    }
}

/// Writes the body of the request.
impl fmt::Display for SignSubtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "subtree {} {}\n{}", self.subtree.start(), self.subtree.end(), self.hash)?;
        self.proof.hashes().iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// The lines before the first empty one, and what follows it. A checkpoint has no empty line before its own.
fn split(request: &[u8]) -> Result<(&str, &str), ParseWitnessError> {
    let request = str::from_utf8(request).map_err(|_| ParseWitnessError::Utf8)?;
    request.split_once("\n\n").ok_or(ParseWitnessError::Unfinished)
}

fn parse_proof<'r>(lines: impl Iterator<Item = &'r str>) -> Result<Proof, ParseWitnessError> {
    use ParseWitnessError as E;
    let hashes = lines.take(MAX_PROOF_LINES + 1).zip(1..);
    let hashes = hashes.map(|(line, number)| Hash::from_base64(line).ok_or(E::Hash(number)));
    let hashes: Vec<Hash> = hashes.collect::<Result<_, _>>()?;
    if hashes.len() > MAX_PROOF_LINES {
        return Err(E::TooManyHashes);
    }
    Proof::from_hashes(hashes).ok_or(E::TooManyHashes)
}

fn parse_checkpoint(note: &str) -> Result<Note, ParseWitnessError> {
    note.parse().map_err(ParseWitnessError::Checkpoint)
}

fn parse_subtree(line: &str) -> Option<Subtree> {
    let (start, end) = line.strip_prefix("subtree ")?.split_once(' ')?;
    Subtree::new(text::parse_decimal(start)?, text::parse_decimal(end)?)
}

/// What a witness answers where it cosigned: signature lines, one at least.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cosignatures(Vec<NoteSignature>);

impl Cosignatures {
    /// The answer with these lines; `None` where there is none.
    #[must_use]
    pub fn new(lines: Vec<NoteSignature>) -> Option<Self> {
        (!lines.is_empty()).then_some(Self(lines))
    }

    /// Reads an answer. Which lines count is for the reader to say: those by keys that it knows, and that verify.
    ///
    /// # Errors
    /// Where it is not made of signature lines, as those of a note.
    pub fn parse(answer: &[u8]) -> Result<Self, ParseWitnessError> {
        let answer = str::from_utf8(answer).map_err(|_| ParseWitnessError::Utf8)?;
        parse_signatures(answer).map(Self).map_err(ParseWitnessError::Signatures)
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[NoteSignature] {
        &self.0
    }
}

/// Writes the body of the answer.
impl fmt::Display for Cosignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// What a witness calls a log, in hex in the URLs that monitors read: SHA-256 of its origin.
#[must_use]
pub fn origin_hash(origin: &str) -> Hash {
    sha256(&[origin.as_bytes()])
}

/// The media type of [`size_answer`].
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// What a witness answers to whom is wrong about the size that it knows: that size.
#[must_use]
pub fn size_answer(size: u64) -> String {
    format!("{size}\n")
}

/// Reads the size in a witness's answer.
///
/// # Errors
/// Where it is none.
pub fn parse_size(answer: &[u8]) -> Result<u64, ParseWitnessError> {
    let size = str::from_utf8(answer).ok().and_then(|answer| text::parse_decimal(answer.strip_suffix('\n')?));
    size.ok_or(ParseWitnessError::Size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first example of the specification.
    const ADD: &str = "old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
";
    const SUBTREE: &str = "subtree 8 13
mbsQCg+dEIMGlpqeGgk94JutQwKKS2Lo5IuDhKmDjiU=
CD82D2LDm0phY0+xKbHyZfq3Hw21lVkuV7Zis5EFg0k=

example.com/behind-the-sofa
14
/CcKVZM9n65aH7jLaIZuUB4/MSlEFQ4+ldwUC21rDHM=

— witness.example/w1 LijDAFSpKvDUj+ZtaJ4lUVcnvno=
";

    #[test]
    fn requests_read_what_they_print() {
        assert_eq!(ADD.parse::<AddCheckpoint>().unwrap().to_string(), ADD);
        assert_eq!(SUBTREE.parse::<SignSubtree>().unwrap().to_string(), SUBTREE);
        let first = ADD.split_once("\n\n").unwrap().1;
        let first = format!("old 0\n\n{first}").parse::<AddCheckpoint>().unwrap();
        assert_eq!((first.old, first.proof.hashes()), (0, &[][..]));
    }

    #[test]
    fn each_rule_of_add_checkpoint_has_its_error() {
        use ParseWitnessError as E;
        let hash = ADD.lines().nth(1).unwrap();
        let replaced = |from: &str, to: &str| ADD.replacen(from, to, 1);
        let cases = [
            (String::new(), E::Unfinished),
            ("old 1\n".into(), E::Unfinished),
            ("\n\n".into(), E::Old),
            (replaced("old 2", "old  2"), E::Old),
            (replaced("old 2", "old +2"), E::Old),
            (replaced("old 2", "old 02"), E::Old),
            (replaced("old 2", "old\t2"), E::Old),
            (replaced("old 2", "Old 2"), E::Old),
            (replaced("014\n", "014 \n"), E::Old),
            (replaced("014\n", "014\r\n"), E::Old),
            (replaced("014\n", "014 x\n"), E::Old),
            (replaced("20852014", "9223372036854775808"), E::Old),
            (replaced("PlRN", "plR"), E::Hash(1)),
            (replaced("kaw=\n", "kaw=\r\n"), E::Hash(1)),
            (replaced("kaw=\n", "kaw= \n"), E::Hash(1)),
            (replaced("5+pK", " 5+pK"), E::Hash(3)),
            (replaced("5+pK", "AA==\n5+pK"), E::Hash(3)),
            (replaced(hash, &vec![hash; 60].join("\n")), E::Unfinished), // 63: see below
            (replaced(hash, &vec![hash; 61].join("\n")), E::TooManyHashes),
            (replaced("\n— ", "\n- "), E::Checkpoint(ParseNoteError::SignatureLine(1))),
            (replaced("sofa\n2", "so\u{0}fa\n2"), E::Checkpoint(ParseNoteError::ControlCharacter)),
        ];
        for (request, error) in cases {
            let read = request.parse::<AddCheckpoint>();
            if request.lines().filter(|line| *line == hash).count() == 60 {
                assert_eq!(read.unwrap().proof.hashes().len(), 63);
            } else {
                assert_eq!(read, Err(error), "{request:?}");
            }
        }
        assert_eq!(AddCheckpoint::parse(b"old 0\n\n\xff"), Err(E::Utf8));
    }

    #[test]
    fn each_rule_of_sign_subtree_has_its_error() {
        use ParseWitnessError as E;
        for (from, to, error) in [
            ("subtree 8 13", "subtree 8", E::Subtree),
            ("subtree 8 13", "subtree 08 13", E::Subtree),
            ("subtree 8 13", "subtree 8 13 14", E::Subtree),
            ("subtree 8 13", "subtree 8 8", E::Subtree),
            ("subtree 8 13", "subtree 5 13", E::Subtree),
            ("mbsQ", "mbs", E::SubtreeHash),
            ("CD82", "CD8", E::Hash(1)),
        ] {
            assert_eq!(SUBTREE.replacen(from, to, 1).parse::<SignSubtree>(), Err(error), "{to}");
        }
    }

    #[test]
    fn answers_read_what_they_print() {
        let lines = ADD.rsplit_once("\n\n").unwrap().1;
        let answer = Cosignatures::parse(lines.as_bytes()).unwrap();
        assert_eq!((answer.lines().len(), answer.to_string().as_str()), (2, lines));
        for bad in ["", "\n", "x\n", &lines[..lines.len() - 1], &format!("{lines}\n")] {
            assert!(Cosignatures::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(parse_size(size_answer(12).as_bytes()), Ok(12));
        for bad in ["", "12", "012\n", "12\n\n", "12\r\n", "-1\n", "9223372036854775808\n"] {
            assert_eq!(parse_size(bad.as_bytes()), Err(ParseWitnessError::Size), "{bad:?}");
        }
    }
}
