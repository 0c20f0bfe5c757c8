//! The dedup index: which leaf hash has which index. Exact, synchronous, and no state of its own:
//! it can be deleted at any time and is built anew from the log's tiles.
//!
//! It is written after a commit, never before, together with the tree that it then covers. What
//! it lacks is caught up before a log takes its first entry.

mod chain;
#[cfg(test)]
mod damage;
mod directory;
mod disk;
mod fault;
mod frozen;
#[cfg(test)]
mod growth;
mod making;
mod merge;
mod page;
mod run;
mod runs;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disk::Disk;
use fault::Fault;
use kiln_tiles::{Hash, TreeHead};

/// Leaf hashes in memory. A key that is drawn at each start keeps those who search for leaves that would share a place
/// from finding any; that a leaf is a hash already is not enough.
pub(crate) type LeafMap = foldhash::HashMap<Hash, u64>;

/// Which leaf hash has which index.
#[derive(Clone, Debug)]
pub struct Dedup(Index);

#[derive(Clone, Debug)]
enum Index {
    Off,
    Memory(Arc<Mutex<Memory>>),
    Disk(Disk),
}

#[derive(Debug)]
struct Memory {
    indices: LeafMap,
    covered: TreeHead,
}

/// The index could not be read or written. The log can be loaded again; an index that was damaged is
/// gone by then.
#[derive(Debug, thiserror::Error)]
#[error("the dedup index: {0}")]
pub struct DedupError(#[from] Fault);

/// Which of the leaves that are to be added the index may have already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Known {
    /// None: each was looked up when its round was planned.
    None,
    /// Some.
    Some,
}

/// How many leaves the index on disk keeps in memory before they become a run.
const MOST_RECENT: usize = 1 << 18;

impl Dedup {
    /// No index: equal entries are logged as often as they are sent.
    #[must_use]
    pub const fn off() -> Self {
        Self(Index::Off)
    }

    /// An index that is built anew at each start and grows with the log: for tests and small logs.
    #[must_use]
    pub fn in_memory() -> Self {
        let memory = Memory { indices: LeafMap::default(), covered: TreeHead::empty() };
        Self(Index::Memory(Arc::new(Mutex::new(memory))))
    }

    /// The index in a folder of its own, opened when it is first used; whatever else is in the folder goes. What
    /// is damaged, as after a power cut, is thrown away, with all that came after it: it is built anew from the
    /// log. Where the damage is found late the operation fails, and the next one finds an index that covers less.
    #[must_use]
    pub fn on_disk(folder: PathBuf) -> Self {
        Self(Index::Disk(Disk::new(folder, MOST_RECENT)))
    }

    pub(crate) const fn is_on(&self) -> bool {
        !matches!(self.0, Index::Off)
    }

    pub(crate) const fn is_on_disk(&self) -> bool {
        matches!(self.0, Index::Disk(_))
    }

    /// The tree whose leaves are all in the index. May block on a disk.
    ///
    /// # Errors
    /// Where the index cannot be read, or was damaged.
    pub fn covered(&self) -> Result<TreeHead, DedupError> {
        match &self.0 {
            Index::Off => Ok(TreeHead::empty()),
            Index::Memory(memory) => Ok(lock(memory).covered),
            Index::Disk(disk) => Ok(disk.covered()?),
        }
    }

    /// The index of each leaf hash, where it has one. May block on a disk.
    ///
    /// # Errors
    /// Where the index cannot be read, or was damaged.
    pub fn look_up(&self, leaves: &[Hash]) -> Result<Vec<Option<u64>>, DedupError> {
        match &self.0 {
            Index::Off => Ok(vec![None; leaves.len()]),
            Index::Memory(memory) => {
                let memory = lock(memory);
                Ok(leaves.iter().map(|leaf| memory.indices.get(leaf).copied()).collect())
            }
            Index::Disk(disk) => Ok(disk.look_up(leaves)?),
        }
    }

    /// Adds the leaves that come after those covered, which makes it cover `covered`. A leaf hash
    /// that is known keeps its first index. May block on a disk.
    ///
    /// # Errors
    /// Where the index cannot be written, or was damaged, or covers another tree than that before these leaves.
    ///
    /// # Panics
    /// Where there are more leaves than `covered` has.
    pub fn insert(&self, leaves: &[Hash], covered: TreeHead, known: Known) -> Result<(), DedupError> {
        let first = covered.size().checked_sub(leaves.len() as u64).expect("the leaves are of that tree");
        match &self.0 {
            Index::Off => Ok(()),
            Index::Memory(memory) => {
                let mut memory = lock(memory);
                for (leaf, index) in leaves.iter().zip(first..) {
                    memory.indices.entry(*leaf).or_insert(index);
                }
                memory.covered = covered;
                Ok(())
            }
            Index::Disk(disk) => Ok(disk.insert(leaves, first, covered, known)?),
        }
    }

    /// Throws everything away. May block on a disk.
    pub(crate) fn clear(&self) -> Result<(), DedupError> {
        match &self.0 {
            Index::Off => Ok(()),
            Index::Memory(memory) => {
                *lock(memory) = Memory { indices: LeafMap::default(), covered: TreeHead::empty() };
                Ok(())
            }
            Index::Disk(disk) => Ok(disk.clear()?),
        }
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u8) -> Hash {
        Hash::leaf(&[n])
    }

    fn head(size: u64) -> TreeHead {
        TreeHead::new(size, leaf(0)).unwrap()
    }

    fn check(dedup: &Dedup) {
        assert_eq!(dedup.covered().unwrap(), TreeHead::empty());
        dedup.insert(&[leaf(1), leaf(2), leaf(1)], head(3), Known::Some).unwrap();
        dedup.insert(&[leaf(2), leaf(3)], head(5), Known::Some).unwrap();
        assert_eq!(dedup.covered().unwrap(), head(5));
        let found = dedup.look_up(&[leaf(1), leaf(2), leaf(3), leaf(4)]).unwrap();
        assert_eq!(found, [Some(0), Some(1), Some(4), None], "the first index is kept");
    }

    #[test]
    fn both_kinds_keep_the_first_index_and_can_be_cleared() {
        let folder = tempfile::tempdir().unwrap();
        for dedup in [Dedup::in_memory(), Dedup::on_disk(folder.path().join("dedup"))] {
            check(&dedup);
            dedup.clear().unwrap();
            assert_eq!(dedup.look_up(&[leaf(1)]).unwrap(), [None]);
            check(&dedup);
        }
    }

    #[test]
    fn an_index_on_disk_survives_a_restart_and_a_damaged_one_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dedup");
        check(&Dedup::on_disk(path.clone()));
        assert_eq!(Dedup::on_disk(path.clone()).covered().unwrap(), head(5));
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("0-5.run"), b"nonsense").unwrap();
        assert_eq!(Dedup::on_disk(path).covered().unwrap(), TreeHead::empty());
    }

    /// A second process found the first one's index locked, took that for damage and deleted it.
    #[test]
    fn an_index_that_somebody_has_open_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Dedup::on_disk(folder.path().join("dedup"));
        first.insert(&[leaf(1)], head(1), Known::Some).unwrap();
        assert!(Dedup::on_disk(folder.path().join("dedup")).covered().is_err());
        assert_eq!(first.look_up(&[leaf(1)]).unwrap(), [Some(0)]);
        drop(first);
        let again = Dedup::on_disk(folder.path().join("dedup"));
        assert_eq!(again.look_up(&[leaf(1)]).unwrap(), [Some(0)]);
    }
}
