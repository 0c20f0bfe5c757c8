//! The round: one compare-and-swap is the whole commit.
//!
//! A round is three functions, [`Committer::commit`], [`Settler::settle`] and [`Publisher::publish`],
//! so that the next round may be committed while the last is settled. Each takes what it changes by
//! value: what failed or was cancelled leaves nothing behind that could commit or sign, and only a
//! new load can go on. The process may end after any line:
//!
//! | last line done        | the batch is...           | and a load will...                 |
//! |-----------------------|---------------------------|------------------------------------|
//! | commit: plan          | not in the log            | know nothing of it                 |
//! | commit                | in the log, tiles missing | apply what the head holds, publish |
//! | settle: guard, apply  | readable, not visible     | the same; writes repeat            |
//! | publish: sign         | the same                  | the same                           |
//! | publish: witnessed    | the same; witnesses may know of it | the same                  |
//! | publish               | in the log for all        | the same, to no effect             |
//!
//! Recovery enters at [`Settler::settle`], on the same code.
//!
//! The end of a log, [`Committer::freeze`], is one more commit, of no entries, which none can follow.

use std::collections::VecDeque;
use std::sync::Arc;

use kiln_storage::{CreateError, Object, Register, Store};
use kiln_tiles::{Hash, NoteSignature, SignedCheckpoint, TreeHead};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::alarm::Alarm;
use crate::answers::{Answers, assign};
use crate::commit::Head;
use crate::dedup::{DedupError, Known, LeafMap};
use crate::entry::Entry;
use crate::failed_round::{RoundError, back_off};
use crate::lineage::Lineage;
use crate::log::Log;
use crate::pool::Submission;
use crate::publish::{publish, read_checkpoint, republish};
use crate::record::{HeadRecord, MAX_ROUNDS, Round};
use crate::traced::RoundSpan;
use crate::tree::Tree;
use crate::witnesses::{Asked, Asking, Proofs, WitnessMode, collect, merge};

/// The one who may add to a log, loaded and at rest: all that is committed is published.
pub struct Writer<S: Store, G: Register> {
    pub(crate) committer: Committer<S, G>,
    pub(crate) settler: Settler<S, G>,
    pub(crate) publisher: Publisher<S, G>,
    pub(crate) published: Arc<SignedCheckpoint>,
}

impl<S: Store, G: Register> Writer<S, G> {
    /// The tree that is committed and published.
    pub fn head(&self) -> TreeHead {
        self.settler.head()
    }

    /// Whether the log has ended: then it commits nothing.
    pub const fn is_frozen(&self) -> bool {
        self.committer.frozen
    }

    /// The checkpoint that was published last.
    pub const fn published(&self) -> &Arc<SignedCheckpoint> {
        &self.published
    }
}

/// A round that is in the log for good, and of which some tile may be missing.
#[derive(Debug)]
pub(crate) struct CommittedRound {
    pub(crate) round: Arc<Round>,
    /// The tree with it.
    pub(crate) tree: Tree,
    /// What the tree implies with it and did not before.
    pub(crate) objects: Vec<Object>,
    /// The index of each of its entries, until the dedup index knows; empty without dedup.
    pub(crate) indices: LeafMap,
    pub(crate) started: Instant,
    /// What its steps are traced under.
    pub(crate) span: RoundSpan,
}

impl CommittedRound {
    pub(crate) fn head(&self) -> TreeHead {
        self.tree.head()
    }
}

/// Commits rounds. Those that are not settled yet are carried in the head.
pub(crate) struct Committer<S: Store, G: Register> {
    pub(crate) log: Arc<Log<S, G>>,
    pub(crate) id: [u8; 16],
    pub(crate) head: Head<S::Head>,
    /// The number of the round in the head, and its time.
    pub(crate) number: u64,
    pub(crate) time: u64,
    /// The tree with every round that was committed.
    pub(crate) tree: Tree,
    /// The tree before the rounds that are not settled, and these, oldest first.
    pub(crate) settled: TreeHead,
    pub(crate) unsettled: VecDeque<Arc<CommittedRound>>,
    pub(crate) answers: Arc<Answers>,
    /// Whether the log has ended.
    pub(crate) frozen: bool,
}

impl<S: Store, G: Register> Committer<S, G> {
    /// Ends the log for good, with one swap of the head, at the tree that is settled and published. This process may
    /// end after any line:
    ///
    /// | last line done | the log is...                                  | freezing it again will...     |
    /// |----------------|------------------------------------------------|-------------------------------|
    /// | (the load)     | at rest, and takes entries from whoever loads it | load it, and end it         |
    /// | commit         | frozen: each load from now on finds it so      | find that it is, and do nothing |
    pub(crate) async fn freeze(self) -> Result<Self, RoundError> {
        if self.head.is_frozen() {
            return Ok(self);
        }
        let tree = self.tree.head();
        let record = HeadRecord {
            log: self.log.fingerprint(),
            writer: self.id,
            number: self.number + 1,
            base: tree,
            head: tree,
            rounds: Vec::new(),
            frozen: true,
        };
        let head = self.head.commit(self.log.store.head(), &record).await?;
        Ok(Self { head, number: record.number, frozen: true, ..self })
    }

    /// Adds `batch` to the log; see the table above. Returns the round, unless all of the batch is
    /// in the log already.
    pub(crate) async fn commit(
        mut self,
        batch: Vec<Submission>,
    ) -> Result<(Self, Option<Arc<CommittedRound>>), RoundError> {
        let started = Instant::now();
        let found = look_up(&self.log, &self.unsettled, &batch).await?;
        let assigned = assign(batch, &found, self.tree.size(), self.log.dedup.is_on());
        if assigned.fresh.is_empty() {
            self.answers.expect(assigned.waiting);
            return Ok((self, None)); // an empty round writes nothing
        }
        let (round, record) = self.plan(assigned.fresh, assigned.indices, started);
        self.head = self.head.commit(self.log.store.head(), &record).await?;
        (self.number, self.time, self.tree) = (record.number, round.round.time, round.tree.clone());
        let round = Arc::new(round);
        self.unsettled.push_back(round.clone());
        self.answers.expect(assigned.waiting);
        Ok((self, Some(round)))
    }

    /// Pure: the round that these entries make, and the record that commits it.
    fn plan(&self, entries: Vec<Entry>, indices: LeafMap, started: Instant) -> (CommittedRound, HeadRecord) {
        let mut tree = self.tree.clone();
        let objects = tree.append(&entries);
        let time = self.log.environment.0.unix_time().max(self.time);
        let round = Arc::new(Round { time, entries });
        let record = HeadRecord {
            log: self.log.fingerprint(),
            writer: self.id,
            number: self.number + 1,
            base: self.settled,
            head: tree.head(),
            // Rounds leave that this writer has settled: they are applied, and synced.
            rounds: self.unsettled.iter().map(|round| round.round.clone()).chain([round.clone()]).collect(),
            frozen: false,
        };
        (CommittedRound { round, tree, objects, indices, started, span: RoundSpan::current() }, record)
    }

    /// Waits until the head has room for one more round.
    pub(crate) async fn with_room(mut self, settled: &mut watch::Receiver<TreeHead>) -> Self {
        loop {
            self.forget_settled(*settled.borrow_and_update());
            // Whoever settles is gone: so is the log, in a moment.
            if self.unsettled.len() < MAX_ROUNDS || settled.changed().await.is_err() {
                return self;
            }
        }
    }

    fn forget_settled(&mut self, settled: TreeHead) {
        while self.unsettled.front().is_some_and(|round| round.head().size() <= settled.size()) {
            self.unsettled.pop_front();
        }
        self.settled = settled;
    }
}

/// The index of each entry that the log has: first as the dedup index knows, then as the rounds do
/// that it may not know yet.
async fn look_up<S: Store, G: Register>(
    log: &Log<S, G>,
    unsettled: &VecDeque<Arc<CommittedRound>>,
    batch: &[Submission],
) -> Result<Vec<Option<u64>>, DedupError> {
    let leaves: Arc<[Hash]> = batch.iter().flat_map(|s| s.entries.iter().map(Entry::leaf)).collect();
    let asked = leaves.clone();
    let found = log.index(move |dedup| dedup.look_up(&asked)).await?;
    let in_a_round = |leaf| unsettled.iter().find_map(|round| round.indices.get(leaf).copied());
    Ok(leaves.iter().zip(found).map(|(leaf, index)| index.or_else(|| in_a_round(leaf))).collect())
}

/// Settles rounds that were committed: raises the guard and applies them.
pub(crate) struct Settler<S, G> {
    pub(crate) log: Arc<Log<S, G>>,
    pub(crate) id: [u8; 16],
    /// The tree that is settled, every tile of which is in the store.
    pub(crate) tree: Tree,
    pub(crate) answers: Arc<Answers>,
}

impl<S: Store, G: Register> Settler<S, G> {
    /// Raises the guard and applies the rounds that come next, side by side. They may leave the head
    /// then. See the table above.
    pub(crate) async fn settle(self, rounds: &[Arc<CommittedRound>]) -> Result<Self, RoundError> {
        let Self { log, id, tree: base, answers } = self;
        let tree = newest(rounds, &base);
        let entries = entries_of(rounds);
        let lineage = Lineage { store: &log.store, base: &base, rounds: &entries, head: tree.head() };
        let guard = async {
            log.guard.raise(log.fingerprint(), id, &lineage).await?;
            answers.guarded(tree.size());
            Ok::<(), RoundError>(())
        };
        let (guarded, applied, indexed) =
            tokio::join!(guard, apply(&log.store, rounds), remember(&log, &lineage, known(rounds)));
        guarded?;
        applied?;
        indexed?;
        Ok(Self { log, id, tree, answers })
    }

    pub(crate) fn head(&self) -> TreeHead {
        self.tree.head()
    }
}

/// Publishes rounds that were settled.
pub(crate) struct Publisher<S, G> {
    pub(crate) log: Arc<Log<S, G>>,
    /// The tree that is published.
    pub(crate) tree: Tree,
    /// When it was signed last, in seconds since 1970: the log's own cosignatures never go back.
    pub(crate) time: u64,
    pub(crate) answers: Arc<Answers>,
    /// Whether its checkpoint lacks cosignatures.
    pub(crate) lacks: bool,
    /// Those who were asked to cosign it, until all have answered or had time to.
    pub(crate) asking: Option<Asking>,
}

impl<S: Store, G: Register> Publisher<S, G> {
    /// Signs and publishes, once, for the newest of the settled rounds that come next. Returns the
    /// checkpoint that is published then; `None` where too few witnesses cosigned it, and nothing was
    /// published. See the table above.
    pub(crate) async fn publish(
        self,
        rounds: &[Arc<CommittedRound>],
    ) -> Result<(Self, Option<Arc<SignedCheckpoint>>), RoundError> {
        let Self { log, tree: base, time, answers, lacks, mut asking } = self;
        // Nobody waits for lines under an older tree.
        asking.as_mut().map_or(Ok(()), Asking::give_up)?;
        let tree = newest(rounds, &base);
        let of_round = rounds.last().map_or_else(|| log.environment.0.unix_time(), |round| round.round.time);
        let time = time.max(of_round);
        let signed = log.sign(tree.head(), time).await?;
        let Some(Witnessed { checkpoint, lacks, asking }) = witnessed(&log, signed, rounds).await? else {
            return Ok((Self { log, tree: base, time, answers, lacks, asking: None }, None));
        };
        let entries = entries_of(rounds);
        let lineage = Lineage { store: &log.store, base: &base, rounds: &entries, head: tree.head() };
        let published = publish(&log, &lineage, checkpoint).await?;
        Ok((Self { log, tree, time, answers, lacks, asking }, Some(published)))
    }

    /// The same, after these rounds, whose checkpoint was published before.
    pub(crate) fn with_published(self, rounds: &[Arc<CommittedRound>], standing: &SignedCheckpoint) -> Self {
        let lacks = self.log.lacks_cosignatures(standing);
        Self { tree: newest(rounds, &self.tree), lacks, ..self }
    }

    /// The lines of witnesses that were late, when all have answered or had time to; never where nobody is late. It may
    /// be dropped and called again.
    pub(crate) async fn late_lines(&mut self) -> Result<Vec<NoteSignature>, RoundError> {
        let Some(asking) = &mut self.asking else { return std::future::pending().await };
        let lines = asking.late_lines().await?;
        self.asking = None;
        Ok(lines)
    }

    /// Publishes the lines of witnesses that were late, or cosigned anew, with the tree that is published already.
    pub(crate) async fn add_lines(
        &mut self,
        lines: &[NoteSignature],
    ) -> Result<Option<Arc<SignedCheckpoint>>, RoundError> {
        if lines.is_empty() {
            return Ok(None);
        }
        let published = republish(&self.log, self.tree.head(), lines).await?;
        if let Some(published) = &published {
            self.lacks = self.log.lacks_cosignatures(published);
        }
        Ok(published)
    }

    /// Has the published tree signed and cosigned anew, for those who want to see that the log lives.
    pub(crate) async fn refresh(&mut self) -> Result<Option<Arc<SignedCheckpoint>>, RoundError> {
        // Who was overtaken says no more which tree is the largest.
        let standing = read_checkpoint(&self.log).await?;
        if standing.is_some_and(|(standing, _)| standing.head().size() > self.tree.size()) {
            return Err(RoundError::Fenced);
        }
        self.time = self.time.max(self.log.environment.0.unix_time());
        let signed = self.log.sign(self.tree.head(), self.time).await?;
        let witnessed = witnessed(&self.log, signed, &[]).await?;
        let Some(Witnessed { checkpoint, asking, .. }) = witnessed else { return Ok(None) };
        self.asking = asking;
        self.add_lines(checkpoint.note().signatures()).await
    }

    /// The same, where it lacks cosignatures. What stands is right, and good for a log whose key does not sign now.
    pub(crate) async fn refresh_what_lacks(&mut self) -> Result<Option<Arc<SignedCheckpoint>>, RoundError> {
        if !self.lacks {
            return Ok(None);
        }
        match self.refresh().await {
            Err(RoundError::Signer(error)) => {
                tracing::warn!(%error, "the published checkpoint lacks cosignatures, and goes on lacking them");
                Ok(None)
            }
            refreshed => refreshed,
        }
    }

    /// Answers whoever waited for this checkpoint, once this process shows it to readers too: who asks
    /// for it then must not see the one before.
    pub(crate) fn answer(&self, published: &Arc<SignedCheckpoint>) {
        self.answers.published(published, self.tree.size());
    }
}

/// A checkpoint with the cosignatures that there are.
struct Witnessed {
    checkpoint: SignedCheckpoint,
    /// Whether they are fewer than there should be.
    lacks: bool,
    /// Who was asked, and may be late.
    asking: Option<Asking>,
}

/// The checkpoint with cosignatures; `None` where it lacks some that it needs to be published.
async fn witnessed<S: Store, G: Register>(
    log: &Arc<Log<S, G>>,
    checkpoint: SignedCheckpoint,
    rounds: &[Arc<CommittedRound>],
) -> Result<Option<Witnessed>, RoundError> {
    let Some(witnesses) = &log.witnesses else {
        return Ok(Some(Witnessed { checkpoint, lacks: false, asking: None }));
    };
    witnesses.recent.keep(rounds);
    let proofs = Proofs::new(log.clone(), witnesses.recent.clone(), checkpoint.head());
    let asked = Arc::new(Asked { checkpoint, trusted: log.trusted().clone(), proofs });
    let mut asking = collect(witnesses, &asked).await;
    if asking.knows_more() {
        return Err(RoundError::WitnessAhead);
    }
    let lines = asking.take_lines();
    let note = merge(asked.checkpoint.note(), &lines);
    // All were verified when they came; a note that is full has not taken all.
    let lacks = !asking.is_met() || !lines.iter().all(|line| note.signatures().contains(line));
    if lacks && witnesses.options.mode == WitnessMode::Require {
        return Ok(None);
    }
    let checkpoint = log.trusted().open_note(note).map_err(Alarm::Checkpoint)?;
    Ok(Some(Witnessed { checkpoint, lacks, asking: Some(asking) }))
}

fn newest(rounds: &[Arc<CommittedRound>], base: &Tree) -> Tree {
    rounds.last().map_or(base, |newest| &newest.tree).clone()
}

fn entries_of(rounds: &[Arc<CommittedRound>]) -> Vec<&[Entry]> {
    rounds.iter().map(|round| &round.round.entries[..]).collect()
}

const APPLY_TRIES: u32 = 4;

/// Writes what the rounds imply, oldest first, each for its own size. It is durable afterwards, so
/// that a checkpoint may be written and the rounds may leave the head.
async fn apply(store: &impl Store, rounds: &[Arc<CommittedRound>]) -> Result<(), RoundError> {
    for round in rounds {
        let mut attempt = 0;
        while let Err(error) = store.create(round.objects.clone()).await {
            match error {
                CreateError::Differs(path) => return Err(Alarm::Differs(path).into()),
                CreateError::Storage(error) if attempt == APPLY_TRIES => return Err(error.into()),
                _ => back_off(attempt).await,
            }
            attempt += 1;
        }
    }
    Ok(())
}

/// Adds to the dedup index what it lacks of these rounds.
async fn remember<S: Store, G: Register>(
    log: &Log<S, G>,
    lineage: &Lineage<'_, S>,
    known: Known,
) -> Result<(), DedupError> {
    let (base, head) = (lineage.base.size(), lineage.head);
    let leaves: Vec<Hash> = lineage.leaves().collect();
    log.index(move |dedup| {
        let covered = dedup.covered()?.size().saturating_sub(base);
        let covered = usize::try_from(covered).unwrap_or(usize::MAX).min(leaves.len());
        dedup.insert(&leaves[covered..], head, known)
    })
    .await
}

/// Rounds that this writer planned have an index of their own for each entry. Those that it found in the head
/// may repeat what another one logged, which did without dedup.
fn known(rounds: &[Arc<CommittedRound>]) -> Known {
    let all_new = rounds.iter().all(|round| round.indices.len() == round.round.entries.len());
    if all_new { Known::None } else { Known::Some }
}
