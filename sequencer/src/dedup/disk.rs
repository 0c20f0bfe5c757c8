//! The dedup index in an embedded key-value store, which needs no sync of its own: what a power
//! cut takes is built anew.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use kiln_tiles::{Hash, TreeHead};

/// The key of the tree that the index covers; no leaf hash is that short.
const COVERED: &[u8] = b"covered";

/// An index in a folder of its own, opened when it is first used: by then the caller holds the log,
/// so nobody else has it open.
#[derive(Clone)]
pub(super) struct Disk {
    folder: PathBuf,
    opened: Arc<Mutex<Option<Opened>>>,
}

#[derive(Clone)]
struct Opened {
    database: Database,
    indices: Keyspace,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Disk({})", self.folder.display())
    }
}

impl Disk {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, opened: Arc::default() }
    }

    /// Runs one operation. After an error the store is opened anew the next time: it may refuse to
    /// go on after a failed write.
    fn with<T>(&self, operation: impl FnOnce(&Opened) -> fjall::Result<T>) -> fjall::Result<T> {
        let opened = self.opened()?;
        operation(&opened).inspect_err(|_| drop(self.slot().take()))
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> fjall::Result<Opened> {
        let mut slot = self.slot();
        if let Some(opened) = &*slot {
            return Ok(opened.clone());
        }
        let opened = self.open().or_else(|error| self.open_anew(error))?;
        Ok(slot.insert(opened).clone())
    }

    fn open(&self) -> fjall::Result<Opened> {
        let database = Database::builder(&self.folder).open()?;
        let indices = database.keyspace("indices", KeyspaceCreateOptions::default)?;
        Ok(Opened { database, indices })
    }

    /// A damaged index, as after a power cut, is thrown away. One that merely cannot be read now, or
    /// that another process has open, is left alone.
    fn open_anew(&self, error: fjall::Error) -> fjall::Result<Opened> {
        if !is_damage(&error) {
            return Err(error);
        }
        tracing::warn!(%error, "the dedup index is damaged; it is built anew");
        std::fs::remove_dir_all(&self.folder)?;
        self.open()
    }

    pub(super) fn covered(&self) -> fjall::Result<TreeHead> {
        let value = self.with(|opened| opened.indices.get(COVERED))?;
        // What cannot be read covers nothing: it is built anew.
        let head = value.and_then(|value| std::str::from_utf8(&value).ok()?.parse().ok());
        Ok(head.unwrap_or_else(TreeHead::empty))
    }

    pub(super) fn look_up(&self, leaves: &[Hash]) -> fjall::Result<Vec<Option<u64>>> {
        self.with(|opened| leaves.iter().map(|leaf| opened.look_up(*leaf)).collect())
    }

    pub(super) fn insert(&self, leaves: &[Hash], first: u64, covered: TreeHead) -> fjall::Result<()> {
        self.with(|opened| opened.insert(leaves, first, covered))
    }

    pub(super) fn clear(&self) -> fjall::Result<()> {
        self.with(|opened| opened.indices.clear())
    }
}

fn is_damage(error: &fjall::Error) -> bool {
    use std::io::ErrorKind;
    let damaged = |e: &std::io::Error| matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData);
    match error {
        fjall::Error::Locked | fjall::Error::Poisoned => false,
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => damaged(error),
        _ => true,
    }
}

impl Opened {
    fn look_up(&self, leaf: Hash) -> fjall::Result<Option<u64>> {
        let value = self.indices.get(leaf.as_bytes())?;
        Ok(value.and_then(|value| Some(u64::from_be_bytes(value.as_ref().try_into().ok()?))))
    }

    fn insert(&self, leaves: &[Hash], first: u64, covered: TreeHead) -> fjall::Result<()> {
        let mut batch = self.database.batch();
        let mut fresh = std::collections::HashSet::with_capacity(leaves.len());
        for (leaf, index) in leaves.iter().zip(first..) {
            if fresh.insert(*leaf) && self.look_up(*leaf)?.is_none() {
                batch.insert(&self.indices, leaf.as_bytes(), index.to_be_bytes());
            }
        }
        batch.insert(&self.indices, COVERED, covered.to_string());
        batch.commit()
    }
}
