//! The copies of all logs, opened when they are first asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_storage::{Folder, StorageError};
use kiln_tiles::Hash;
use tokio::sync::OnceCell;

use super::FolderCopy;
use super::copy::{LogCopy, LogCopyError};
use crate::store::Store;

type Cell = Arc<OnceCell<Arc<FolderCopy>>>;

/// A folder with one for each log, named by the hash of its origin.
#[derive(Debug)]
pub(super) struct Copies {
    folder: PathBuf,
    cells: Mutex<HashMap<Hash, Cell>>,
}

impl Copies {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, cells: Mutex::default() }
    }

    /// The copy of a log. The folder is made where it is missing.
    pub(super) async fn open(
        &self,
        origin_hash: Hash,
        state: &Arc<Store>,
    ) -> Result<Arc<FolderCopy>, LogCopyError> {
        let cell = self.lock().entry(origin_hash).or_default().clone();
        let opened = cell.get_or_try_init(|| async {
            let (root, state) = (self.folder.join(origin_hash.to_hex()), state.clone());
            let opening = tokio::task::spawn_blocking(move || open(&root, &state, origin_hash));
            let (folder, held, shown) =
                opening.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            let copy = LogCopy::open(origin_hash, folder, held).await?;
            copy.show(shown);
            Ok::<_, LogCopyError>(Arc::new(copy))
        });
        opened.await.cloned()
    }

    /// Whether the copy of a log is open.
    pub(super) fn is_known(&self, origin_hash: Hash) -> bool {
        self.lock().get(&origin_hash).is_some_and(|cell| cell.initialized())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Cell>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Opened = (Folder, Option<kiln_tiles::TreeHead>, u64);

fn open(root: &Path, state: &Store, origin_hash: Hash) -> Result<Opened, LogCopyError> {
    let folder: Result<Folder, StorageError> = Folder::open(root, "kiln mirror".to_owned());
    let shown = state.cosigned(origin_hash)?.map_or(0, |record| record.head().size());
    Ok((folder?, state.held(origin_hash)?, shown))
}
