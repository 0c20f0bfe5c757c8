//! From a folder to a log that can be loaded: key, guard, lock, dedup index.

use std::path::PathBuf;
use std::sync::Arc;

use kiln_sequencer::{Dedup, DedupError, Log, create_log};
use kiln_storage::{Folder, FolderRegister, Register, StorageError, StorageErrorKind, Store};
use kiln_tiles::{SigningKey, VerifierKey};

use super::words::Made;
use super::{DedupMode, Serve};
use crate::environment::{self, System};
use crate::failure::Failure;

/// A log that exists.
pub(super) struct Opened {
    pub(super) log: Log<Folder, FolderRegister>,
    /// How it was made, if it was made just now.
    pub(super) made: Option<Made>,
}

impl Serve {
    /// Opens the log, or makes it where there is none: then `make` is true.
    pub(super) async fn open(&self, make: bool) -> Result<Opened, Failure> {
        let (key, chosen) = if make {
            self.store.key_of_new_log(&self.key, self.origin.clone())?
        } else {
            (self.store.key(&self.key, self.origin.as_ref())?, false)
        };
        let log = self.assemble(key).await?;
        if make {
            create_log(&log).await?;
        }
        let own_key = self.store.key_path();
        let key = own_key.is_file().then(|| own_key.canonicalize().unwrap_or(own_key));
        Ok(Opened { log, made: make.then_some(Made { chosen, key }) })
    }

    async fn assemble(&self, key: SigningKey) -> Result<Log<Folder, FolderRegister>, Failure> {
        let vkey = key.verifier_key();
        let owner = format!("kiln serve, process {} on {}", std::process::id(), environment::host_name());
        let guard = self.guard.open(&vkey, self.store.folder(), owner.clone())?;
        let folder = Folder::open(self.store.folder(), owner)?;
        let dedup = {
            // Whoever does not hold the store must not touch the index either: it is the holder's.
            let _lock = folder.head().load().await.map_err(held)?;
            self.dedup_index(&vkey).map_err(Failure::undone)?
        };
        Ok(Log::new(key, folder, guard, dedup, Arc::new(System)))
    }

    fn dedup_index(&self, vkey: &VerifierKey) -> Result<Dedup, DedupError> {
        if self.dedup == DedupMode::Off {
            return Ok(Dedup::off());
        }
        let path: PathBuf = match &self.cache_dir {
            Some(folder) => folder.join(vkey.fingerprint().to_hex()).join("dedup"),
            None => self.store.dedup_path(),
        };
        Dedup::open(&path)
    }
}

fn held(error: StorageError) -> Failure {
    match error.kind() {
        StorageErrorKind::Held => {
            Failure::undone(error).with_advice("One process writes a log at a time: stop that one first.")
        }
        _ => Failure::undone(error),
    }
}
