//! The dedup index in an embedded key-value store, which needs no sync of its own: what a power
//! cut takes is built anew.
//!
//! The store notices most damage, but not that whole entries are gone: of a damaged journal it drops
//! the rest and goes on with the next one. So the index counts its leaves, in the same batch that
//! adds them, and one that holds another number when it is opened is damaged too.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use kiln_tiles::{Hash, TreeHead};

use super::Known;

/// The one key in the keyspace of the same name: the tree that the index covers, and its count.
const COVERED: &str = "covered";

/// The store keeps its journals until the record of the covered tree is in a table, which is when
/// they reach this size; it is the least that the store allows.
const JOURNALS: u64 = 64 << 20;

/// An index is damaged that was not open when the process died, this often in a row. Once may have
/// been a power cut.
const DEATHS: usize = 2;

/// Why an operation on the index failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Store(#[from] fjall::Error),
    #[error("another process has it open")]
    Held,
    #[error("it says of itself what cannot be")]
    Absurd,
    #[error("it covers {covered} leaves, and more than the next ones were to be added, from {first}")]
    Behind { covered: u64, first: u64 },
    #[error("it holds {found} leaves, not {expected}")]
    Incomplete { found: u64, expected: u64 },
    #[error("the process died of opening it, or was stopped, {DEATHS} times in a row")]
    Deadly,
    #[error("the store stumbled over its files")]
    Panicked,
    #[error("its folder cannot be replaced: {0}")]
    Folder(io::Error),
}

impl Fault {
    /// Whether the index is to be thrown away. Everything is damage but what passes by itself or is
    /// no fault of the index: to report, and to try again.
    fn is_damage(&self) -> bool {
        match self {
            Self::Store(fjall::Error::Locked | fjall::Error::Poisoned)
            | Self::Held
            | Self::Behind { .. }
            | Self::Folder(_) => false,
            Self::Store(fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error))) => {
                !is_outside(error)
            }
            Self::Store(_) | Self::Absurd | Self::Incomplete { .. } | Self::Deadly | Self::Panicked => true,
        }
    }

    /// Whether work in the background failed, of which the store does not say why.
    const fn is_poison(&self) -> bool {
        matches!(self, Self::Store(fjall::Error::Poisoned))
    }
}

/// Whether the fault is that of the machine, not of the files.
fn is_outside(error: &io::Error) -> bool {
    // No `ErrorKind` is stable for them; they are the same on every Unix.
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let kinds = [
        ErrorKind::PermissionDenied,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::OutOfMemory,
        ErrorKind::Interrupted,
        ErrorKind::WouldBlock,
        ErrorKind::ResourceBusy,
        ErrorKind::TimedOut,
        ErrorKind::StaleNetworkFileHandle,
    ];
    kinds.contains(&error.kind()) || matches!(error.raw_os_error(), Some(EIO | ENFILE | EMFILE))
}

/// An index in a folder of its own, opened when it is first used: by then the caller holds the log,
/// so nobody else has it open.
#[derive(Clone)]
pub(super) struct Disk {
    folder: PathBuf,
    memtable: u64,
    /// Locked while an operation runs: none may write to a folder that another one throws away.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    opened: Option<Opened>,
    background: Background,
}

/// What is known of the work that the store does in the background.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Background {
    #[default]
    Fine,
    /// It failed: the next open reads the whole index, to tell damage from a full disk.
    Failed,
    /// It failed, and the index could be read.
    Checked,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Disk({})", self.folder.display())
    }
}

impl Disk {
    /// `memtable` is how many bytes of leaves are kept in memory before they become a table.
    pub(super) fn new(folder: PathBuf, memtable: u64) -> Self {
        Self { folder, memtable, state: Arc::default() }
    }

    pub(super) fn covered(&self) -> Result<TreeHead, Fault> {
        self.with(|opened| Ok(opened.record()?.covered))
    }

    pub(super) fn look_up(&self, leaves: &[Hash]) -> Result<Vec<Option<u64>>, Fault> {
        self.with(|opened| {
            let size = opened.record()?.covered.size();
            let mut found = vec![None; leaves.len()];
            for (position, leaf) in sorted(leaves) {
                found[position] = opened.look_up(*leaf, size)?;
            }
            Ok(found)
        })
    }

    pub(super) fn insert(
        &self,
        leaves: &[Hash],
        first: u64,
        covered: TreeHead,
        known: Known,
    ) -> Result<(), Fault> {
        self.with(|opened| opened.insert(leaves, first, covered, known))
    }

    pub(super) fn clear(&self) -> Result<(), Fault> {
        let mut state = self.lock();
        close(&mut state);
        self.discard()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one operation. After an error the store is opened anew the next time: it may refuse to
    /// go on after a failed write. After damage that finds nothing, and covers nothing.
    fn with<T>(&self, operation: impl FnOnce(&Opened) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut state = self.lock();
        self.run(&mut state, operation).map_err(|fault| {
            close(&mut state); // before its folder goes: its threads write there
            self.judge(&mut state, fault)
        })
    }

    fn run<T>(
        &self,
        state: &mut State,
        operation: impl FnOnce(&Opened) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let opened = match state.opened.take() {
            Some(opened) => opened,
            None => self.open_or_replace(state)?,
        };
        let opened = state.opened.insert(opened);
        caught(|| operation(opened))
    }

    /// Throws a damaged index away, and says what the caller is to hear.
    fn judge(&self, state: &mut State, fault: Fault) -> Fault {
        let again = fault.is_poison() && state.background == Background::Checked;
        if fault.is_poison() && !again {
            state.background = Background::Failed;
        }
        if !again && !fault.is_damage() {
            return fault;
        }
        tracing::warn!(%fault, "the dedup index is damaged; it is built anew");
        state.background = Background::Fine;
        self.discard().err().unwrap_or(fault)
    }

    fn open_or_replace(&self, state: &mut State) -> Result<Opened, Fault> {
        remove(&self.doomed()).map_err(Fault::Folder)?;
        let background = state.background;
        match caught(|| self.open(background)) {
            Ok(opened) => {
                if background == Background::Failed {
                    state.background = Background::Checked;
                }
                Ok(opened)
            }
            Err(fault) if fault.is_damage() => {
                tracing::warn!(%fault, "the dedup index is damaged; it is built anew");
                self.discard()?;
                state.background = Background::Fine;
                caught(|| self.open(Background::Fine))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Opens the store, and counts until it is open: of some damage the process dies.
    fn open(&self, background: Background) -> Result<Opened, Fault> {
        std::fs::create_dir_all(&self.folder).map_err(fjall::Error::Io)?;
        let opening = self.folder.join("opening");
        let deaths = std::fs::read(&opening).unwrap_or_default();
        if deaths.len() >= DEATHS {
            return Err(Fault::Deadly);
        }
        std::fs::write(&opening, [&deaths[..], b"."].concat()).map_err(fjall::Error::Io)?;
        let opened = self.open_store(background);
        remove(&opening).map_err(Fault::Folder)?;
        opened
    }

    fn open_store(&self, background: Background) -> Result<Opened, Fault> {
        let database = Database::builder(&self.folder).max_journaling_size(JOURNALS).open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(self.memtable);
        let indices = database.keyspace("indices", options)?;
        let covered = database.keyspace(COVERED, KeyspaceCreateOptions::default)?;
        let opened = Opened { database, indices, covered };
        opened.check(background == Background::Failed)?;
        Ok(opened)
    }

    /// Where an index goes that is being deleted: whatever is left there is never opened.
    fn doomed(&self) -> PathBuf {
        let mut path = OsString::from(self.folder.as_os_str());
        path.push(".damaged");
        path.into()
    }

    /// Deletes the index, which nobody may have open. It is moved away first: half an index that a
    /// crash leaves in its place might open, and answer.
    fn discard(&self) -> Result<(), Fault> {
        let _lock = self.hold()?;
        let doomed = self.doomed();
        let discard = || {
            remove(&doomed)?;
            match std::fs::rename(&self.folder, &doomed) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                done => done?,
            }
            if let Some(parent) = self.folder.parent().filter(|parent| *parent != Path::new("")) {
                File::open(parent)?.sync_all()?;
            }
            remove(&doomed)
        };
        discard().map_err(Fault::Folder)
    }

    /// The lock of the store, if there is one to take.
    fn hold(&self) -> Result<Option<File>, Fault> {
        let Ok(file) = File::options().read(true).write(true).open(self.folder.join("lock")) else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(Fault::Held),
            Err(TryLockError::Error(error)) => Err(Fault::Folder(error)),
        }
    }
}

fn close(state: &mut State) {
    let opened = state.opened.take();
    // After a panic within the store its clean-up may panic too, and there is nothing left to save.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(opened)));
}

/// Deletes what is there, a folder or a file.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotADirectory => std::fs::remove_file(path),
        done => done,
    };
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// The store trusts some of what it reads, and panics where that does not fit together.
fn caught<T>(operation: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(operation)).unwrap_or(Err(Fault::Panicked))
}

struct Opened {
    database: Database,
    indices: Keyspace, // only ever added to, each key once: so the store knows their exact number
    covered: Keyspace,
}

/// What the index says of itself.
struct Record {
    covered: TreeHead,
    leaves: u64, // that differ
}

impl Record {
    fn parse(text: &[u8]) -> Option<Self> {
        let (covered, leaves) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        let record = Self { covered: covered.parse().ok()?, leaves: leaves.parse().ok()? };
        (record.leaves <= record.covered.size() && record.to_string().as_bytes() == text).then_some(record)
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.covered, self.leaves)
    }
}

impl Opened {
    fn record(&self) -> Result<Record, Fault> {
        let Some(value) = self.covered.get(COVERED)? else {
            return Ok(Record { covered: TreeHead::empty(), leaves: 0 });
        };
        Record::parse(&value).ok_or(Fault::Absurd)
    }

    /// Whether all leaves are there, by the sums that the store keeps, or by reading all of them.
    fn check(&self, thoroughly: bool) -> Result<(), Fault> {
        let expected = self.record()?.leaves;
        let found = if thoroughly { self.indices.len()? } else { self.indices.approximate_len() };
        let found = found as u64;
        if found == expected { Ok(()) } else { Err(Fault::Incomplete { found, expected }) }
    }

    fn look_up(&self, leaf: Hash, size: u64) -> Result<Option<u64>, Fault> {
        let Some(value) = self.indices.get(leaf.as_bytes())? else {
            return Ok(None);
        };
        let index = value.as_ref().try_into().map(u64::from_be_bytes).map_err(|_| Fault::Absurd)?;
        if index < size { Ok(Some(index)) } else { Err(Fault::Absurd) }
    }

    fn insert(&self, leaves: &[Hash], first: u64, covered: TreeHead, known: Known) -> Result<(), Fault> {
        let record = self.record()?;
        let size = record.covered.size();
        // It may have been thrown away since the caller asked what it covers: no gap may come of that.
        if size != first {
            return Err(Fault::Behind { covered: size, first });
        }
        let (mut batch, mut added, mut last) = (self.database.batch(), 0, None);
        for (position, leaf) in sorted(leaves) {
            // Of equal ones the first comes first, and is the one that stays.
            let is_first = last.replace(leaf) != Some(leaf);
            if is_first && (known == Known::None || self.look_up(*leaf, size)?.is_none()) {
                let index = first + position as u64;
                batch.insert(&self.indices, leaf.as_bytes(), index.to_be_bytes());
                added += 1;
            }
        }
        let record = Record { covered, leaves: record.leaves + added };
        batch.insert(&self.covered, COVERED, record.to_string());
        Ok(batch.commit()?)
    }
}

/// Leaves and their positions in the order of the store, where what is asked for next lies beside what was
/// asked for last. Equal ones stay in their order.
fn sorted(leaves: &[Hash]) -> Vec<(usize, &Hash)> {
    let mut sorted: Vec<_> = leaves.iter().enumerate().collect();
    sorted.sort_unstable_by_key(|&(position, leaf)| (leaf, position));
    sorted
}
