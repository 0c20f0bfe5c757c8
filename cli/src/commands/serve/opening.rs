//! From a folder to a log that can be loaded: key, guard, lock, dedup index.

use std::sync::Arc;

use kiln_sequencer::{Dedup, LoadError, Log, create_log};
use kiln_storage::{Folder, FolderRegister, Register, Store};
use kiln_tiles::{SigningKey, VerifierKey};

use super::words::Made;
use super::{DedupMode, Serve};
use crate::environment::{self, System};
use crate::failure::Failure;
use crate::guard::GuardFolder;

/// A log that exists.
pub(super) struct Opened {
    pub(super) log: Log<Folder, FolderRegister>,
    /// How it was made, if it was made just now.
    pub(super) made: Option<Made>,
}

impl Opened {
    /// Who holds the store, if anybody does.
    pub(super) async fn holder(&self) -> Option<Failure> {
        let error = LoadError::from(self.log.store().head().load().await.err()?);
        error.is_held().then(|| error.into())
    }
}

impl Serve {
    /// Opens the log, or makes it where there is none: then `make` is true.
    pub(super) async fn open(&self, make: bool) -> Result<Opened, Failure> {
        let guard = self.guard.outside(self.store.folder())?;
        let (key, chosen) = if make {
            self.store.key_of_new_log(&self.key, self.origin.as_ref())?
        } else {
            (self.store.key(&self.key, self.origin.as_ref())?, false)
        };
        let log = self.assemble(key, guard)?;
        if make {
            create_log(&log).await?;
        }
        let own_key = self.store.key_path();
        let key = own_key.is_file().then(|| own_key.canonicalize().unwrap_or(own_key));
        Ok(Opened { log, made: make.then_some(Made { chosen, key }) })
    }

    fn assemble(&self, key: SigningKey, guard: GuardFolder) -> Result<Log<Folder, FolderRegister>, Failure> {
        let vkey = key.verifier_key();
        let owner = format!("kiln serve, process {} on {}", std::process::id(), environment::host_name());
        let guard = guard.open(&vkey, owner.clone())?;
        let folder = Folder::open(self.store.folder(), owner)?;
        Ok(Log::new(key, folder, guard, self.dedup_index(&vkey), Arc::new(System)))
    }

    fn dedup_index(&self, vkey: &VerifierKey) -> Dedup {
        if self.dedup == DedupMode::Off {
            return Dedup::off();
        }
        Dedup::on_disk(match &self.cache_dir {
            Some(folder) => folder.join(vkey.fingerprint().to_hex()).join("dedup"),
            None => self.store.dedup_path(),
        })
    }
}
