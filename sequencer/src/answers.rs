//! Which index each entry of a batch gets, and who waits to hear of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use kiln_tiles::SignedCheckpoint;
use tokio::sync::oneshot;

use crate::dedup::LeafMap;
use crate::entry::Entry;
use crate::pool::{Answer, Submission, Wait};

/// Submitters whose entries have an index, and what they wait for. Those that are dropped learn
/// that their outcome is unknown.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    /// As many entries are committed and guarded.
    guarded: u64,
    /// The newest checkpoint; `None` until there is one, and nobody waits until then.
    published: Option<Arc<SignedCheckpoint>>,
    /// As many entries of this writer's tree are published. The checkpoint may be larger where another
    /// writer is further, and this one has not compared the rest.
    covered: u64,
}

/// A submitter whose entries have an index.
#[derive(Debug)]
pub(crate) struct Waiting {
    indices: Vec<u64>,
    duplicates: usize,
    wait: Wait,
    answer: oneshot::Sender<Answer>,
}

/// A batch with an index for each of its entries.
#[derive(Debug)]
pub(crate) struct Assigned {
    /// The entries that are new, in the order of their indices.
    pub(crate) fresh: Vec<Entry>,
    /// The index of each of them; empty without dedup.
    pub(crate) indices: LeafMap,
    /// Who waits for them, and for those that the log has already.
    pub(crate) waiting: Vec<Waiting>,
}

/// Gives each entry of a batch its index: the one `found` for it, entry by entry, or the next from
/// `next` on. With `dedup`, equal entries within the batch share one.
pub(crate) fn assign(batch: Vec<Submission>, found: &[Option<u64>], next: u64, dedup: bool) -> Assigned {
    let (mut found, fresh) = (found.iter(), Vec::with_capacity(found.len()));
    let room = if dedup { found.len() } else { 0 };
    let seen = LeafMap::with_capacity_and_hasher(room, RandomState::default());
    let mut assigner = Assigner { next, dedup, fresh, seen };
    let mut waiting = Vec::with_capacity(batch.len());
    for Submission { entries, wait, answer } in batch {
        let before = assigner.fresh.len();
        let mut assign_one = |entry| found.next().copied().flatten().unwrap_or_else(|| assigner.index(entry));
        let indices: Vec<u64> = entries.into_iter().map(&mut assign_one).collect();
        let duplicates = indices.len() - (assigner.fresh.len() - before);
        waiting.push(Waiting { indices, duplicates, wait, answer });
    }
    Assigned { fresh: assigner.fresh, indices: assigner.seen, waiting }
}

struct Assigner {
    next: u64,
    dedup: bool,
    fresh: Vec<Entry>,
    seen: LeafMap,
}

impl Assigner {
    fn index(&mut self, entry: Entry) -> u64 {
        let next = self.next + self.fresh.len() as u64;
        let index = if self.dedup { *self.seen.entry(entry.leaf()).or_insert(next) } else { next };
        if index == next {
            self.fresh.push(entry);
        }
        index
    }
}

impl Answers {
    /// These wait for entries that are committed; whatever they wait for may have come already.
    pub(crate) fn expect(&self, waiting: Vec<Waiting>) {
        let mut state = self.state();
        // While nothing can be published, those who gave up would wait for ever.
        state.waiting.retain(|waiting| !waiting.answer.is_closed());
        state.waiting.extend(waiting);
        state.answer();
    }

    /// As many entries are guarded: answers those who wait for no more.
    pub(crate) fn guarded(&self, size: u64) {
        let mut state = self.state();
        state.guarded = size;
        state.answer();
    }

    /// A checkpoint can be seen, which covers this writer's tree up to a size: answers everybody whose
    /// entries are in that.
    pub(crate) fn published(&self, checkpoint: &Arc<SignedCheckpoint>, covered: u64) {
        let mut state = self.state();
        state.published = Some(checkpoint.clone());
        state.covered = covered;
        state.answer();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&mut self) {
        let Self { waiting, guarded, published: Some(published), covered } = self else { return };
        let ready = |waiting: &mut Waiting| match waiting.wait {
            Wait::Sequenced => waiting.needs() <= *guarded,
            Wait::Published => waiting.needs() <= *covered,
        };
        waiting.extract_if(.., ready).for_each(|waiting| waiting.answer(published));
    }
}

impl Waiting {
    /// The size of the smallest tree that has all of the entries.
    fn needs(&self) -> u64 {
        self.indices.iter().max().map_or(0, |last| last + 1)
    }

    fn answer(self, checkpoint: &Arc<SignedCheckpoint>) {
        let Self { indices, duplicates, answer, .. } = self;
        // Who went away in the meantime does not want to know.
        let _ = answer.send(Answer { indices, duplicates, checkpoint: checkpoint.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use kiln_tiles::Hash;

    fn batch(submissions: &[&[&'static str]]) -> Vec<Submission> {
        let entry = |text: &&'static str| Entry::new(Bytes::from_static(text.as_bytes())).unwrap();
        let submission = |texts: &&[&'static str]| Submission {
            entries: texts.iter().map(entry).collect(),
            wait: Wait::Published,
            answer: oneshot::channel().0,
        };
        submissions.iter().map(submission).collect()
    }

    fn indices(assigned: &Assigned) -> Vec<Vec<u64>> {
        assigned.waiting.iter().map(|waiting| waiting.indices.clone()).collect()
    }

    #[test]
    fn equal_entries_share_an_index_and_new_ones_follow_one_another() {
        let found = [None, None, Some(3), None, Some(3)];
        let assigned = assign(batch(&[&["a", "b"], &["old", "a"], &["old"]]), &found, 10, true);
        assert_eq!(indices(&assigned), [vec![10, 11], vec![3, 10], vec![3]]);
        let duplicates: Vec<_> = assigned.waiting.iter().map(|waiting| waiting.duplicates).collect();
        assert_eq!(duplicates, [0, 2, 1]);
        let fresh: Vec<_> = assigned.fresh.iter().map(Entry::bytes).collect();
        assert_eq!(fresh, ["a", "b"]);
        assert_eq!(assigned.indices, [(Hash::leaf(b"a"), 10), (Hash::leaf(b"b"), 11)].into_iter().collect());
    }

    #[test]
    fn without_dedup_every_entry_has_an_index_of_its_own() {
        let assigned = assign(batch(&[&["a"], &["a", "a"]]), &[None; 3], 0, false);
        assert_eq!(indices(&assigned), [vec![0], vec![1, 2]]);
        assert_eq!(assigned.fresh.len(), 3);
    }

    fn published(size: u64) -> Arc<SignedCheckpoint> {
        let key = kiln_tiles::SigningKey::from_seed("example.com/log".parse().unwrap(), [1; 32]);
        let head = kiln_tiles::TreeHead::new(size, Hash::leaf(b"root")).unwrap();
        let text = kiln_tiles::Checkpoint::new("example.com/log", head).unwrap().to_string();
        let log = kiln_tiles::TrustedLog::from(key.verifier_key());
        Arc::new(log.open_note(key.sign(text).unwrap()).unwrap())
    }

    /// A duplicate of an entry whose round is committed and not published was answered at once.
    #[test]
    fn a_hit_waits_like_a_first_submission() {
        let answers = Answers::default();
        answers.published(&published(9), 5);
        let submit = |index, wait| {
            let (answer, answered) = oneshot::channel();
            answers.expect(vec![Waiting { indices: vec![2, index], duplicates: 0, wait, answer }]);
            answered
        };
        let mut waiting: Vec<_> =
            [(4, Wait::Published), (5, Wait::Sequenced), (5, Wait::Published), (6, Wait::Sequenced)]
                .into_iter()
                .map(|(index, wait)| submit(index, wait))
                .collect();
        let mut answered = || waiting.iter_mut().map(|w| w.try_recv().is_ok()).collect::<Vec<_>>();
        assert_eq!(answered(), [true, false, false, false]);
        answers.guarded(6);
        assert_eq!(answered(), [false, true, false, false]);
        answers.published(&published(9), 6);
        assert_eq!(answered(), [false, false, true, false]);
        answers.guarded(7);
        assert_eq!(answered(), [false, false, false, true]);
    }
}
