//! The state of a witness or a mirror, in a [redb](https://docs.rs/redb) file: tables of records, by origin hash.
//!
//! | table | holds of each log | written |
//! |---|---|---|
//! | `latest` | the largest checkpoint that was granted: what the next one must extend. A mirror's *pending checkpoint* | before anything is signed |
//! | `cosigned` | the newest one with the cosignatures that were returned: what monitors get | after it was signed |
//! | `held` | of a mirror: the tree whose entries and full tiles it has | after these are durable |
//! | `mirrored` | of a mirror: the *mirror checkpoint*, all of whose tree it has | after that, before anything is signed |
//!
//! `latest`, `held` and `mirrored` decide, and never go back. `cosigned` may be behind, if the process ended between
//! the two writes; the next start makes up for it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use kiln_tiles::{Hash, TreeHead};
use redb::{
    CommitError, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError, TransactionError, WriteTransaction,
};

use crate::record::Record;

type Definition = TableDefinition<'static, &'static [u8; Hash::SIZE], &'static [u8]>;
type Table<'t> = redb::Table<'t, &'static [u8; Hash::SIZE], &'static [u8]>;

const LATEST: Definition = TableDefinition::new("latest");
const COSIGNED: Definition = TableDefinition::new("cosigned");
const HELD: Definition = TableDefinition::new("held");
const MIRRORED: Definition = TableDefinition::new("mirrored");

/// What was granted, and is signed after.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Granted {
    /// By a witness: the latest checkpoint.
    Latest,
    /// By a mirror: the mirror checkpoint.
    Mirrored,
}

/// How much of the file is kept in memory.
const CACHE: usize = 64 << 20;

/// Where the witness keeps what it must not forget. One process has it at a time.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// `None` after an error, until it is opened again.
    database: RwLock<Option<Database>>,
}

/// Why the store does not answer. Nobody knows then whether what was being written is there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it.
    #[error("another process has it open")]
    InUse,
    /// The disk, or what is on it.
    #[error(transparent)]
    Storage(Box<redb::Error>),
    /// A record is none.
    #[error("the record of {} is damaged", .0.to_hex())]
    Damaged(Hash),
    /// It could not be opened again after an error.
    #[error("it is closed, after an error")]
    Closed,
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                match error.into() {
                    redb::Error::DatabaseAlreadyOpen => Self::InUse,
                    error => Self::Storage(Box::new(error)),
                }
            }
        }
    )*};
}

from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError);

impl Store {
    /// Makes the store of a new witness in this file, which is there when it is whole, or not at all: under another name
    /// before.
    ///
    /// # Errors
    /// Where another process has it or was first, or the file cannot be written.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let new = path.with_extension("new");
        clear(&new)?;
        let store = Self::of(path, builder().create(&new)?)?;
        match fs::hard_link(&new, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(StoreError::InUse),
            linked => linked.and_then(|()| fs::remove_file(&new)).map_err(DatabaseError::from)?,
        }
        // The name is not durable yet.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        synced.map_err(DatabaseError::from)?;
        Ok(store)
    }

    /// Opens the store in this file, which must be there: without it a witness would cosign anything as if it had never
    /// seen the log. The whole file is verified.
    ///
    /// # Errors
    /// Where it is not there or empty, another process has it, or the file is damaged or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::of(path, open(path)?)
    }

    fn of(path: &Path, database: Database) -> Result<Self, StoreError> {
        let store = Self { path: path.to_owned(), database: RwLock::new(Some(database)) };
        // A read of a table that was never written is an error.
        store.probe()?;
        Ok(store)
    }

    /// The newest checkpoint of a log with the cosignatures that were returned; `None` where none was.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn cosigned(&self, origin_hash: Hash) -> Result<Option<Record>, StoreError> {
        self.read(COSIGNED, origin_hash)
    }

    /// The latest checkpoint of a log that was granted.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn latest(&self, origin_hash: Hash) -> Result<Option<Record>, StoreError> {
        self.read(LATEST, origin_hash)
    }

    /// The mirror checkpoint of a log; `None` where nothing of it was mirrored whole.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(crate) fn mirrored(&self, origin_hash: Hash) -> Result<Option<Record>, StoreError> {
        self.read(MIRRORED, origin_hash)
    }

    /// The tree whose entries and full tiles a mirror has; `None` where it has none.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(crate) fn held(&self, origin_hash: Hash) -> Result<Option<TreeHead>, StoreError> {
        let database = self.database();
        let transaction = database.as_ref().ok_or(StoreError::Closed)?.begin_read()?;
        head_in(&transaction.open_table(HELD)?, origin_hash)
    }

    /// What was granted and not kept as cosigned: the process ended in between, and may have answered or not.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(crate) fn not_kept(&self, granted: Granted) -> Result<Vec<(Hash, Record)>, StoreError> {
        let database = self.database();
        let transaction = database.as_ref().ok_or(StoreError::Closed)?.begin_read()?;
        let granted = match granted {
            Granted::Latest => transaction.open_table(LATEST)?,
            Granted::Mirrored => transaction.open_table(MIRRORED)?,
        };
        let cosigned = transaction.open_table(COSIGNED)?;
        let mut not_kept = Vec::new();
        for entry in granted.iter()? {
            let (key, value) = entry?;
            let origin_hash = Hash::from_bytes(*key.value());
            let granted = Record::from_bytes(value.value()).ok_or(StoreError::Damaged(origin_hash))?;
            let kept = record_in(&cosigned, origin_hash)?;
            if kept.is_none_or(|kept| !kept.supersedes(&granted)) {
                not_kept.push((origin_hash, granted));
            }
        }
        Ok(not_kept)
    }

    /// All that is cosigned.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(crate) fn all_cosigned(&self) -> Result<Vec<(Hash, Record)>, StoreError> {
        let database = self.database();
        let transaction = database.as_ref().ok_or(StoreError::Closed)?.begin_read()?;
        let mut all = Vec::new();
        for entry in transaction.open_table(COSIGNED)?.iter()? {
            let (key, value) = entry?;
            let origin_hash = Hash::from_bytes(*key.value());
            let record = Record::from_bytes(value.value()).ok_or(StoreError::Damaged(origin_hash))?;
            all.push((origin_hash, record));
        }
        Ok(all)
    }

    fn read(&self, table: Definition, origin_hash: Hash) -> Result<Option<Record>, StoreError> {
        let database = self.database();
        let transaction = database.as_ref().ok_or(StoreError::Closed)?.begin_read()?;
        let table = transaction.open_table(table)?;
        record_in(&table, origin_hash)
    }

    /// Commits, though there is nothing to commit.
    pub(crate) fn probe(&self) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.changed = true;
            Ok(())
        })
    }

    /// All of `work` or nothing, durably, and after all that was written before. After an error nobody knows which
    /// of both, so no answer may depend on it; the next call opens the file again.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.database().is_none() {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(open(&self.path)?);
        }
        let written = self.try_write(work);
        // A file that failed once says no more than that until it is opened anew.
        if let Err(StoreError::Storage(_)) = written {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        written
    }

    fn try_write<T>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database();
        let mut transaction = database.as_ref().ok_or(StoreError::Closed)?.begin_write()?;
        // Strangers choose what is written. A commit in one phase is told from half of one by a checksum that they
        // could forge, says the documentation of redb.
        transaction.set_two_phase_commit(true);
        let mut tables = Tables::open(&transaction)?;
        let done = work(&mut tables)?;
        let changed = tables.changed;
        drop(tables);
        if changed {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok(done)
    }

    fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    builder
}

/// Makes the beginning empty that an end of the process left, unless another process is at it.
fn clear(new: &Path) -> Result<(), StoreError> {
    let file =
        File::options().create(true).truncate(false).write(true).open(new).map_err(DatabaseError::from)?;
    match file.try_lock() {
        Ok(()) => Ok(file.set_len(0).map_err(DatabaseError::from)?),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(error)) => Err(DatabaseError::from(error).into()),
    }
}

/// Opens what is there, and makes nothing.
fn open(path: &Path) -> Result<Database, DatabaseError> {
    builder().open(path)
}

/// The tables, within a transaction.
pub(crate) struct Tables<'t> {
    latest: Table<'t>,
    cosigned: Table<'t>,
    held: Table<'t>,
    mirrored: Table<'t>,
    changed: bool,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            latest: transaction.open_table(LATEST)?,
            cosigned: transaction.open_table(COSIGNED)?,
            held: transaction.open_table(HELD)?,
            mirrored: transaction.open_table(MIRRORED)?,
            changed: false,
        })
    }

    pub(crate) fn latest(&self, origin_hash: Hash) -> Result<Option<Record>, StoreError> {
        record_in(&self.latest, origin_hash)
    }

    /// What was granted. The caller has compared it with the latest.
    pub(crate) fn grant(&mut self, origin_hash: Hash, record: &Record) -> Result<(), StoreError> {
        self.changed = true;
        self.latest.insert(origin_hash.as_bytes(), &record.to_bytes()[..])?;
        Ok(())
    }

    pub(crate) fn mirrored(&self, origin_hash: Hash) -> Result<Option<Record>, StoreError> {
        record_in(&self.mirrored, origin_hash)
    }

    /// The checkpoint that is mirrored whole. The caller has compared it with the one before.
    pub(crate) fn mirror(&mut self, origin_hash: Hash, record: &Record) -> Result<(), StoreError> {
        self.changed = true;
        self.mirrored.insert(origin_hash.as_bytes(), &record.to_bytes()[..])?;
        Ok(())
    }

    /// The tree whose entries and full tiles are durable, unless more are.
    pub(crate) fn hold(&mut self, origin_hash: Hash, head: TreeHead) -> Result<(), StoreError> {
        let known = head_in(&self.held, origin_hash)?;
        if known.is_none_or(|known| known.size() < head.size()) {
            self.changed = true;
            self.held.insert(origin_hash.as_bytes(), head.to_string().as_bytes())?;
        }
        Ok(())
    }

    /// What was cosigned, unless something newer stands there: signatures are made side by side.
    pub(crate) fn keep(&mut self, origin_hash: Hash, record: &Record) -> Result<(), StoreError> {
        let known = record_in(&self.cosigned, origin_hash)?;
        if known.is_none_or(|known| record.supersedes(&known)) {
            self.changed = true;
            self.cosigned.insert(origin_hash.as_bytes(), &record.to_bytes()[..])?;
        }
        Ok(())
    }
}

fn record_in(
    table: &impl ReadableTable<&'static [u8; Hash::SIZE], &'static [u8]>,
    origin_hash: Hash,
) -> Result<Option<Record>, StoreError> {
    let Some(bytes) = table.get(origin_hash.as_bytes())? else { return Ok(None) };
    Record::from_bytes(bytes.value()).map(Some).ok_or(StoreError::Damaged(origin_hash))
}

fn head_in(
    table: &impl ReadableTable<&'static [u8; Hash::SIZE], &'static [u8]>,
    origin_hash: Hash,
) -> Result<Option<TreeHead>, StoreError> {
    let Some(bytes) = table.get(origin_hash.as_bytes())? else { return Ok(None) };
    let head = str::from_utf8(bytes.value()).ok().and_then(|head| head.parse().ok());
    head.map(Some).ok_or(StoreError::Damaged(origin_hash))
}

#[cfg(test)]
mod new_and_lost {
    use super::*;

    /// A volume that went away left its mount point, in which a reopened store began anew: the witness had forgotten
    /// all that it cosigned, with its keys still at hand.
    #[test]
    fn a_state_that_is_gone_or_empty_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        assert!(Store::open(&path).is_err());
        drop(Store::create(&path).unwrap());
        let store = Store::open(&path).unwrap();
        *store.database.write().unwrap() = None; // as after an error
        File::create(&path).unwrap();
        assert!(store.probe().is_err(), "it is empty");
        fs::remove_file(&path).unwrap();
        assert!(store.probe().is_err(), "it is gone");
        assert!(!path.exists());
    }

    /// A mirror was killed while it made its state: half a file stood under its name, and no later start could open it.
    #[test]
    fn a_store_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("state.redb"), folder.path().join("state.new"));
        fs::write(&new, b"redb\x1a\x0a and no more").unwrap();
        let store = Store::create(&path).unwrap();
        assert!(!new.exists());
        assert!(matches!(Store::open(&path), Err(StoreError::InUse)), "it is this one that stands there");
        drop(store);
        assert!(Store::open(&path).unwrap().cosigned(Hash::leaf(b"")).unwrap().is_none());
    }

    /// Who comes second does not take the place of the first.
    #[test]
    fn a_store_that_is_there_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        let first = Store::create(&path).unwrap();
        assert!(matches!(Store::create(&path), Err(StoreError::InUse)));
        drop(first);
        assert!(matches!(Store::create(&path), Err(StoreError::InUse)));
        Store::open(&path).unwrap();
    }
}
