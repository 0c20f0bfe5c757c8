//! Loading a log: who knows what of it, what the head says, and the rounds that were not finished.

use std::collections::VecDeque;
use std::sync::Arc;

use kiln_storage::{Loaded, Register, StorageError, StorageErrorKind, Store, SwapError};
use kiln_tiles::{Hash, Node, Subtree, TILE_WIDTH, TreeHead};
use tokio::time::Instant;

use crate::alarm::{Alarm, Voice};
use crate::answers::Answers;
use crate::commit::Head;
use crate::dedup::{Dedup, DedupError, Known, LeafMap};
use crate::entry::Entry;
use crate::failed_round::RoundError;
use crate::floors::{Floors, Voucher};
use crate::guard::GuardError;
use crate::lease::{Holder, LeaseError};
use crate::lineage::Lineage;
use crate::log::Log;
use crate::read::{self, ReadError, Tiles};
use crate::record::{HeadRecord, ParseHeadError};
use crate::round::{CommittedRound, Committer, Publisher, Settler, Writer};
use crate::traced::RoundSpan;
use crate::tree::Tree;
use crate::witnesses::{Heard, Said};

/// Why a log cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no log in the store yet.
    #[error("there is no log in the store")]
    NoLog,
    /// Another process writes the log. Stand by.
    #[error("the log is written by {0}")]
    Held(Holder),
    /// The store holds the log of another key.
    #[error("the store holds another log than that of this key: its vkey has SHA-256 {}, this one {}", found.to_hex(), expected.to_hex())]
    OtherLog {
        /// SHA-256 of this log's vkey.
        expected: Hash,
        /// SHA-256 of the vkey of the log in the store.
        found: Hash,
    },
    /// The head cannot be read.
    #[error("the head of the log is damaged: {0}")]
    Head(#[from] ParseHeadError),
    /// The rounds in the head do not lead to its root hash.
    #[error("the head of the log is damaged: its rounds lead to {found}, not to {expected}")]
    Rounds {
        /// What the head says.
        expected: TreeHead,
        /// What its rounds lead to.
        found: TreeHead,
    },
    /// Nothing outside of the store vouches for its head.
    #[error(
        "nothing outside of the store vouches for its head, tree size {} with root {}: the guard is missing. \
         If you know that no larger tree was ever signed (the log was moved here whole, say), accept it with --accept-head {head}",
        head.size(), head.root().to_hex()
    )]
    NoVoice {
        /// The head in the store.
        head: TreeHead,
    },
    /// The head is not the one that was to be accepted.
    #[error("the head is {found}, not {accepted}, which --accept-head names")]
    NotAccepted {
        /// What was to be accepted.
        accepted: TreeHead,
        /// What the store holds.
        found: TreeHead,
    },
    /// A part of the log that is needed to go on cannot be read back.
    #[error("the log cannot go on: {0}")]
    Read(#[from] ReadError),
    /// The rounds that were not finished could not be finished.
    #[error(transparent)]
    Round(#[from] RoundError),
}

impl LoadError {
    /// Whether the log itself is bad, as opposed to a store that does not answer now.
    #[must_use]
    pub const fn is_bad_log(&self) -> bool {
        match self {
            Self::OtherLog { .. } | Self::Head(_) | Self::Rounds { .. } | Self::NoVoice { .. } => true,
            Self::Read(error)
            | Self::Round(RoundError::Read(error) | RoundError::Guard(GuardError::Read(error))) => {
                !matches!(error, ReadError::Storage(_))
            }
            Self::Round(RoundError::Guard(GuardError::Malformed)) => true,
            Self::Round(error) => error.alarm().is_some(),
            Self::NoLog | Self::Held(_) | Self::NotAccepted { .. } => false,
        }
    }

    /// Whether nothing is wrong but that too few witnesses cosign what is to be published.
    #[must_use]
    pub const fn is_unwitnessed(&self) -> bool {
        matches!(self, Self::Round(RoundError::Unwitnessed))
    }

    /// Whether nothing is wrong but that the log's key does not sign.
    #[must_use]
    pub const fn is_unsigned(&self) -> bool {
        matches!(self, Self::Round(RoundError::Signer(_)))
    }

    /// What a store or the guard's answered, if that is what is wrong.
    #[must_use]
    pub const fn storage(&self) -> Option<&StorageError> {
        match self {
            Self::Round(
                RoundError::Storage(error)
                | RoundError::Guard(GuardError::Storage(error) | GuardError::Read(ReadError::Storage(error)))
                | RoundError::Read(ReadError::Storage(error)),
            )
            | Self::Read(ReadError::Storage(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether another process holds the store.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held(_)) || self.lock_holder().is_some()
    }

    /// Whether all is well with the log, and another process writes it.
    pub(crate) const fn is_of_another_writer(&self) -> bool {
        matches!(
            self,
            Self::Held(_) | Self::Round(RoundError::Fenced | RoundError::Guard(GuardError::Ahead(_)))
        )
    }

    /// Who has locked the head, in words, if that is what is wrong.
    pub(crate) fn lock_holder(&self) -> Option<String> {
        let Self::Round(RoundError::Storage(error)) = self else { return None };
        let words =
            || std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        (error.kind() == StorageErrorKind::Held).then(words)
    }
}

impl From<StorageError> for LoadError {
    fn from(error: StorageError) -> Self {
        Self::Round(error.into())
    }
}

impl From<LeaseError> for LoadError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Held(holder) => Self::Held(holder),
            LeaseError::Storage(error) => error.into(),
        }
    }
}

impl From<GuardError> for LoadError {
    fn from(error: GuardError) -> Self {
        Self::Round(error.into())
    }
}

impl From<DedupError> for LoadError {
    fn from(error: DedupError) -> Self {
        Self::Round(error.into())
    }
}

impl From<Alarm> for LoadError {
    fn from(alarm: Alarm) -> Self {
        Self::Round(alarm.into())
    }
}

/// Makes a new log in an empty store: the guard first, so that a head never stands without one.
/// Does nothing where there is a log already. Repeating it after a crash is safe.
///
/// # Errors
/// Where the store does not answer, or the guard knows a larger tree of this key.
pub async fn create_log<S: Store, G: Register>(log: &Log<S, G>) -> Result<(), LoadError> {
    let Loaded { held, value } = log.store.head().load().await?;
    if value.is_some() {
        return Ok(());
    }
    let writer = log.environment.0.random_id();
    match log.guard.establish(log.fingerprint(), writer, TreeHead::empty()).await {
        Err(GuardError::Ahead(theirs)) => {
            drop(held);
            // Somebody else may have made the log since its head was read, and used it.
            let Loaded { value, .. } = log.store.head().load().await?;
            return value.map(drop).ok_or(rolled_back(Voice::Guard, theirs, TreeHead::empty()));
        }
        done => done?,
    }
    let record = HeadRecord::new_log(log.fingerprint(), writer);
    match log.store.head().swap(held, record.to_bytes()).await {
        Ok(_) => Ok(()),
        // Somebody else made it meanwhile, or an earlier try of this one arrived.
        Err(SwapError::Conflict) if log.store.head().load().await?.value.is_some() => Ok(()),
        Err(SwapError::Conflict) => Err(RoundError::Fenced.into()),
        Err(SwapError::Storage(error)) => Err(error.into()),
    }
}

fn rolled_back(voice: Voice, theirs: TreeHead, ours: TreeHead) -> LoadError {
    Alarm::Fork { voice, theirs, ours }.into()
}

/// How far the dedup index is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CatchUp {
    /// Leaves in the index.
    pub done: u64,
    /// Leaves in the log.
    pub of: u64,
}

impl<S: Store, G: Register> Writer<S, G> {
    /// Loads a log, finishes what a crash left unfinished, and publishes it. The order matters:
    /// what others know of the log is read before its head, which may grow in between.
    ///
    /// `accept` is a head that a person vouches for, where the guard is missing.
    ///
    /// # Errors
    /// Where the log is not what others know of it, cannot be read back, or the store fails.
    pub async fn load(
        log: Arc<Log<S, G>>,
        accept: Option<TreeHead>,
        progress: impl Fn(CatchUp) + Sync,
    ) -> Result<Self, LoadError> {
        let floors = Floors::read(&log).await?;
        let Loaded { held, value } = log.store.head().load().await?;
        let bytes = value.ok_or(LoadError::NoLog)?;
        let record = HeadRecord::parse(&bytes)?;
        let id = log.environment.0.random_id();

        check_sizes(&log, &record, &floors.trees)?;
        let base = read::load_tree(Tiles::new(&log.store, record.head), record.base).await?;
        let rounds = grow(&base, &record)?;
        let visible = floors.published.as_ref().map_or(0, |standing| standing.head().size());
        log.sizes.found(record.head.size(), visible);
        let entries: Vec<&[Entry]> = record.rounds.iter().map(|round| &round.entries[..]).collect();
        let lineage = Lineage { store: &log.store, base: &base, rounds: &entries, head: record.head };
        check_floors(&lineage, &floors.trees).await?;
        let witnessed = judge(&log, floors.witnesses.as_ref(), record.head)?;
        check_floors(&lineage, &witnessed).await?;
        let frozen = record.frozen || has_ended(&log, record.head)?;
        vouch(&log, id, floors.voucher.or(&witnessed), accept, record.head).await?;
        catch_up(&log, &lineage, &progress).await?;

        let answers = Arc::new(Answers::default());
        let settler = Settler { log: log.clone(), id, tree: base, answers: answers.clone() };
        let publisher = Publisher {
            log: log.clone(),
            tree: settler.tree.clone(),
            time: record.time(),
            answers: answers.clone(),
            lacks: false,
            asking: None,
        };
        let settler = settler.settle(&rounds).await?;
        let (publisher, published) = match floors.published.filter(|standing| standing.head() == record.head)
        {
            Some(standing) => {
                let mut publisher = publisher.with_published(&rounds, &standing);
                // A log that had no witnesses before, or others, is not ready for who asks for these.
                let better = publisher.refresh_what_lacks().await?;
                (publisher, better.unwrap_or_else(|| Arc::new(standing)))
            }
            None => {
                let (publisher, published) = publisher.publish(&rounds).await?;
                (publisher, published.ok_or(RoundError::Unwitnessed)?)
            }
        };
        publisher.answer(&published); // nobody waits yet
        let (number, time, tree) = (record.number, record.time(), settler.tree.clone());
        let (head, settled, unsettled) = (Head { held, bytes: Some(bytes) }, record.head, VecDeque::new());
        let committer = Committer { log, id, head, number, time, tree, settled, unsettled, answers, frozen };
        Ok(Self { committer, settler, publisher, published })
    }
}

pub(crate) fn check_log<S: Store, G: Register>(
    log: &Log<S, G>,
    record: &HeadRecord,
) -> Result<(), LoadError> {
    let (expected, found) = (log.fingerprint(), record.log);
    if found == expected { Ok(()) } else { Err(LoadError::OtherLog { expected, found }) }
}

/// What can be told without a tile: whose log it is, and whether somebody knows a larger one.
fn check_sizes<S: Store, G: Register>(
    log: &Log<S, G>,
    record: &HeadRecord,
    floors: &[(Voice, TreeHead)],
) -> Result<(), LoadError> {
    check_log(log, record)?;
    match floors.iter().find(|(_, floor)| floor.size() > record.head.size()) {
        Some(&(voice, theirs)) => Err(rolled_back(voice, theirs, record.head)),
        None => Ok(()),
    }
}

/// Whether the log's key signed that it ended at this tree, though its head does not say so: then that went back, or
/// is that of a copy. A log that is larger than its end has broken its word. (That it is no smaller, the floors say.)
fn has_ended<S: Store, G: Register>(log: &Log<S, G>, head: TreeHead) -> Result<bool, LoadError> {
    match &log.end {
        Some(end) if end.head().size() < head.size() => {
            Err(Alarm::WentOn { end: end.head(), ours: head }.into())
        }
        end => Ok(end.is_some()),
    }
}

/// Applies the rounds of the head to its base, in memory, each with its own size.
fn grow(base: &Tree, record: &HeadRecord) -> Result<Vec<Arc<CommittedRound>>, LoadError> {
    let mut tree = base.clone();
    let grown = record.rounds.iter().map(|round| {
        let objects = tree.append(&round.entries);
        let (round, tree) = (round.clone(), tree.clone());
        let (indices, started) = (LeafMap::default(), Instant::now());
        Arc::new(CommittedRound { round, tree, objects, indices, started, span: RoundSpan::none() })
    });
    let rounds = grown.collect();
    let (found, expected) = (tree.head(), record.head);
    if found == expected { Ok(rounds) } else { Err(LoadError::Rounds { expected, found }) }
}

/// The tree must extend every tree that somebody knows.
async fn check_floors<S: Store>(
    lineage: &Lineage<'_, S>,
    floors: &[(Voice, TreeHead)],
) -> Result<(), LoadError> {
    for &(voice, theirs) in floors {
        if !lineage.extends(theirs).await? {
            return Err(rolled_back(voice, theirs, lineage.head));
        }
    }
    Ok(())
}

/// The trees that witnesses show, each of which the log must extend. None may know a larger one.
fn judge<S: Store, G: Register>(
    log: &Log<S, G>,
    said: Option<&Said>,
    head: TreeHead,
) -> Result<Vec<(Voice, TreeHead)>, LoadError> {
    let (Some(witnesses), Some(said)) = (&log.witnesses, said) else { return Ok(Vec::new()) };
    let Heard { trees, ahead } = said.judge(witnesses, head.size());
    match ahead {
        Some((witness, theirs)) => Err(Alarm::Witness { witness, theirs, ours: head }.into()),
        None => Ok(trees.into_iter().map(|tree| (Voice::Witness, tree)).collect()),
    }
}

/// A guard that is missing is made only where something else outside of the store vouches for the
/// head: another guard, what readers saw, or a person.
async fn vouch<S: Store, G: Register>(
    log: &Log<S, G>,
    id: [u8; 16],
    voucher: Voucher,
    accept: Option<TreeHead>,
    head: TreeHead,
) -> Result<(), LoadError> {
    match (voucher, accept) {
        (Voucher::Guards, _) => return Ok(()),
        (Voucher::Others, _) => return Ok(log.guard.complete(log.fingerprint(), id, head).await?),
        (Voucher::None, Some(accepted)) if accepted != head => {
            return Err(LoadError::NotAccepted { accepted, found: head });
        }
        (Voucher::None, None) if head.size() > 0 => return Err(LoadError::NoVoice { head }),
        _ => {}
    }
    Ok(log.guard.establish(log.fingerprint(), id, head).await?)
}

/// How many full tiles go into the index at once: 65,536 leaves.
const TILES_AT_ONCE: u64 = 256;

/// Brings the dedup index up to the base of the head, from the log's tiles; the rounds of the head
/// follow when they are settled. An index of another tree is thrown away.
pub(crate) async fn catch_up<S: Store, G: Register>(
    log: &Log<S, G>,
    lineage: &Lineage<'_, S>,
    progress: &(impl Fn(CatchUp) + Sync),
) -> Result<(), LoadError> {
    if !log.dedup.is_on() {
        return Ok(());
    }
    let mut covered = log.index(Dedup::covered).await?;
    if !lineage.extends(covered).await? {
        tracing::warn!(
            index = covered.size(),
            log = lineage.head.size(),
            "the dedup index is of another tree; it is built anew"
        );
        log.index(Dedup::clear).await?;
        covered = TreeHead::empty();
    }
    let base = lineage.base.head();
    if covered.size() >= base.size() {
        return Ok(());
    }
    let mut verified = read::load_verified(lineage.tiles(), base, []).await?;
    while covered.size() < base.size() {
        progress(CatchUp { done: covered.size(), of: base.size() });
        let end = base.size().min((covered.size() / TILE_WIDTH + TILES_AT_ONCE) * TILE_WIDTH);
        let nodes = (covered.size()..end).filter_map(Node::leaf);
        let whole = Subtree::whole(end).into_iter().flat_map(Subtree::nodes);
        read::insert_missing(lineage.tiles(), &mut verified, nodes.clone().chain(whole)).await?;
        let leaves: Vec<Hash> = nodes.map(|leaf| verified.node(leaf).expect("its tile was read")).collect();
        let root = verified.root_at(end).expect("its tiles were read");
        covered = TreeHead::new(end, root).expect("a tree that the log had");
        verified.retain(|tile| tile.level() > 0);
        log.index(move |dedup| dedup.insert(&leaves, covered, Known::Some)).await?;
    }
    Ok(())
}
