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
    /// | witnesses that the operator asks for have not cosigned it | 403 |
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
        let signed = signed_by_the_log(&note, &log)?;
        // By the note as it came: what others signed is kept nowhere.
        log.quorum.check(&note)?;
        let note = signed;
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
            // A proof where none is needed says nothing of the log.
            Err(Refusal::Proof(_)) if self.size() > latest.size() && latest.size() > 0 => {
                Some(Case::BadProof)
            }
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

#[cfg(test)]
mod tests {
    use kiln_tiles::{Hash, ParseNoteError, ParseWitnessError, ProofError, SigningKey};

    use super::*;
    use crate::testing::{TestLog, logs};

    /// What becomes of a request, at a witness that knows `log` at size 10.
    fn outcome(request: &str, known: &TestLog) -> Result<u64, Refusal> {
        let submission = Submission::open(request.as_bytes(), &logs(&[known]))?;
        let latest = known.head(10);
        submission.check(latest).map(|checkpoint| checkpoint.head().size())
    }

    fn log() -> TestLog {
        TestLog::new("example.com/log")
    }

    #[test]
    fn what_is_right_is_granted() {
        let log = log();
        assert_eq!(outcome(&log.request(10, 10).to_string(), &log), Ok(10));
        assert_eq!(outcome(&log.request(10, 23).to_string(), &log), Ok(23));
        let submission = Submission::open(log.request(0, 5).to_string().as_bytes(), &logs(&[&log])).unwrap();
        assert!(submission.check(TreeHead::empty()).is_ok());
        let submission = Submission::open(log.request(0, 0).to_string().as_bytes(), &logs(&[&log])).unwrap();
        assert!(submission.check(TreeHead::empty()).is_ok());
    }

    /// Extension lines are the log's: signed by it, and cosigned with the rest.
    #[test]
    fn extension_lines_are_taken_as_they_are_also_under_the_same_tree() {
        let log = log();
        let note = log.key.sign(format!("{}more\n", log.checkpoint(10))).unwrap();
        let request = AddCheckpoint { checkpoint: note.clone(), ..log.request(10, 10) };
        let submission = Submission::open(request.to_string().as_bytes(), &logs(&[&log])).unwrap();
        assert_eq!(submission.check(log.head(10)).unwrap().to_string(), note.unverified_text());
    }

    #[test]
    fn signatures_by_others_are_left_out_and_several_keys_may_sign() {
        let log = log();
        let (second, stranger) = ([8; 32], [9; 32]);
        let key = |seed| SigningKey::from_seed(log.origin().parse().unwrap(), seed);
        let text = log.checkpoint(23).to_string();
        let mut note = log.note(23);
        for seed in [second, stranger] {
            note = note.with(key(seed).sign(text.clone()).unwrap().signatures()[0].clone()).unwrap();
        }
        let known = Log { keys: vec![log.key.verifier_key(), key(second).verifier_key()], ..log.log() };
        let request = AddCheckpoint { checkpoint: note, ..log.request(10, 23) };
        let opened = Submission::open(request.to_string().as_bytes(), &[known].into_iter().collect());
        assert_eq!(opened.unwrap().note().signatures().len(), 2);
    }

    /// Each row of the tables of [`Submission::open`] and [`Submission::check`], and what beats what.
    #[test]
    fn each_rule_has_its_refusal_and_the_first_counts() {
        use Refusal as R;
        let log = log();
        let fork = log.forked_at(3);
        let good = log.request(10, 23).to_string();
        let stranger = SigningKey::from_seed(log.origin().parse().unwrap(), [9; 32]);
        let by_stranger = AddCheckpoint {
            checkpoint: stranger.sign(log.checkpoint(23).to_string()).unwrap(),
            ..log.request(10, 23)
        };
        let signed = |text: String| log.key.sign(text).unwrap();
        let empty = |root: Hash| signed(format!("{}\n0\n{root}\n", log.origin()));
        let x = Hash::leaf(b"x");
        let with =
            |request: AddCheckpoint, checkpoint: Note| AddCheckpoint { checkpoint, ..request }.to_string();
        let too_large = signed(format!("{}\n9223372036854775808\n{x}\n", log.origin()));
        let cases: Vec<(&str, String, R)> = vec![
            ("no request", String::new(), R::Request(ParseWitnessError::Unfinished)),
            ("two spaces", good.replacen("old ", "old  ", 1), R::Request(ParseWitnessError::Old)),
            (
                "no newline",
                good.trim_end().to_owned(),
                R::Request(ParseWitnessError::Checkpoint(ParseNoteError::Unterminated)),
            ),
            (
                "size 2^63",
                with(log.request(10, 23), too_large),
                R::Checkpoint(ParseCheckpointError::TreeSize),
            ),
            (
                "an empty extension line",
                with(log.request(10, 23), signed(format!("{}\n", log.checkpoint(23)))),
                R::Checkpoint(ParseCheckpointError::ExtensionLine(4)),
            ),
            ("another log", TestLog::new("example.com/other").request(10, 23).to_string(), R::UnknownOrigin),
            ("another key", by_stranger.to_string(), R::NotSigned(VerifyNoteError::UnknownKeys)),
            (
                "a changed size",
                good.replacen("\n23\n", "\n24\n", 1),
                R::NotSigned(VerifyNoteError::BadSignature {
                    name: log.key.name().clone(),
                    key_id: log.key.verifier_key().key_id(),
                }),
            ),
            ("old above the size", with(log.request(10, 10), log.note(9)), R::OldAboveSize),
            ("old above a size that is unknown", good.replacen("old 10", "old 24", 1), R::OldAboveSize),
            ("another old size", log.request(5, 23).to_string(), R::Conflict(10)),
            ("the first time again", log.request(0, 23).to_string(), R::Conflict(10)),
            ("a smaller tree", log.request(9, 9).to_string(), R::Conflict(10)),
            ("a fork, and another old size", fork.request(0, 10).to_string(), R::Conflict(10)),
            (
                "an empty tree that is not, and another old size",
                with(log.request(0, 0), empty(x)),
                R::Conflict(10),
            ),
            ("another root", fork.request(10, 10).to_string(), R::Fork),
            ("another past", fork.request(10, 23).to_string(), R::Proof(ProofError::Subtree)),
            (
                "no proof",
                AddCheckpoint { proof: Proof::default(), ..log.request(10, 23) }.to_string(),
                R::Proof(ProofError::Length),
            ),
            (
                "a proof with the same size",
                AddCheckpoint { proof: Proof::from_hashes(vec![x]).unwrap(), ..log.request(10, 10) }
                    .to_string(),
                R::Proof(ProofError::Length),
            ),
        ];
        for (what, request, refusal) in cases {
            assert_eq!(outcome(&request, &log), Err(refusal), "{what}");
        }
        let first = |request: String| {
            Submission::open(request.as_bytes(), &logs(&[&log]))?.check(TreeHead::empty()).map(drop)
        };
        let proved = AddCheckpoint { proof: Proof::from_hashes(vec![x]).unwrap(), ..log.request(0, 23) };
        assert_eq!(
            first(proved.to_string()),
            Err(R::Proof(ProofError::Length)),
            "a proof from the empty tree"
        );
        assert_eq!(
            first(log.request(1, 23).to_string()),
            Err(R::Conflict(0)),
            "a first one with an old size"
        );
        assert_eq!(first(with(log.request(0, 0), empty(x))), Err(R::EmptyRoot));
    }

    #[test]
    fn what_speaks_against_a_log_is_known_whatever_stands_before_it() {
        let log = log();
        let fork = log.forked_at(3);
        let shown = |request: AddCheckpoint| {
            Submission::open(request.to_string().as_bytes(), &logs(&[&log])).unwrap().shows(log.head(10))
        };
        for old in [0, 7, 10] {
            assert_eq!(shown(AddCheckpoint { old, ..fork.request(10, 10) }), Some(Case::Fork), "old {old}");
        }
        let empty = log.key.sign(format!("{}\n0\n{}\n", log.origin(), Hash::leaf(b"x"))).unwrap();
        assert_eq!(shown(AddCheckpoint { checkpoint: empty, ..log.request(0, 0) }), Some(Case::Fork));
        assert_eq!(shown(fork.request(10, 23)), Some(Case::BadProof));
        assert_eq!(shown(log.request(5, 23)), None, "an old size that is wrong speaks against nobody");
        assert_eq!(shown(log.request(10, 23)), None);
        let needless = Proof::from_hashes(vec![Hash::leaf(b"x")]).unwrap();
        assert_eq!(shown(AddCheckpoint { proof: needless, ..log.request(10, 10) }), None);
    }
}
