//! Witnesses, as the log sees them: who is asked to cosign, in which order of things, and what becomes of their answers.
//!
//! A round is signed, sent to all witnesses of the policy at once, and published when enough of them have
//! cosigned. Those that are late are not waited for: their lines are published with the same tree afterwards, if
//! it still is the newest. What a witness says is believed where a key of the policy signed it, and nowhere else.
//!
//! | a witness | the round |
//! |---|---|
//! | is down, slow, or answers garbage | goes on with the others, as long as these are enough |
//! | signs wrongly, by another key, or without a time | the same; its line is not published |
//! | is at another size | is sent again, with the proof from that size |
//! | says that it knows a larger tree | goes on, unless it shows that tree with this log's signature, or those that say so are so many that the others are not enough: then the log is loaded anew, and refuses to go on from a smaller tree |

mod ask;
mod collect;
mod counters;
mod proofs;

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_tiles::{Note, NoteSignature, PolicyName, Quorum, VerifierKey};
use tokio::sync::Mutex;

pub(crate) use ask::{Asked, Heard, Said, ask_all, first_line};
pub(crate) use collect::{Asking, collect};
pub(crate) use counters::Counters;
pub(crate) use proofs::{Proofs, RecentTiles};

/// How a log talks to one witness. Whoever implements it bounds the time and the length of an answer.
pub trait WitnessClient: Debug + Send + Sync + 'static {
    /// Posts this body to `add-checkpoint` below the submission prefix.
    fn add_checkpoint(&self, body: String) -> BoxFuture<'_, Result<WitnessAnswer, WitnessError>>;

    /// Reads what the witness shows monitors of the log whose origin has this SHA-256, in hex; `None` where that is
    /// nothing.
    fn checkpoint(&self, origin_hash: String) -> BoxFuture<'_, Result<Option<Bytes>, WitnessError>>;
}

/// Why there is no answer.
pub type WitnessError = Box<dyn Error + Send + Sync>;

/// The longest answer of a witness, in bytes: some lines of ML-DSA-44 are of 3.3 KB each.
pub const MAX_WITNESS_ANSWER: usize = 64 << 10;

/// What a witness answered, as HTTP has it.
#[derive(Clone, Debug)]
pub struct WitnessAnswer {
    /// The status.
    pub status: u16,
    /// The body, at most [`MAX_WITNESS_ANSWER`] bytes of it.
    pub body: Bytes,
}

/// What is done where too few witnesses have cosigned in time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WitnessMode {
    /// Nothing is published until the quorum is met.
    #[default]
    Require,
    /// The checkpoint is published without them.
    Prefer,
}

/// How witnesses are asked.
#[derive(Clone, Copy, Debug)]
pub struct WitnessOptions {
    /// What is done where too few have cosigned.
    pub mode: WitnessMode,
    /// How long a round waits for the quorum.
    pub patience: Duration,
    /// How often a checkpoint is cosigned anew while nothing is added.
    pub refresh: Duration,
}

impl WitnessOptions {
    /// How long a witness may take at the most: with [`WitnessMode::Require`] for its line to count, else for it to be
    /// published late.
    #[must_use]
    pub fn longest(&self) -> Duration {
        4 * self.patience
    }
}

impl Default for WitnessOptions {
    fn default() -> Self {
        Self {
            mode: WitnessMode::default(),
            patience: Duration::from_secs(2),
            refresh: Duration::from_secs(3_600),
        }
    }
}

/// The witnesses of a log, and how many of them must cosign.
#[derive(Debug)]
pub struct Witnesses {
    pub(crate) quorum: Quorum,
    pub(crate) options: WitnessOptions,
    contacts: Vec<Arc<Contact>>,
    pub(crate) counters: Counters,
    pub(crate) recent: Arc<RecentTiles>,
}

/// One who is asked: a submission prefix, and the witnesses of the policy that answer there.
#[derive(Debug)]
struct Contact {
    /// What the policy calls the first of them.
    name: PolicyName,
    /// Their places in the policy, and their keys.
    keys: Vec<(usize, VerifierKey)>,
    client: Box<dyn WitnessClient>,
    /// The size of the tree that it cosigned last. Whoever holds the lock talks to it.
    size: Mutex<Option<u64>>,
    /// What was last told of it.
    told: std::sync::Mutex<Told>,
}

/// What people were told of a witness, so that they are told once.
#[derive(Debug, Default)]
struct Told {
    last: &'static str,
    late: u32,
}

/// How often a witness is late in a row before that is told: one that takes about as long as a round is so now and then.
const LATE_IN_A_ROW: u32 = 3;

impl Contact {
    fn places(&self) -> impl Iterator<Item = usize> {
        self.keys.iter().map(|(place, _)| *place)
    }

    /// Whether this is another thing to tell of it than the last.
    fn is_news(&self, what: &'static str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        told.late = if what == ask::LATE { told.late + 1 } else { 0 };
        let often = what != ask::LATE || told.late == LATE_IN_A_ROW;
        often && std::mem::replace(&mut told.last, what) != what
    }
}

impl Witnesses {
    /// The witnesses of a policy that have a URL. `connect` opens each of these once; several keys of the policy may
    /// answer at one URL.
    ///
    /// # Errors
    /// The first that `connect` has, and [`WitnessSetupError`] where those that have a URL could not meet the quorum.
    pub fn new<E: From<WitnessSetupError>>(
        quorum: Quorum,
        options: WitnessOptions,
        connect: impl Fn(&str) -> Result<Box<dyn WitnessClient>, E>,
    ) -> Result<Self, E> {
        let mut contacts: Vec<(String, Contact)> = Vec::new();
        for (place, witness) in quorum.witnesses().iter().enumerate() {
            let Some(url) = &witness.url else { continue };
            let url = url.as_str().ok_or_else(|| WitnessSetupError::Url(witness.name.clone()))?;
            if let Some((_, contact)) = contacts.iter_mut().find(|(known, _)| known == url) {
                contact.keys.push((place, witness.key.clone()));
                continue;
            }
            let contact = Contact {
                name: witness.name.clone(),
                keys: vec![(place, witness.key.clone())],
                client: connect(url)?,
                size: Mutex::default(),
                told: std::sync::Mutex::default(),
            };
            contacts.push((url.to_owned(), contact));
        }
        let reachable =
            |place| contacts.iter().any(|(_, contact)| contact.places().any(|known| known == place));
        if !quorum.is_met_by(reachable) {
            return Err(WitnessSetupError::Unreachable(quorum.name()).into());
        }
        let contacts = contacts.into_iter().map(|(_, contact)| Arc::new(contact)).collect();
        Ok(Self { quorum, options, contacts, counters: Counters::default(), recent: Arc::default() })
    }

    /// Whether a note has as many cosignatures as it must.
    pub(crate) fn are_met_by(&self, note: &Note) -> bool {
        self.quorum.judge(note).is_ok_and(|verdict| verdict.met)
    }

    /// Whether there are some at these places of the policy, without whom the quorum cannot be met.
    fn are_blocked_by(&self, places: &[usize]) -> bool {
        !places.is_empty() && !self.quorum.is_met_by(|place| !places.contains(&place))
    }
}

/// Why the witnesses of a policy cannot be asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessSetupError {
    /// A URL is none.
    #[error("the URL of the witness {0} is not UTF-8")]
    Url(PolicyName),
    /// Too few of the witnesses have a URL.
    #[error(
        "too few witnesses of the policy have a URL: a log asks them at their submission prefix, and those with one cannot meet the quorum {0}"
    )]
    Unreachable(PolicyName),
}

/// A note with these lines in it: each in the place of an earlier one by the same key, else at the end.
///
/// No line is dropped that another key made. A note that is full takes no more.
pub(crate) fn merge(note: &Note, lines: &[NoteSignature]) -> Note {
    let mut merged = note.signatures().to_vec();
    for line in lines {
        let has_room = merged.len() < Note::MAX_SIGNATURES;
        let same =
            |known: &&mut NoteSignature| known.name() == line.name() && known.key_id() == line.key_id();
        match merged.iter_mut().find(same) {
            // A cosignature begins with its time, so the larger one is the later one.
            Some(known) if known.signature() < line.signature() => *known = line.clone(),
            None if has_room => merged.push(line.clone()),
            _ => {}
        }
    }
    Note::new(note.unverified_text().to_owned(), merged).unwrap_or_else(|_| note.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_tiles::{Checkpoint, Cosigner, SigningKey, TreeHead};

    #[test]
    fn a_later_line_takes_the_place_of_an_earlier_one_by_the_same_key() {
        let log = SigningKey::from_seed("example.com/log".parse().unwrap(), [7; 32]);
        let checkpoint = Checkpoint::new("example.com/log", TreeHead::empty()).unwrap();
        let [first, second] = [1, 2]
            .map(|seed| Cosigner::ed25519_from_seed(format!("w{seed}.example").parse().unwrap(), [seed; 32]));
        let at = |witness: &Cosigner, time| witness.cosign(&checkpoint, time).unwrap();
        let note = log.sign(checkpoint.to_string()).unwrap();
        let note = merge(&note, &[at(&first, 1), at(&second, 2)]);
        let later = merge(&note, &[at(&first, 3)]);
        let times: Vec<_> = later.signatures()[1..]
            .iter()
            .zip([&first, &second])
            .map(|(line, witness)| witness.verifier_key().time_of(line))
            .collect();
        assert_eq!(times, [Some(3), Some(2)]);
        assert_eq!(merge(&later, &[at(&first, 3)]), later);
        assert_eq!(merge(&later, &[at(&first, 2)]), later);
    }
}
