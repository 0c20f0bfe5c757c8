//! Policies: which logs are believed, and which witnesses must have cosigned, as [tlog-policy] defines the file.
//!
//! ```text
//! log <vkey> [<url>]
//! witness <name> <vkey> [<url>]
//! group <name> <all|any|k> <name>...
//! quorum <name|none>
//! ```
//!
//! [tlog-policy]: https://c2sp.org/tlog-policy

use core::fmt;
use core::str::FromStr;

use crate::checkpoint::TrustedLog;
use crate::note::{Note, ParseVerifierKeyError, SignatureType, VerifierKey};
use crate::quorum::{Group, Member, Quorum, Witness};
use crate::text;

/// The name that stands for no witness at all.
const NONE: &[u8] = b"none";

/// A policy: logs, witnesses, and the rule which of them are enough.
///
/// ```
/// use kiln_tiles::Policy;
///
/// let policy = Policy::parse(b"\
/// log     example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
/// quorum  none
/// ")?;
/// assert_eq!(policy.trusted_log("example.com/foo").unwrap().keys().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    quorum: Quorum,
}

/// A log of a policy. The name of its key is its origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyLog {
    /// The key.
    pub key: VerifierKey,
    /// Where it is, in bytes that are a URL in all likelihood.
    pub url: Option<PolicyName>,
}

/// A name or URL in a policy file: bytes without white space and control characters, mostly UTF-8, which
/// are compared as they are.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PolicyName(Vec<u8>);

impl PolicyName {
    pub(crate) fn none() -> Self {
        Self(NONE.to_vec())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, where it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }
}

/// What is not UTF-8 shows as replacement characters, and so do control characters, which a terminal would obey.
impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        f.write_str(&String::from_utf8_lossy(&self.0).chars().map(shown).collect::<String>())
    }
}

/// Why bytes are no policy, and in which line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line} of the policy: {problem}")]
pub struct ParsePolicyError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: PolicyProblem,
}

/// What is wrong with a line of a policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyProblem {
    /// The file is longer than [`Policy::MAX_SIZE`].
    #[error("the file is longer than {} bytes", Policy::MAX_SIZE)]
    TooLong,
    /// The last line has no newline: the file may have been cut off.
    #[error("it does not end in a newline: was the file cut off?")]
    Unterminated,
    /// A byte that a policy file cannot have.
    #[error("it has the control character {0:#04x}")]
    ControlCharacter(u8),
    /// The first word is none of the four.
    #[error("{0:?} is none of log, witness, group and quorum")]
    Keyword(String),
    /// A line has too few words, or too many.
    #[error("it should be: {0}")]
    Form(&'static str),
    /// A key cannot be read.
    #[error(transparent)]
    Key(#[from] ParseVerifierKeyError),
    /// A witness with a key that signs no cosignatures.
    #[error("a key of {0}, which is no cosignature, is not a witness's")]
    NoCosigner(SignatureType),
    /// The same key twice, among logs or among witnesses.
    #[error("the public key is that of line {0} too")]
    DuplicateKey(usize),
    /// A name that is defined already, or is `none`.
    #[error("the name {0} is taken")]
    Taken(PolicyName),
    /// A name that no line before this one defines.
    #[error("no line before it defines {0}")]
    Unknown(PolicyName),
    /// A name that is a member of a group already.
    #[error("{0} is a member already; it can be one only once")]
    SecondMembership(PolicyName),
    /// The threshold is not a number from 1 to that of the members.
    #[error("the threshold is not all, any, or a number from 1 to {0}, that of the members")]
    Threshold(usize),
    /// A second quorum line.
    #[error("there is a quorum already")]
    SecondQuorum,
    /// The file ends without a quorum line.
    #[error("the file ends without a quorum")]
    NoQuorum,
    /// More logs, witnesses or groups than are taken.
    #[error("more than {} of a kind", Policy::MAX_OF_A_KIND)]
    TooMany,
}

impl Policy {
    /// The longest policy that is read, in bytes.
    pub const MAX_SIZE: usize = 4 << 20;
    /// The most logs, witnesses or groups that are taken. The specification wants 32 at least.
    pub const MAX_OF_A_KIND: usize = 1_000;

    /// Reads a policy file.
    ///
    /// # Errors
    /// The first line at fault.
    pub fn parse(file: &[u8]) -> Result<Self, ParsePolicyError> {
        use PolicyProblem as P;
        let at = |line: usize, problem: P| ParsePolicyError { line: line + 1, problem };
        if file.len() > Self::MAX_SIZE {
            return Err(at(0, P::TooLong));
        }
        let mut reader = Reader::default();
        let lines = file.split_inclusive(|&b| b == b'\n');
        let ended = lines.clone().count();
        for (number, line) in lines.enumerate() {
            let line =
                line.strip_suffix(b"\n").ok_or(P::Unterminated).map_err(|problem| at(number, problem))?;
            reader.take(number, line).map_err(|problem| at(number, problem))?;
        }
        reader.finish().map_err(|problem| at(ended, problem))
    }

    /// The logs, in the order of the file.
    #[must_use]
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses, and which of them are enough.
    #[must_use]
    pub const fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The log of this origin, with all keys that the policy has for it, and the quorum; `None` where it has none.
    #[must_use]
    pub fn trusted_log(&self, origin: &str) -> Option<TrustedLog> {
        let of_it = self.logs.iter().filter(|log| log.key.name().as_str() == origin);
        let keys: Vec<VerifierKey> = of_it.map(|log| log.key.clone()).collect();
        let log = || TrustedLog::new(origin.to_owned(), keys.clone()).with_quorum(self.quorum.clone());
        (!keys.is_empty()).then(log)
    }

    /// The same for the log that a note says it is of, a checkpoint in all likelihood. The note is not verified: the log
    /// [opens](TrustedLog::open_note) it.
    ///
    /// ```
    /// use kiln_tiles::{Policy, SigningKey, TlogProof};
    /// # use kiln_tiles::{Checkpoint, Hash, Proof, TreeHead};
    ///
    /// # let key = SigningKey::from_seed("example.com/log".parse()?, [7; 32]);
    /// # let (leaf, policy) = (Hash::leaf(b"entry"), format!("log {}\nquorum none\n", key.verifier_key()));
    /// # let checkpoint = Checkpoint::new("example.com/log", TreeHead::new(1, leaf).unwrap()).unwrap();
    /// # let proof = TlogProof::new(0, Proof::default(), key.sign(checkpoint.to_string())?).to_string();
    /// let policy: Policy = policy.parse()?; // with any number of logs
    /// let proof: TlogProof = proof.parse()?; // of any one of them
    /// let log = policy.trusted_log_of(proof.checkpoint()).ok_or("a log that the policy does not have")?;
    /// proof.verify(leaf, &log)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn trusted_log_of(&self, note: &Note) -> Option<TrustedLog> {
        self.trusted_log(note.unverified_origin())
    }
}

impl FromStr for Policy {
    type Err = ParsePolicyError;

    fn from_str(file: &str) -> Result<Self, ParsePolicyError> {
        Self::parse(file.as_bytes())
    }
}

/// What was read of a policy.
#[derive(Default)]
struct Reader {
    logs: Vec<PolicyLog>,
    log_lines: Vec<usize>,
    witnesses: Vec<Witness>,
    witness_lines: Vec<usize>,
    groups: Vec<Group>,
    /// Every name, and whether a group has it as a member.
    names: std::collections::HashMap<PolicyName, (Member, bool)>,
    quorum: Option<Option<Member>>,
}

impl Reader {
    fn take(&mut self, number: usize, line: &[u8]) -> Result<(), PolicyProblem> {
        use PolicyProblem as P;
        if let Some(&control) = line.iter().find(|b| matches!(b, 0..0x20 | 0x7f) && **b != b'\t') {
            return Err(P::ControlCharacter(control));
        }
        let words: Vec<&[u8]> =
            line.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
        match &words[..] {
            [] => Ok(()),
            [comment, ..] if comment.starts_with(b"#") => Ok(()),
            [b"log", vkey] => self.log(number, vkey, None),
            [b"log", vkey, url] => self.log(number, vkey, Some(url)),
            [b"log", ..] => Err(P::Form("log <vkey> [<url>]")),
            [b"witness", name, vkey] => self.witness(number, name, vkey, None),
            [b"witness", name, vkey, url] => self.witness(number, name, vkey, Some(url)),
            [b"witness", ..] => Err(P::Form("witness <name> <vkey> [<url>]")),
            [b"group", name, threshold, members @ ..] if !members.is_empty() => {
                self.group(name, threshold, members)
            }
            [b"group", ..] => Err(P::Form("group <name> <all|any|k> <name>...")),
            [b"quorum", name] => self.quorum(name),
            [b"quorum", ..] => Err(P::Form("quorum <name|none>")),
            [other, ..] => Err(P::Keyword(String::from_utf8_lossy(other).into_owned())),
        }
    }

    fn log(&mut self, number: usize, vkey: &[u8], url: Option<&[u8]>) -> Result<(), PolicyProblem> {
        let key = parse_key(vkey)?;
        not_a_duplicate(&key, self.logs.iter().map(|log| &log.key).zip(&self.log_lines))?;
        self.logs.push(PolicyLog { key, url: url.map(|url| PolicyName(url.to_vec())) });
        self.log_lines.push(number);
        not_too_many(&self.logs)
    }

    fn witness(
        &mut self,
        number: usize,
        name: &[u8],
        vkey: &[u8],
        url: Option<&[u8]>,
    ) -> Result<(), PolicyProblem> {
        let key = parse_key(vkey)?;
        if !key.signature_type().is_cosignature() {
            return Err(PolicyProblem::NoCosigner(key.signature_type()));
        }
        let known = self.witnesses.iter().map(|witness| &witness.key).zip(&self.witness_lines);
        not_a_duplicate(&key, known)?;
        let name = self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(Witness { name, key, url: url.map(|url| PolicyName(url.to_vec())) });
        self.witness_lines.push(number);
        not_too_many(&self.witnesses)
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], members: &[&[u8]]) -> Result<(), PolicyProblem> {
        let members: Vec<Member> = members.iter().map(|name| self.enlist(name)).collect::<Result<_, _>>()?;
        let threshold = match threshold {
            b"all" => Some(members.len()),
            b"any" => Some(1),
            number => {
                str::from_utf8(number).ok().and_then(text::parse_decimal).and_then(|k| k.try_into().ok())
            }
        };
        let threshold = threshold.filter(|k| (1..=members.len()).contains(k));
        let threshold = threshold.ok_or(PolicyProblem::Threshold(members.len()))?;
        let name = self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { name, threshold, members });
        not_too_many(&self.groups)
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), PolicyProblem> {
        if self.quorum.is_some() {
            return Err(PolicyProblem::SecondQuorum);
        }
        let rule = if name == NONE { None } else { Some(self.known(name)?.0) };
        self.quorum = Some(rule);
        Ok(())
    }

    fn define(&mut self, name: &[u8], member: Member) -> Result<PolicyName, PolicyProblem> {
        let name = PolicyName(name.to_vec());
        if name.0 == NONE || self.names.contains_key(&name) {
            return Err(PolicyProblem::Taken(name));
        }
        self.names.insert(name.clone(), (member, false));
        Ok(name)
    }

    fn known(&mut self, name: &[u8]) -> Result<&mut (Member, bool), PolicyProblem> {
        let name = PolicyName(name.to_vec());
        self.names.get_mut(&name).ok_or(PolicyProblem::Unknown(name))
    }

    /// Makes a name a member of a group, for the first time.
    fn enlist(&mut self, name: &[u8]) -> Result<Member, PolicyProblem> {
        let (member, enlisted) = self.known(name)?;
        if *enlisted {
            return Err(PolicyProblem::SecondMembership(PolicyName(name.to_vec())));
        }
        *enlisted = true;
        Ok(*member)
    }

    fn finish(self) -> Result<Policy, PolicyProblem> {
        let rule = self.quorum.ok_or(PolicyProblem::NoQuorum)?;
        let quorum = Quorum::new(self.witnesses, self.groups, rule);
        Ok(Policy { logs: self.logs, quorum })
    }
}

fn parse_key(vkey: &[u8]) -> Result<VerifierKey, PolicyProblem> {
    let vkey = str::from_utf8(vkey).map_err(|_| ParseVerifierKeyError::Form)?;
    Ok(vkey.parse::<VerifierKey>()?)
}

fn not_a_duplicate<'k>(
    key: &VerifierKey,
    known: impl IntoIterator<Item = (&'k VerifierKey, &'k usize)>,
) -> Result<(), PolicyProblem> {
    let same = known.into_iter().find(|(other, _)| key.wraps_key_of(other));
    same.map_or(Ok(()), |(_, &line)| Err(PolicyProblem::DuplicateKey(line + 1)))
}

const fn not_too_many<T>(kind: &[T]) -> Result<(), PolicyProblem> {
    if kind.len() > Policy::MAX_OF_A_KIND { Err(PolicyProblem::TooMany) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checkpoint, Cosigner, Hash, OpenCheckpointError, QuorumNotMet, SigningKey, TreeHead};

    fn log_key() -> SigningKey {
        SigningKey::from_seed("example.com/log".parse().unwrap(), [7; 32])
    }

    fn witness(number: u8) -> Cosigner {
        let name = format!("witness.example/w{number}").parse().unwrap();
        if number.is_multiple_of(2) {
            Cosigner::ed25519_from_seed(name, [number; 32])
        } else {
            Cosigner::ml_dsa_44_from_seed(name, [number; 32])
        }
    }

    /// The example of the specification, with keys: two of three, and any of three others.
    fn example() -> String {
        use core::fmt::Write;
        let mut policy = format!("log {}\n\n", log_key().verifier_key());
        for (number, name) in (1..).zip(["X1", "X2", "X3", "Y1", "Y2", "Y3"]) {
            writeln!(policy, "witness {name} {}", witness(number).verifier_key()).unwrap();
        }
        policy
            + "group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y1 Y2 Y3\n\
               group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    }

    fn cosigned(by: &[u8]) -> Note {
        let head = TreeHead::new(3, Hash::leaf(b"x")).unwrap();
        let checkpoint = Checkpoint::new("example.com/log", head).unwrap();
        let note = log_key().sign(checkpoint.to_string()).unwrap();
        by.iter().fold(note, |note, &w| note.with(witness(w).cosign(&checkpoint, 5).unwrap()).unwrap())
    }

    #[test]
    fn the_example_of_the_specification_counts_its_groups() {
        let policy: Policy = example().parse().unwrap();
        let log = policy.trusted_log("example.com/log").unwrap();
        for by in [&[1, 2, 4][..], &[2, 3, 6], &[1, 2, 3, 4, 5, 6]] {
            assert!(log.open_note(cosigned(by)).is_ok(), "{by:?}");
        }
        for by in [&[][..], &[1, 2], &[1, 4, 5, 6], &[1, 1, 4]] {
            let refused = log.open_note(cosigned(by));
            assert!(
                matches!(refused, Err(OpenCheckpointError::Quorum(QuorumNotMet::TooFew { .. }))),
                "{by:?}"
            );
        }
        assert_eq!(policy.trusted_log("example.com/other"), None);
    }

    #[test]
    fn a_verdict_says_who_cosigned_and_what_that_is_worth() {
        let policy: Policy = example().parse().unwrap();
        let verdict = policy.quorum().judge(&cosigned(&[2, 4])).unwrap();
        assert_eq!(verdict.witnesses, [None, Some(5), None, Some(5), None, None]);
        assert_eq!(verdict.groups, [1, 1, 1]);
        assert!(!verdict.met);
        let words = policy.trusted_log("example.com/log").unwrap().open_note(cosigned(&[2, 4])).unwrap_err();
        assert_eq!(
            words.to_string(),
            "cosigned by X2, Y1, and not by X1, X3, Y2, Y3: this does not meet the quorum X-and-Y"
        );
    }

    #[test]
    fn a_quorum_says_what_it_stands_on_and_how_few_are_enough() {
        let quorum = |end: &str| {
            let policy: Policy = example().replace("quorum X-and-Y\n", end).parse().unwrap();
            let quorum = policy.quorum().clone();
            let names = quorum.counting().iter().map(|&m| quorum.name_of(m).to_string()).collect::<Vec<_>>();
            (quorum.fewest(), names.join(" "))
        };
        let all = "X-and-Y X-witnesses Y-witnesses X1 X2 X3 Y1 Y2 Y3";
        assert_eq!(quorum("quorum X-and-Y\n"), (3, all.to_owned()));
        assert_eq!(quorum("group any any X-and-Y\nquorum any\n"), (3, format!("any {all}")));
        assert_eq!(quorum("quorum X-witnesses\n"), (2, "X-witnesses X1 X2 X3".to_owned()));
        assert_eq!(quorum("quorum Y3\n"), (1, "Y3".to_owned()));
        assert_eq!(quorum("quorum none\n"), (0, String::new()));
    }

    /// A witness that nobody counts is no help to who looks for those that are missing.
    #[test]
    fn who_counts_for_nothing_is_not_missing() {
        let policy: Policy = example().replace("quorum X-and-Y", "quorum Y-witnesses").parse().unwrap();
        let words = policy.trusted_log("example.com/log").unwrap().open_note(cosigned(&[2])).unwrap_err();
        let expected =
            "cosigned by nobody who counts, and not by Y1, Y2, Y3: this does not meet the quorum Y-witnesses";
        assert_eq!(words.to_string(), expected);
    }

    #[test]
    fn a_wrong_cosignature_rejects_the_checkpoint_however_many_are_right() {
        let policy: Policy = example().parse().unwrap();
        let right = cosigned(&[1, 2, 3, 4]).to_string();
        let line = right.lines().last().unwrap().to_owned();
        let (start, end) = line.split_at(line.len() - 4);
        let wrong: Note =
            format!("{right}{start}{}\n", if end == "AAA=" { "BBB=" } else { "AAA=" }).parse().unwrap();
        let log = policy.trusted_log("example.com/log").unwrap();
        assert!(matches!(log.open_note(wrong), Err(OpenCheckpointError::Quorum(QuorumNotMet::Signature(_)))));
    }

    #[test]
    fn names_are_bytes_and_white_space_is_free() {
        let key = witness(2).verifier_key();
        let file = [
            b"\t # c\xff\n\n \twitness \t K\xe2\x84\xaa\xff ",
            key.to_string().as_bytes(),
            b" u\xff \nquorum K\xe2\x84\xaa\xff\t\n",
        ]
        .concat();
        let policy = Policy::parse(&file).unwrap();
        assert_eq!(policy.quorum().witnesses()[0].name.as_bytes(), b"K\xe2\x84\xaa\xff");
        assert_eq!(policy.quorum().witnesses()[0].url.as_ref().unwrap().as_bytes(), b"u\xff");
    }

    #[test]
    fn each_rule_of_the_file_has_its_error() {
        use PolicyProblem as P;
        let (log, one, two) =
            (log_key().verifier_key(), witness(1).verifier_key(), witness(2).verifier_key());
        // The key of the second witness, as a note's key: another ID and type, the same key.
        let same = SigningKey::from_seed("other".parse().unwrap(), [2; 32]).verifier_key();
        let name = |name: &str| PolicyName(name.as_bytes().to_vec());
        let w = format!("witness a {one}\nwitness b {two}\n");
        let cases = [
            (String::new(), 1, P::NoQuorum),
            ("quorum none".into(), 1, P::Unterminated),
            ("quorum none\r\n".into(), 1, P::ControlCharacter(b'\r')),
            ("quorum\u{b}none\n".into(), 1, P::ControlCharacter(0x0b)),
            ("quorum \u{7f}\n".into(), 1, P::ControlCharacter(0x7f)),
            ("Quorum none\n".into(), 1, P::Keyword("Quorum".into())),
            ("quorum none none\n".into(), 1, P::Form("quorum <name|none>")),
            ("quorum none\nquorum none\n".into(), 2, P::SecondQuorum),
            ("quorum a\n".into(), 1, P::Unknown(name("a"))),
            ("log\n".into(), 1, P::Form("log <vkey> [<url>]")),
            ("log x\n".into(), 1, P::Key(ParseVerifierKeyError::Form)),
            (format!("log {log}\nlog {log}\n"), 2, P::DuplicateKey(1)),
            (format!("log {two}\nlog {same}\n"), 2, P::DuplicateKey(1)),
            (format!("witness a {log}\n"), 1, P::NoCosigner(SignatureType::Ed25519)),
            (format!("witness none {one}\n"), 1, P::Taken(name("none"))),
            (format!("witness a {one}\nwitness a {two}\n"), 2, P::Taken(name("a"))),
            (format!("witness a {one}\nwitness b {one}\n"), 2, P::DuplicateKey(1)),
            (format!("{w}group a any a\n"), 3, P::Taken(name("a"))),
            (format!("{w}group g any\n"), 3, P::Form("group <name> <all|any|k> <name>...")),
            (format!("{w}group g any g\n"), 3, P::Unknown(name("g"))),
            (format!("{w}group g any none\n"), 3, P::Unknown(name("none"))),
            (format!("{w}group g 0 a b\n"), 3, P::Threshold(2)),
            (format!("{w}group g 3 a b\n"), 3, P::Threshold(2)),
            (format!("{w}group g 01 a b\n"), 3, P::Threshold(2)),
            (format!("{w}group g 18446744073709551617 a b\n"), 3, P::Threshold(2)),
            (format!("{w}group g any a a\n"), 3, P::SecondMembership(name("a"))),
            (format!("{w}group g any a\ngroup h any a\n"), 4, P::SecondMembership(name("a"))),
        ];
        for (file, line, problem) in cases {
            assert_eq!(file.parse::<Policy>(), Err(ParsePolicyError { line, problem }), "{file:?}");
        }
        let many = "#".repeat(Policy::MAX_SIZE + 1);
        assert_eq!(many.parse::<Policy>().unwrap_err().problem, P::TooLong);
    }
}
