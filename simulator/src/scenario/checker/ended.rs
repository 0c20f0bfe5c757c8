//! The end of a log, which nothing follows.

use super::{Checked, Checker};

impl Checker {
    /// Whether the head says that the log has ended, and the store did not go back in time.
    pub(crate) const fn is_frozen(&self) -> bool {
        self.frozen.is_some() && !self.tampered
    }

    /// Who ended the log was told that it has.
    pub(crate) fn is_frozen_for_sure(&mut self) -> Checked {
        if self.frozen.is_none() && !self.tampered {
            return Err("a log was ended, and its head does not say so".into());
        }
        self.frozen_for_sure = true;
        Ok(())
    }

    /// The head has changed.
    pub(super) fn check_nothing_follows_the_end(&self) -> Checked {
        match &self.frozen {
            Some(end) => Err(format!("the head changed after the log was frozen at {}", end.head())),
            None => Ok(()),
        }
    }

    /// Somebody was promised a tree of this size.
    pub(super) fn check_is_within_the_end(&self, size: u64) -> Checked {
        match self.frozen.as_ref().filter(|end| !self.tampered && end.size() < size) {
            Some(end) => Err(format!("size {size} was promised after the log was frozen at {}", end.head())),
            None => Ok(()),
        }
    }
}
