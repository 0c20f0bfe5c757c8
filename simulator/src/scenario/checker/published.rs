//! What is published, and everything that it implies.

use std::sync::Arc;

use kiln_sequencer::Tree;
use kiln_storage::Object;

use super::{Checked, Checker, Commit};

impl Checker {
    /// The published checkpoint may have changed.
    pub(crate) fn look_at_checkpoint(&mut self) -> Checked {
        let Some(found) = self.read_checkpoint()? else { return Ok(()) };
        if self.tampered {
            return Ok(());
        }
        match &self.visible {
            Some(before) if before.head() == found.head() => Ok(()),
            Some(before) if !found.extends(before) => {
                Err(format!("the published checkpoint went back: {} became {}", before.head(), found.head()))
            }
            _ => self.publish(found),
        }
    }

    /// A put of the checkpoint that stands was answered.
    pub(crate) fn checkpoint_was_put(&mut self) -> Checked {
        self.put = self.visible.as_ref().map_or(0, |visible| visible.size());
        Ok(())
    }

    pub(super) fn read_checkpoint(&self) -> Checked<Option<Arc<Commit>>> {
        let path = "checkpoint".parse().expect("an object name");
        let Some(note) = self.eye.object(&path) else { return Ok(None) };
        let opened = self.log.open(&note).map_err(|error| format!("the checkpoint that stands: {error}"))?;
        let found = self.commits.find(opened.head());
        found.cloned().map(Some).ok_or_else(|| "a checkpoint stands that was never committed".into())
    }

    fn publish(&mut self, commit: Arc<Commit>) -> Checked {
        let before = self.published.last_key_value().map(|(_, (before, _))| before);
        let mut tree = before.map_or_else(Tree::empty, |before| before.tree.clone());
        let objects = match usize::try_from(tree.size()) {
            Ok(size) if size < commit.entries.len() => tree.append(&commit.entries[size..]),
            _ => Vec::new(),
        };
        self.check_readable(&objects, &format!("{} was published", commit.head()))?;
        self.published.insert(commit.size(), (commit.clone(), objects));
        self.visible = Some(commit);
        Ok(())
    }

    pub(super) fn check_readable(&self, objects: &[Object], why: &str) -> Checked {
        match objects.iter().find(|object| !self.is_readable(object)) {
            Some(missing) => Err(format!("{why}, and {} cannot be read", missing.path)),
            None => Ok(()),
        }
    }

    /// A partial tile or bundle may have given way to the full one.
    fn is_readable(&self, object: &Object) -> bool {
        if let Some(found) = self.eye.object(&object.path) {
            return found == object.body;
        }
        let full = object.path.as_str().split_once(".p/").and_then(|(full, _)| full.parse().ok());
        let full = full.and_then(|full| self.eye.object(&full));
        full.is_some_and(|full| full.starts_with(&object.body))
    }

    /// A process makes an object.
    pub(crate) fn creates(&self, object: &Object) -> Checked {
        match self.commits.implied(&object.path) {
            _ if self.tampered => Ok(()),
            Some(implied) if *implied == object.body => Ok(()),
            Some(_) => Err(format!("{} is written with other bytes than were committed", object.path)),
            None => Err(format!("{} is written, and was never committed", object.path)),
        }
    }

    /// Made objects are what was to be made.
    pub(crate) fn made(&self, objects: &[Object]) -> Checked {
        match objects.iter().find(|object| self.eye.object(&object.path).as_ref() != Some(&object.body)) {
            Some(other) if !self.tampered => Err(format!("{} was made, and is not there", other.path)),
            _ => Ok(()),
        }
    }
}
