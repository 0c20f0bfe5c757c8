//! From a store to a log that can be loaded: key, guards, lock, dedup index.

use std::fs::File;
use std::path::{Path, PathBuf};

use kiln_sequencer::{Dedup, LoadError, Log, Signer, create_log};
use kiln_storage::{AnyRegister, Register, Store};
use kiln_tiles::{Cosigner, KeyName, VerifierKey};

use super::log::{DedupMode, LogPlan, Urls};
use super::public::PublicUrl;
use super::words::Made;
use crate::environment;
use crate::failure::Failure;
use crate::guard::GuardPlaces;
use crate::log_key::LogKey;
use crate::store::{OpenStore, StorePlace, check_conditions};

/// A log that exists.
pub(super) struct Opened {
    pub(super) log: Log<OpenStore, AnyRegister>,
    /// How it was made, if it was made just now.
    pub(super) made: Option<Made>,
    /// Keeps the dedup index to this process.
    pub(super) dedup_lock: Option<File>,
}

impl Opened {
    /// Who holds the store, if anybody does.
    pub(super) async fn holder(&self) -> Option<Failure> {
        let error = LoadError::from(self.log.store().head().load().await.err()?);
        error.is_held().then(|| error.into())
    }
}

impl LogPlan {
    /// Opens the log, or makes it where there is none: then `make` is true.
    pub(super) async fn open(&self, make: bool, urls: Option<&Urls>) -> Result<Opened, Failure> {
        let guards = self.args.guard.outside(&self.store)?;
        self.warn_of_a_guard_of_ones_own(&guards);
        let (key, chosen) = if make {
            self.key_of_new_log(urls).await?
        } else {
            (self.store.key(&self.args.key, self.expected_origin().as_ref()).await?, false)
        };
        self.args.rekor.check(key.name(), self.args.url.as_ref())?;
        let second = if make {
            self.store.cosigner_of_new_log(&self.args.key, key.name())?
        } else {
            self.store.cosigner(&self.args.key, key.name())?
        };
        let kms = key.reference().cloned();
        let (log, dedup_lock) = self.assemble(key, second, &guards).await?;
        if make {
            create_log(&log).await?;
        }
        let own_key = self.store.key_path().filter(|path| kms.is_none() && path.is_file());
        let key = own_key.map(|path| path.canonicalize().unwrap_or(path));
        Ok(Opened { log, made: make.then_some(Made { chosen, key, kms }), dedup_lock })
    }

    /// The name that the log has to have, where somebody said it: that of a Rekor log is the host of its URL.
    pub(super) fn expected_origin(&self) -> Option<KeyName> {
        let by_url = || self.args.rekor.origin(self.args.url.as_ref()?.as_str());
        self.args.origin.clone().or_else(by_url)
    }

    /// The name of a Rekor log cannot be any other than that of its URL's host, and is checked before its key is made.
    async fn key_of_new_log(&self, urls: Option<&Urls>) -> Result<(LogKey, bool), Failure> {
        let by_url = || urls.and_then(|urls| self.args.rekor.origin(&urls.submissions));
        let origin = self.args.origin.clone().or_else(by_url);
        if let Some(origin) = &origin {
            self.args.rekor.check(origin, self.args.url.as_ref())?;
        }
        let (key, _) = self.store.key_of_new_log(&self.args.key, origin.as_ref()).await?;
        // A key that was given has a name that its operator chose.
        Ok((key, self.args.origin.is_none() && self.args.key.given()?.is_none()))
    }

    async fn assemble(
        &self,
        key: LogKey,
        second: Option<Cosigner>,
        guards: &GuardPlaces,
    ) -> Result<(Log<OpenStore, AnyRegister>, Option<File>), Failure> {
        let (vkey, command) = (key.verifier_key(), "kiln serve");
        let witnesses = self.args.witnesses.open(&vkey)?;
        let guards = guards.open(&vkey, &environment::process_name(command)).await?;
        let store = self.store.open(command)?;
        check_conditions(&store).await?;
        let (dedup, lock) = self.dedup_index(&vkey)?;
        let log = guards.guard(key, store, dedup);
        let log = second.into_iter().fold(log, Log::with_cosigner);
        let log = witnesses.into_iter().fold(log, Log::with_witnesses).with_known_end().await?;
        Ok(match &self.args.read_url {
            Some(url) => (log.with_public(PublicUrl::open(url.as_str())?), lock),
            None => (log, lock),
        })
    }

    fn dedup_index(&self, vkey: &VerifierKey) -> Result<(Dedup, Option<File>), Failure> {
        if self.args.dedup == DedupMode::Off {
            return Ok((Dedup::off(), None));
        }
        let folder = match &self.args.cache_dir {
            Some(folder) => folder.join(vkey.fingerprint().to_hex()).join("dedup"),
            None => self.store.dedup_path(vkey)?,
        };
        let (folder, lock) = first_free(&folder)?;
        Ok((Dedup::on_disk(folder), Some(lock)))
    }

    /// A standby on another machine, whose guard knows nothing of this one's, could sign what this one
    /// contradicts.
    fn warn_of_a_guard_of_ones_own(&self, guards: &GuardPlaces) {
        if self.args.standby && matches!(self.store, StorePlace::Bucket(_)) && !guards.are_shared() {
            tracing::warn!(
                "the guard is this machine's alone: should the store go back in time, a standby on another machine \
                 may sign a fork, and what was answered with wait=sequenced is void. \
                 Give all of them one guard in another bucket (--guard s3://...)"
            );
        }
    }
}

/// How many processes on one machine may keep an index of one log.
const MOST_INDEXES: u32 = 64;

/// The first of the folders `dedup`, `dedup-2`, `dedup-3`... that no other process uses, and the lock
/// that keeps it so: each process has an index of its own, those that stand by too.
fn first_free(folder: &Path) -> Result<(PathBuf, File), Failure> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for number in 1..=MOST_INDEXES {
        let name = if number == 1 { name.clone() } else { format!("{name}-{number}") };
        let lock = lock(&folder.with_file_name(format!("{name}.lock")))?;
        if let Some(lock) = lock {
            return Ok((folder.with_file_name(name), lock));
        }
    }
    Err(Failure::undone(format!("{MOST_INDEXES} processes use {} already", folder.display())))
}

fn lock(path: &Path) -> Result<Option<File>, Failure> {
    let failed = |error| Failure::file(path, &error);
    path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_gets_an_index_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("private/dedup");
        let (first, lock) = first_free(&base).unwrap();
        let (second, _other) = first_free(&base).unwrap();
        assert_eq!((first, second), (base.clone(), folder.path().join("private/dedup-2")));
        drop(lock);
        assert_eq!(first_free(&base).unwrap().0, base);
    }
}
