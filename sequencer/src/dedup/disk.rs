//! The dedup index in a folder, opened when it is first used, and anew after each fault.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_tiles::{Hash, TreeHead};

use super::Known;
use super::fault::Fault;
use super::runs::Runs;

/// An index in a folder of its own. By the time it is opened the caller holds the log, so nobody else
/// has it open.
#[derive(Clone)]
pub(super) struct Disk {
    folder: PathBuf,
    most_recent: usize,
    /// Locked while an operation runs: none may write to a folder that another one opens anew.
    runs: Arc<Mutex<Option<Runs>>>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Disk({})", self.folder.display())
    }
}

impl Disk {
    /// `most_recent` is how many leaves are kept in memory before they go to the disk.
    pub(super) fn new(folder: PathBuf, most_recent: usize) -> Self {
        Self { folder, most_recent, runs: Arc::default() }
    }

    pub(super) fn covered(&self) -> Result<TreeHead, Fault> {
        self.with(|runs| Ok(runs.covered()))
    }

    pub(super) fn look_up(&self, leaves: &[Hash]) -> Result<Vec<Option<u64>>, Fault> {
        self.with(|runs| runs.look_up(leaves))
    }

    pub(super) fn insert(
        &self,
        leaves: &[Hash],
        first: u64,
        covered: TreeHead,
        known: Known,
    ) -> Result<(), Fault> {
        self.with(|runs| runs.insert(leaves, first, covered, known))
    }

    pub(super) fn clear(&self) -> Result<(), Fault> {
        self.with(Runs::clear)
    }

    /// Runs one operation. After a fault the index is opened anew the next time: what was damaged
    /// is gone by then.
    fn with<T>(&self, operation: impl FnOnce(&mut Runs) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut open = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut runs = match open.take() {
            Some(runs) => runs,
            None => Runs::open(&self.folder, self.most_recent)?,
        };
        let done = operation(&mut runs)?;
        *open = Some(runs);
        Ok(done)
    }
}
