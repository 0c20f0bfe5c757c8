//! Which index each entry of a batch gets, and who waits to hear of it.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_tiles::{Hash, SignedCheckpoint};
use tokio::sync::oneshot;

use crate::entry::Entry;
use crate::pool::{Answer, Submission, Wait};

/// Submitters whose entries have an index, and what they wait for. Those that are dropped learn
/// that their outcome is unknown.
#[derive(Debug, Default)]
pub(crate) struct Answers(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    indices: Vec<u64>,
    wait: Wait,
    answer: oneshot::Sender<Answer>,
}

/// A batch with an index for each of its entries.
#[derive(Debug)]
pub(crate) struct Assigned {
    /// The entries that are new, in the order of their indices.
    pub(crate) fresh: Vec<Entry>,
    /// Who waits for the new entries, and those equal to them.
    pub(crate) answers: Answers,
    /// Who sent only what the log has already.
    pub(crate) known: Answers,
}

/// Gives each entry of a batch its index: the one `found` for it, entry by entry, or the next from
/// `next` on. With `dedup`, equal entries within the batch share one.
pub(crate) fn assign(batch: Vec<Submission>, found: &[Option<u64>], next: u64, dedup: bool) -> Assigned {
    let mut found = found.iter();
    let mut assigner = Assigner { next, dedup, fresh: Vec::new(), seen: HashMap::new() };
    let (mut answers, mut known) = (Answers::default(), Answers::default());
    for Submission { entries, wait, answer } in batch {
        let mut assign_one = |entry| found.next().copied().flatten().unwrap_or_else(|| assigner.index(entry));
        let indices: Vec<u64> = entries.into_iter().map(&mut assign_one).collect();
        let all_known = indices.iter().all(|&index| index < next);
        let waiting = Waiting { indices, wait, answer };
        if all_known { known.0.push(waiting) } else { answers.0.push(waiting) }
    }
    Assigned { fresh: assigner.fresh, answers, known }
}

struct Assigner {
    next: u64,
    dedup: bool,
    fresh: Vec<Entry>,
    seen: HashMap<Hash, u64>,
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
    /// The entries are committed and guarded: answers those who wait for no more.
    pub(crate) fn sequenced(&mut self, newest: &Arc<SignedCheckpoint>) {
        let ready = |waiting: &mut Waiting| waiting.wait == Wait::Sequenced;
        self.0.extract_if(.., ready).for_each(|waiting| waiting.answer(newest));
    }

    /// A checkpoint that covers the entries can be seen: answers everybody.
    pub(crate) fn published(self, checkpoint: &Arc<SignedCheckpoint>) {
        self.0.into_iter().for_each(|waiting| waiting.answer(checkpoint));
    }
}

impl Waiting {
    fn answer(self, checkpoint: &Arc<SignedCheckpoint>) {
        // Who went away in the meantime does not want to know.
        let _ = self.answer.send(Answer { indices: self.indices, checkpoint: checkpoint.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn batch(submissions: &[&[&'static str]]) -> Vec<Submission> {
        let entry = |text: &&'static str| Entry::new(Bytes::from_static(text.as_bytes())).unwrap();
        let submission = |texts: &&[&'static str]| Submission {
            entries: texts.iter().map(entry).collect(),
            wait: Wait::Published,
            answer: oneshot::channel().0,
        };
        submissions.iter().map(submission).collect()
    }

    fn indices(answers: &Answers) -> Vec<Vec<u64>> {
        answers.0.iter().map(|waiting| waiting.indices.clone()).collect()
    }

    #[test]
    fn equal_entries_share_an_index_and_new_ones_follow_one_another() {
        let found = [None, None, Some(3), None, Some(3)];
        let assigned = assign(batch(&[&["a", "b"], &["old", "a"], &["old"]]), &found, 10, true);
        assert_eq!(indices(&assigned.answers), [vec![10, 11], vec![3, 10]]);
        assert_eq!(indices(&assigned.known), [vec![3]]);
        let fresh: Vec<_> = assigned.fresh.iter().map(Entry::bytes).collect();
        assert_eq!(fresh, ["a", "b"]);
    }

    #[test]
    fn without_dedup_every_entry_has_an_index_of_its_own() {
        let assigned = assign(batch(&[&["a"], &["a", "a"]]), &[None; 3], 0, false);
        assert_eq!(indices(&assigned.answers), [vec![0], vec![1, 2]]);
        assert_eq!(assigned.fresh.len(), 3);
    }
}
