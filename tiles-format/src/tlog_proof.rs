//! Proofs that travel: a checkpoint and an inclusion proof in one file, as [tlog-proof] defines them.
//!
//! [tlog-proof]: https://c2sp.org/tlog-proof

use core::fmt;
use core::str::FromStr;

use crate::checkpoint::{OpenCheckpointError, SignedCheckpoint, TrustedLog};
use crate::hash::Hash;
use crate::note::{Note, ParseNoteError};
use crate::proof::{Proof, ProofError};
use crate::text;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof that an entry is in a log, to be verified offline against the log's key.
///
/// It proves nothing before [`verify`](Self::verify).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlogProof {
    extra: Option<Vec<u8>>,
    index: u64,
    inclusion: Proof,
    checkpoint: Note,
}

/// Why bytes are no tlog proof: the first part at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTlogProofError {
    /// Longer than [`TlogProof::MAX_SIZE`].
    #[error("the proof is longer than {} bytes", TlogProof::MAX_SIZE)]
    TooLong,
    /// Not UTF-8.
    #[error("the proof is not UTF-8")]
    Utf8,
    /// The first line is another.
    #[error("line 1 is not {HEADER:?}")]
    Header,
    /// The `extra` line is not canonical base64.
    #[error("the extra line is not canonical base64")]
    Extra,
    /// There is no `index` line, or its number is not canonical.
    #[error("there is no index line with a number in canonical decimal")]
    Index,
    /// A hash of the proof, counted from 1, is not the canonical base64 of 32 bytes.
    #[error("hash {0} of the inclusion proof is not 32 bytes in canonical base64")]
    Hash(usize),
    /// The inclusion proof has more hashes than any tree allows.
    #[error("the inclusion proof has more than {} hashes", Proof::MAX_HASHES)]
    TooManyHashes,
    /// No empty line ends the inclusion proof.
    #[error("no empty line ends the inclusion proof")]
    Unfinished,
    /// What follows is no signed note.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] ParseNoteError),
}

/// Which step of the verification failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyTlogProofError {
    /// The checkpoint is not one that the log signed.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] OpenCheckpointError),
    /// The entry is not at the index in the tree of the checkpoint.
    #[error("inclusion: {0}")]
    Inclusion(#[from] ProofError),
}

impl TlogProof {
    /// The longest proof that is read, in bytes: the longest note, and some for the rest.
    pub const MAX_SIZE: usize = Note::MAX_SIZE + 200_000;

    /// The file extension that the specification recommends.
    pub const FILE_EXTENSION: &'static str = "tlog-proof";

    /// Puts a proof together, without extra data.
    #[must_use]
    pub const fn new(index: u64, inclusion: Proof, checkpoint: Note) -> Self {
        Self { extra: None, index, inclusion, checkpoint }
    }

    /// The same proof with extra data, which nothing vouches for.
    #[must_use]
    pub fn with_extra(self, extra: Vec<u8>) -> Self {
        Self { extra: Some(extra), ..self }
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// The first part that is not as the specification says.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseTlogProofError> {
        str::from_utf8(bytes).map_err(|_| ParseTlogProofError::Utf8)?.parse()
    }

    /// The extra data. Nothing vouches for it.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// The index that the entry is said to have.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof.
    #[must_use]
    pub const fn inclusion(&self) -> &Proof {
        &self.inclusion
    }

    /// The checkpoint, not verified.
    #[must_use]
    pub const fn checkpoint(&self) -> &Note {
        &self.checkpoint
    }

    /// Verifies, [in the order of the specification], that `log` signed the checkpoint and that
    /// the leaf is at the index in its tree. Pure: no clock, no network.
    ///
    /// [in the order of the specification]: https://c2sp.org/tlog-proof#verifying-a-tlog-proof
    ///
    /// # Errors
    /// The step that failed.
    pub fn verify(&self, leaf: Hash, log: &TrustedLog) -> Result<SignedCheckpoint, VerifyTlogProofError> {
        let checkpoint = log.open_note(self.checkpoint.clone())?;
        self.inclusion.verify_inclusion(self.index, leaf, checkpoint.head())?;
        Ok(checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = ParseTlogProofError;

    fn from_str(proof: &str) -> Result<Self, ParseTlogProofError> {
        use ParseTlogProofError as E;
        if proof.len() > Self::MAX_SIZE {
            return Err(E::TooLong);
        }
        let body = proof.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n')).ok_or(E::Header)?;
        let (lines, checkpoint) = body.split_once("\n\n").ok_or(E::Unfinished)?;
        let mut lines = lines.split('\n').peekable();
        let extra = lines.next_if(|line| line.starts_with("extra ")).map(parse_extra).transpose()?;
        let index = lines.next().and_then(parse_index).ok_or(E::Index)?;
        let hashes = lines.zip(1..).map(parse_hash).collect::<Result<_, _>>()?;
        let inclusion = Proof::from_hashes(hashes).ok_or(E::TooManyHashes)?;
        Ok(Self { extra, index, inclusion, checkpoint: checkpoint.parse()? })
    }
}

fn parse_extra(line: &str) -> Result<Vec<u8>, ParseTlogProofError> {
    line.strip_prefix("extra ").and_then(text::parse_base64).ok_or(ParseTlogProofError::Extra)
}

fn parse_index(line: &str) -> Option<u64> {
    line.strip_prefix("index ").and_then(text::parse_decimal)
}

fn parse_hash((line, number): (&str, usize)) -> Result<Hash, ParseTlogProofError> {
    Hash::from_base64(line).ok_or(ParseTlogProofError::Hash(number))
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", text::to_base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.inclusion.hashes().iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::edge::RightEdge;
    use crate::note::SigningKey;
    use crate::tree::Subtree;
    use crate::verified::VerifiedTiles;

    fn key() -> SigningKey {
        SigningKey::from_seed("example.com/log".parse().unwrap(), [7; 32])
    }

    fn proof() -> TlogProof {
        let mut edge = RightEdge::empty();
        edge.append((0..7_u8).map(|i| Hash::leaf(&[i])));
        let tiles = VerifiedTiles::new(&edge);
        let inclusion = Proof::make(Subtree::new(3, 4).unwrap(), 7, |node| tiles.node(node)).unwrap();
        let text = Checkpoint::new("example.com/log", edge.head()).unwrap().to_string();
        TlogProof::new(3, inclusion, key().sign(text).unwrap())
    }

    #[test]
    fn a_proof_reads_what_it_prints_and_verifies() {
        let log = TrustedLog::from(key().verifier_key());
        for proof in [proof(), proof().with_extra(b"more".to_vec()), proof().with_extra(Vec::new())] {
            let again = TlogProof::parse(proof.to_string().as_bytes()).unwrap();
            assert_eq!(again, proof);
            assert_eq!(again.verify(Hash::leaf(&[3]), &log).unwrap().head().size(), 7);
            assert!(matches!(again.verify(Hash::leaf(&[4]), &log), Err(VerifyTlogProofError::Inclusion(_))));
        }
    }

    #[test]
    fn each_part_has_its_error() {
        use ParseTlogProofError as E;
        let good = proof().to_string();
        let hash = good.lines().nth(2).unwrap();
        let many = format!("index 3\n{}", format!("{hash}\n").repeat(65));
        for (text, error) in [
            ("", E::Header),
            (&good.replace("@v1", "@v2"), E::Header),
            (&good.replace("@v1\n", "@v1\r\n"), E::Header),
            (&good.replace("index 3", "extra AA\nindex 3"), E::Extra),
            (&good.replace("index 3", "index 3\nextra AA=="), E::Hash(1)),
            (&good.replace("index 3", "index 03"), E::Index),
            (&good.replace("index 3\n", ""), E::Index),
            (&good.replace(hash, &hash[1..]), E::Hash(1)),
            (&good.replace("\n\n", "\n"), E::Unfinished),
            (&good.replace("index 3\n", &many), E::TooManyHashes),
            (good.trim_end(), E::Checkpoint(ParseNoteError::Unterminated)),
        ] {
            assert_eq!(text.parse::<TlogProof>(), Err(error), "{text}");
        }
        assert_eq!(TlogProof::parse(&[0xff]), Err(E::Utf8));
        assert_eq!(TlogProof::parse(&vec![b'x'; TlogProof::MAX_SIZE + 1]), Err(E::TooLong));
    }

    #[test]
    fn no_changed_character_of_a_proof_verifies_by_accident() {
        let log = TrustedLog::from(key().verifier_key());
        let good = proof().to_string();
        for i in 0..good.len() {
            let mut changed = good.clone().into_bytes();
            changed[i] ^= 1;
            let verified = TlogProof::parse(&changed).is_ok_and(|p| p.verify(Hash::leaf(&[3]), &log).is_ok());
            assert!(!verified, "byte {i}: {}", String::from_utf8_lossy(&changed));
        }
    }
}
