//! What was promised: guarded, signed, or answered. All of it is one chain.

use std::sync::Arc;

use bytes::Bytes;
use kiln_sequencer::{Answer, Wait};
use kiln_tiles::TreeHead;

use super::{Checked, Checker, Commit};

impl Checker {
    /// A guard may have changed.
    pub(crate) fn look_at_guard(&mut self, number: usize) -> Checked {
        let guarded = self.read_guard(number)?;
        if !guarded.extends(&self.guards[number]) {
            let (from, to) = (self.guards[number].head(), guarded.head());
            return Err(format!("guard {number} does not extend what it held: {from} became {to}"));
        }
        if !self.tampered && !self.at.extends(&guarded) {
            return Err(format!("guard {number} is further than the head: {}", guarded.head()));
        }
        self.guards[number] = guarded;
        Ok(())
    }

    pub(super) fn read_guard(&self, number: usize) -> Checked<Arc<Commit>> {
        let Some(value) = self.eye.guard(number) else {
            return Ok(self.commits.find(TreeHead::empty()).expect("the empty tree").clone());
        };
        let text = String::from_utf8_lossy(&value);
        let tree: Option<TreeHead> = text.lines().nth(2).and_then(|line| line.parse().ok());
        let tree = tree.ok_or("a guard is damaged")?;
        self.commits
            .find(tree)
            .cloned()
            .ok_or_else(|| format!("guard {number} knows a tree that was never committed: {tree}"))
    }

    /// A process wants this checkpoint to stand: it signed it.
    pub(crate) fn signed(&mut self, note: &[u8]) -> Checked {
        let checkpoint =
            self.log.open(note).map_err(|error| format!("a checkpoint is not signed: {error}"))?;
        let tree = checkpoint.head();
        self.check_is_within_the_end(tree.size())?;
        let signed = self.commits.find(tree).ok_or_else(|| format!("signed, and never committed: {tree}"))?;
        let signed = signed.clone();
        if self.guards.iter().any(|guarded| !guarded.extends(&signed)) {
            return Err(format!("signed before it was guarded: {tree}"));
        }
        self.promise(signed)
    }

    /// All that is promised is one chain.
    fn promise(&mut self, promised: Arc<Commit>) -> Checked {
        if promised.extends(&self.promised) {
            self.promised = promised;
        } else if !self.promised.extends(&promised) {
            let (before, now) = (self.promised.head(), promised.head());
            return Err(format!(
                "two trees were promised that do not extend one another: {before} and {now}"
            ));
        }
        Ok(())
    }

    /// A submitter got an answer.
    pub(crate) fn answered(&mut self, entries: &[Bytes], answer: &Answer, wait: Wait) -> Checked {
        if entries.len() != answer.indices.len() {
            return Err("an answer has another number of indices than entries were sent".into());
        }
        for (entry, &index) in entries.iter().zip(&answer.indices) {
            self.check_answer(entry, index)?;
            if wait == Wait::Published && answer.checkpoint.head().size() <= index {
                return Err(format!("index {index} was answered with a checkpoint that does not cover it"));
            }
        }
        let shown = answer.checkpoint.head();
        let visible = self.published.values().any(|(commit, _)| commit.head() == shown);
        if visible || self.tampered {
            Ok(())
        } else {
            Err(format!("an answer shows what was never published: {shown}"))
        }
    }

    fn check_answer(&mut self, entry: &Bytes, index: u64) -> Checked {
        self.check_is_within_the_end(index + 1)?;
        for guarded in &self.guards {
            if guarded.entry(index) != Some(entry) {
                return Err(format!(
                    "index {index} was answered for {entry:?}, and is not in the guarded tree"
                ));
            }
        }
        let before = *self.answered.entry(entry.clone()).or_insert(index);
        if self.dedup && before != index {
            return Err(format!("{entry:?} was answered with index {before} and {index}"));
        }
        let first = self.guards[0].first_with(index).cloned();
        first.map_or(Ok(()), |first| self.promise(first))
    }
}
