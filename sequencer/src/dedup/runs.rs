//! The dedup index on disk: runs of sorted leaves, each of which begins where the one before ends, and the newest
//! leaves in memory.
//!
//! There is no list of the runs: which stretch each has stands in it, and those that follow on each other from the
//! first leaf of the log are the index. What comes after a gap, or was damaged, is deleted; the index covers
//! less then, and the log adds the rest again. What was only in memory when a process died is added again as well.
//! Runs are written and merged in the background, and only a merge waits for the disk.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;
use kiln_tiles::{Hash, TreeHead};

use super::chain;
use super::directory::{Probe, fraction};
use super::fault::Fault;
use super::frozen::Frozen;
use super::making::{MakeError, Making};
use super::merge;
use super::run::{Run, Stretch};
use super::{Known, LeafMap};

/// The index while it is open, which is in one place only.
#[derive(Debug)]
pub(super) struct Runs {
    folder: PathBuf,
    /// How many leaves are kept in memory before they become a run.
    most_recent: usize,
    /// Oldest first.
    runs: Vec<Run>,
    /// Those that come after the runs and are being written.
    frozen: Option<Frozen>,
    recent: LeafMap,
    covered: TreeHead,
    merges: Vec<Making>,
    _lock: File,
}

impl Runs {
    /// Opens the index in a folder of its own, which is made if it is not there.
    pub(super) fn open(folder: &Path, most_recent: usize) -> Result<Self, Fault> {
        fs::create_dir_all(folder)?;
        let lock = lock(&folder.join(LOCK))?;
        let runs = chain::open(folder)?;
        let covered = written(&runs);
        let (folder, recent, merges) = (folder.to_owned(), LeafMap::default(), Vec::new());
        Ok(Self { folder, most_recent, runs, frozen: None, recent, covered, merges, _lock: lock })
    }

    /// The tree whose leaves are all there.
    pub(super) const fn covered(&self) -> TreeHead {
        self.covered
    }

    /// The index of each leaf hash, where it has one.
    pub(super) fn look_up(&mut self, leaves: &[Hash]) -> Result<Vec<Option<u64>>, Fault> {
        let mut found: Vec<_> = leaves.iter().map(|leaf| self.in_memory(leaf)).collect();
        let probes = probes(leaves, &found);
        for run in &mut self.runs {
            for (probe, position) in &probes {
                let index =
                    run.find(&leaves[*position], probe).map_err(|fault| throw_away(run.path(), fault))?;
                found[*position] = found[*position].or(index);
            }
        }
        let size = self.covered.size();
        if found.iter().flatten().all(|&index| index < size) { Ok(found) } else { Err(Fault::Absurd) }
    }

    fn in_memory(&self, leaf: &Hash) -> Option<u64> {
        self.recent.get(leaf).copied().or_else(|| self.frozen.as_ref()?.get(leaf))
    }

    /// Adds the leaves from `first` on, which makes it cover `covered`.
    pub(super) fn insert(
        &mut self,
        leaves: &[Hash],
        first: u64,
        covered: TreeHead,
        known: Known,
    ) -> Result<(), Fault> {
        // It may have become less since the caller asked what it covers: no gap may come of that.
        if self.covered.size() != first {
            return Err(Fault::Behind { covered: self.covered.size(), first });
        }
        let found = match known {
            Known::None => vec![None; leaves.len()],
            Known::Some => self.look_up(leaves)?,
        };
        for ((leaf, index), _) in leaves.iter().zip(first..).zip(found).filter(|(_, found)| found.is_none()) {
            // Of equal ones the first comes first, and is the one that stays.
            self.recent.entry(*leaf).or_insert(index);
        }
        self.covered = covered;
        self.tidy()
    }

    /// Moves the newest leaves to a run of their own when they are many, and merges runs, all in the background.
    fn tidy(&mut self) -> Result<(), Fault> {
        let full = self.recent.len() >= self.most_recent;
        // No more are kept in memory: those before must be written by the time that the next ones are to be.
        if let Some(frozen) = self.frozen.take_if(|frozen| full || frozen.is_written()) {
            self.thaw(frozen)?;
            self.install()?;
            self.begin_merge()?;
        }
        if full { self.freeze() } else { Ok(()) }
    }

    fn freeze(&mut self) -> Result<(), Fault> {
        let stretch = Stretch { first: written(&self.runs).size(), covered: self.covered };
        // As many may come again, and to make room for them bit by bit is more work than to add them.
        let room = LeafMap::with_capacity_and_hasher(self.recent.len(), RandomState::default());
        match Frozen::write(&self.folder, stretch, std::mem::replace(&mut self.recent, room)) {
            Ok(frozen) => self.frozen = Some(frozen),
            Err(fault) => return Err(self.forget(fault)),
        }
        Ok(())
    }

    /// Waits for the run of leaves that were in memory.
    fn thaw(&mut self, frozen: Frozen) -> Result<(), Fault> {
        match frozen.finish() {
            Ok(run) => self.runs.push(run),
            Err(fault) => return Err(self.forget(fault)),
        }
        Ok(())
    }

    /// Forgets all that is in memory once a part of it is lost: what came after it would be a run with a hole.
    fn forget(&mut self, fault: Fault) -> Fault {
        self.recent.clear();
        self.covered = written(&self.runs);
        fault
    }

    /// Makes runs of all that is in memory.
    fn write_out(&mut self) -> Result<(), Fault> {
        if let Some(frozen) = self.frozen.take() {
            self.thaw(frozen)?;
        }
        if self.covered.size() > written(&self.runs).size() {
            self.freeze()?;
        }
        self.frozen.take().map_or(Ok(()), |frozen| self.thaw(frozen))
    }

    /// Puts what was merged in the place of the runs that it was made of.
    fn install(&mut self) -> Result<(), Fault> {
        let (finished, working) = self.merges.drain(..).partition(Making::is_finished);
        self.merges = working;
        let finished: Vec<Making> = finished;
        finished.into_iter().try_for_each(|merge| match merge.finish() {
            Ok(merged) => self.replace(merged),
            Err(error) => undone(error),
        })
    }

    fn replace(&mut self, merged: Run) -> Result<(), Fault> {
        let Stretch { first, covered } = merged.stretch();
        let within =
            |run: &Run| run.stretch().first >= first && run.stretch().covered.size() <= covered.size();
        let start = self.runs.partition_point(|run| run.stretch().first < first);
        let count = self.runs[start..].iter().take_while(|run| within(run)).count();
        let replaced = self.runs.splice(start..start + count, [merged]);
        Ok(replaced.into_iter().try_for_each(|run| fs::remove_file(run.path()))?)
    }

    fn begin_merge(&mut self) -> Result<(), Fault> {
        let merging = self.merges.iter().map(|merge| merge.stretch().covered.size()).max().unwrap_or(0);
        let free = self.runs.partition_point(|run| run.stretch().first < merging);
        let records: Vec<u64> = self.runs[free..].iter().map(Run::records).collect();
        let Some(due) = merge::due(&records) else {
            return Ok(());
        };
        match merge::begin(&self.folder, &self.runs[free..][due]) {
            Ok(merge) => self.merges.push(merge),
            Err(error) => undone(error)?,
        }
        Ok(())
    }

    /// Throws everything away.
    pub(super) fn clear(&mut self) -> Result<(), Fault> {
        self.merges.clear();
        self.frozen = None;
        self.recent.clear();
        self.covered = TreeHead::empty();
        // Newest first: what is left by a crash has no gap.
        while let Some(run) = self.runs.pop() {
            fs::remove_file(run.path())?;
        }
        Ok(())
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.merges.clear();
        if let Err(fault) = self.write_out() {
            tracing::warn!(%fault, "the newest leaves are not in the dedup index; they will be added again");
        }
    }
}

/// The name of the file that says who has the index open.
pub(super) const LOCK: &str = "lock";

fn lock(path: &Path) -> Result<File, Fault> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Fault::Held),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The tree whose leaves are all in these runs.
fn written(runs: &[Run]) -> TreeHead {
    runs.last().map_or_else(TreeHead::empty, |run| run.stretch().covered)
}

/// What is asked of each run, and the position of its leaf, for leaves that are not found yet: in the order of the
/// leaves, by which neighbours share the way.
fn probes(leaves: &[Hash], found: &[Option<u64>]) -> Vec<(Probe, usize)> {
    let missing = leaves.iter().zip(found).zip(0..).filter(|((_, found), _)| found.is_none());
    let mut order: Vec<(u64, usize)> =
        missing.map(|((leaf, _), position)| (fraction(leaf), position)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, position)| (Probe::of(&leaves[position]), position)).collect()
}

/// Deletes a run that is damaged: the index covers less when it is opened again.
fn throw_away(path: &Path, fault: Fault) -> Fault {
    if fault.is_damage() {
        tracing::warn!(path = %path.display(), %fault, "the dedup index is damaged; it is built anew from here");
        if let Err(error) = chain::remove(path) {
            return error.into();
        }
    }
    fault
}

/// A merge that failed is no harm, and is tried again, unless a run is damaged.
fn undone(MakeError { fault, input }: MakeError) -> Result<(), Fault> {
    match input {
        Some(path) if fault.is_damage() => Err(throw_away(&path, fault)),
        _ => {
            tracing::warn!(%fault, "runs of the dedup index were not merged");
            Ok(())
        }
    }
}
