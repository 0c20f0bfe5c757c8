//! What must be there when the power is back, and what an adversary makes void.

use std::sync::Arc;

use kiln_sequencer::HeadRecord;

use super::{Checked, Checker, Commit};

impl Checker {
    /// The power was out. Of what no call was answered for, each part may be there or not.
    pub(crate) fn look_after_power_cut(&mut self) -> Checked {
        if self.tampered {
            return self.look_at_what_is_left_of_the_guards();
        }
        self.look_at_what_is_left_of_the_head()?;
        self.look_at_what_is_left_of_the_guards()?;
        self.look_at_what_is_left_for_readers()
    }

    fn look_at_what_is_left_of_the_guards(&mut self) -> Checked {
        for number in 0..self.guards.len() {
            let guarded = self.read_guard(number)?;
            let is_committed = self.tampered || self.at.extends(&guarded);
            if !guarded.extends(&self.promised) || !is_committed {
                let (tree, at) = (guarded.head(), self.at.head());
                return Err(format!("a power cut left guard {number} at {tree}, the head at {at}"));
            }
            self.guards[number] = guarded;
        }
        Ok(())
    }

    fn look_at_what_is_left_of_the_head(&mut self) -> Checked {
        let Some(bytes) = self.eye.head() else {
            self.bytes = None;
            return if self.promised.size() == 0 {
                Ok(())
            } else {
                Err("a power cut took the head away".into())
            };
        };
        let record = HeadRecord::parse(&bytes).map_err(|error| error.to_string())?;
        let (base, left) = self.commits.add(&record)?;
        if !left.extends(&self.promised) {
            let (promised, left) = (self.promised.head(), left.head());
            return Err(format!("a power cut took away what was promised: {promised}, and left {left}"));
        }
        if self.frozen_for_sure && !record.frozen {
            return Err("a power cut took the end of a log away".into());
        }
        self.frozen = record.frozen.then(|| left.clone());
        self.left = base;
        self.logged.clear();
        self.logged.extend(left.entries.iter().map(kiln_sequencer::Entry::leaf));
        (self.at, self.bytes, self.number) = (left, Some(bytes), record.number);
        Ok(())
    }

    /// A plain file server serves this at once, before any process is back.
    fn look_at_what_is_left_for_readers(&mut self) -> Checked {
        self.visible = self.read_checkpoint()?;
        let visible = self.visible.as_ref().map_or(0, |visible| visible.size());
        if visible < self.put {
            return Err(format!(
                "a power cut left the checkpoint at size {visible}, and {} stood for sure",
                self.put
            ));
        }
        self.check_all_that_was_published("a power cut")
    }

    /// Everything that any published checkpoint implied can still be read.
    pub(crate) fn check_all_that_was_published(&self, after: &str) -> Checked {
        for (commit, objects) in self.published.values() {
            self.check_readable(objects, &format!("{} was published, then came {after}", commit.head()))?;
        }
        Ok(())
    }

    /// The store goes back in time. From now on its contents prove nothing, and what was promised
    /// must not be contradicted.
    pub(crate) fn tamper(&mut self) {
        self.tampered = true;
        let found = self.eye.head().and_then(|bytes| Some((HeadRecord::parse(&bytes).ok()?, bytes)));
        if let Some((record, bytes)) = found {
            let known: Option<Arc<Commit>> = self.commits.find(record.head).cloned();
            self.at = known.unwrap_or_else(|| self.at.clone());
            self.bytes = Some(bytes);
        }
    }
}
