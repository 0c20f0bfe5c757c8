//! A disk whose power can be cut.
//!
//! It keeps two states: what is *seen*, and what is *durable*. A cut leaves, for each file and each
//! name that was not made durable, one of the states it may be in: the old one, the new one, or, for
//! bytes, something torn in between; each independently of the others.

mod state;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_storage::folder::{Disk, Entry};

use state::{Names, State};

/// What happens at an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The power goes out. Every later operation fails until [`SimulatedDisk::restore_power`].
    PowerCut,
    /// It fails and is not done.
    FailsUndone,
    /// It fails, and what it wrote is seen, yet will never reach the disk, whatever a later sync says.
    FailsSeen,
    /// The same, but only a part of what it wrote is seen.
    FailsTorn,
}

/// A simulated disk, below one folder. Clones and [views](SimulatedDisk::below) share it.
#[derive(Clone)]
pub struct SimulatedDisk {
    root: PathBuf,
    state: Arc<Mutex<State>>,
    process: Arc<Mutex<Process>>,
}

/// Who works on the disk.
#[derive(Default)]
struct Process {
    /// It is killed in the operation after so many.
    dies_after: Option<usize>,
    dead: bool,
}

impl Process {
    /// Whether it is killed in this operation; an error where it was killed before.
    fn operate(&mut self) -> io::Result<bool> {
        if self.dead {
            return Err(io::Error::other("the process is dead"));
        }
        self.dead = self.dies_after == Some(0);
        self.dies_after = self.dies_after.map(|left| left.saturating_sub(1));
        Ok(self.dead)
    }
}

/// A lock on a simulated disk, let go when it is dropped.
pub struct Lock {
    path: PathBuf,
    number: u64,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimulatedDisk({})", self.root.display())
    }
}

impl SimulatedDisk {
    /// An empty disk. The seed decides what a power cut leaves.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let root = PathBuf::from("/");
        let mut names = Names::default();
        names.folders.insert(root.clone());
        let state = State {
            files: BTreeMap::new(),
            seen: names.clone(),
            durable: names,
            locks: BTreeMap::new(),
            next: 0,
            operations: 0,
            trouble: None,
            power: true,
            rng: fastrand::Rng::with_seed(seed),
        };
        Self { root, state: Arc::new(Mutex::new(state)), process: Arc::default() }
    }

    /// The same disk, for another process.
    #[must_use]
    pub fn for_another_process(&self) -> Self {
        Self { process: Arc::default(), ..self.clone() }
    }

    /// Kills the process that this is for, in the operation after so many: none of its own follows.
    pub fn kill_after(&self, operations: usize) {
        self.process().dies_after = Some(operations);
    }

    /// The same disk, for someone who works below this folder.
    #[must_use]
    pub fn below(&self, folder: &str) -> Self {
        Self { root: self.root.join(folder), ..self.clone() }
    }

    /// Makes trouble at the operation with this number, counted from now.
    pub fn trouble_at(&self, number: usize, trouble: Trouble) {
        let mut state = self.state();
        state.trouble = Some((state.operations + number, trouble));
    }

    /// Whatever trouble was planned does not come.
    pub fn stop_trouble(&self) {
        self.state().trouble = None;
    }

    /// Whether the trouble has not come yet.
    #[must_use]
    pub fn trouble_is_pending(&self) -> bool {
        let state = self.state();
        state.trouble.is_some_and(|(number, _)| state.operations <= number)
    }

    /// Takes the power away now, between two operations.
    pub fn cut_power(&self) {
        self.state().power = false;
    }

    /// Whether the power is there.
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.state().power
    }

    /// The power comes back. What was not durable is as the seed decides. No lock outlives this.
    pub fn restore_power(&self) {
        let mut state = self.state();
        if !state.power {
            state.lose_what_was_not_durable();
        }
        (state.power, state.trouble) = (true, None);
        state.locks.clear();
    }

    /// As if only the process had died, not the power: what is seen stays, and no lock.
    pub fn revive(&self) {
        let mut state = self.state();
        (state.power, state.trouble) = (true, None);
        state.locks.clear();
    }

    /// What is seen of a file, at no operation's cost.
    #[must_use]
    pub fn peek(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.seen.files.get(path).map(|file| state.files[file].seen.clone())
    }

    /// A copy of everything that is seen, to be put back later: a backup, with all its danger.
    #[must_use]
    pub fn snapshot(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        let below = state.seen.files.iter().filter(|(path, _)| path.starts_with(self.root.join(folder)));
        below.map(|(path, file)| (path.clone(), state.files[file].seen.clone())).collect()
    }

    /// Puts a copy back in place of everything in the folder, durably.
    pub fn put_back(&self, folder: &str, copy: &BTreeMap<PathBuf, Vec<u8>>) {
        let mut state = self.state();
        let folder = self.root.join(folder);
        state.seen.files.retain(|path, _| !path.starts_with(&folder));
        state.durable.files.retain(|path, _| !path.starts_with(&folder));
        for (path, body) in copy {
            let file = state.new_file(body);
            state.files.get_mut(&file).expect("just made").durable = body.clone();
            state.seen.files.insert(path.clone(), file);
            state.durable.files.insert(path.clone(), file);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one operation, in the way that it was planned.
    fn operate(&self, operation: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state();
        if !state.power {
            return Err(io::Error::other("the power is out"));
        }
        if self.process().operate()? {
            let done = state.rng.bool();
            done.then(|| operation(&mut state)).transpose()?;
            return Err(io::Error::other("the process is killed"));
        }
        let number = state.operations;
        state.operations += 1;
        match state.trouble.filter(|(at, _)| *at == number).map(|(_, trouble)| trouble) {
            None => operation(&mut state),
            Some(Trouble::FailsUndone) => Err(io::Error::other("a simulated fault")),
            Some(trouble @ (Trouble::FailsSeen | Trouble::FailsTorn)) => {
                let before = state.clone();
                operation(&mut state)?;
                state.forget_durability_since(&before);
                if trouble == Trouble::FailsTorn {
                    state.tear_since(&before);
                }
                Err(io::Error::other("a simulated fault of a sync"))
            }
            Some(Trouble::PowerCut) => {
                // The cut comes somewhere within the operation: nothing of it is known to be durable.
                let before = state.clone();
                if state.rng.bool() {
                    operation(&mut state)?;
                    state.durable = before.durable;
                    for (number, file) in &mut state.files {
                        file.durable =
                            before.files.get(number).map(|old| old.durable.clone()).unwrap_or_default();
                    }
                }
                state.power = false;
                Err(io::Error::other("the power goes out"))
            }
        }
    }
}

impl Disk for SimulatedDisk {
    /// It keeps nobody waiting, and in one thread the seed decides what comes next.
    const BLOCKS: bool = false;
    type Lock = Lock;

    fn root(&self) -> &Path {
        &self.root
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let mut body = None;
        self.operate(|state| {
            body = state.file(path).ok().map(|file| file.seen.clone());
            Ok(())
        })?;
        Ok(body)
    }

    fn create_folders(&self, path: &Path) -> io::Result<()> {
        let folders: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
        self.operate(|state| {
            state.seen.folders.extend(folders);
            Ok(())
        })
    }

    fn write(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        self.operate(|state| state.write(path, body))
    }

    fn write_durably(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
        self.operate(|state| {
            state.write(path, &pieces.concat())?;
            state.sync_file(path)
        })
    }

    fn overwrite_durably(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
        let mut body = pieces.concat();
        self.operate(|state| {
            let file = state.file(path)?;
            body.extend_from_slice(file.seen.get(body.len()..).unwrap_or(&[]));
            file.seen = body;
            state.sync_file(path)
        })
    }

    fn list_folder(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.operate(|state| {
            entries = state.list(path);
            Ok(())
        })?;
        Ok(entries)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.seen.files.remove(path);
            Ok(())
        })
    }

    fn remove_empty_folder(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| {
            if state.list(path).is_empty() {
                state.seen.folders.remove(path);
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|state| {
            let folder = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
            if !state.seen.folders.contains(folder) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let file = state.seen.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.seen.files.insert(to.to_owned(), file);
            Ok(())
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.sync_folder(path);
            Ok(())
        })
    }

    fn sync_files(&self, paths: &[PathBuf]) -> io::Result<()> {
        self.operate(|state| {
            for path in paths {
                state.sync_file(path)?;
                let above = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root));
                above.for_each(|folder| state.sync_folder(folder));
            }
            Ok(())
        })
    }

    fn try_lock(&self, path: &Path, _owner: &str) -> io::Result<Lock> {
        let mut state = self.state();
        if !state.power {
            return Err(io::Error::other("the power is out"));
        }
        if self.process().dead {
            return Err(io::Error::other("the process is dead"));
        }
        if state.locks.contains_key(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.next += 1;
        let number = state.next;
        state.locks.insert(path.to_owned(), number);
        Ok(Lock { path: path.to_owned(), number, state: self.state.clone() })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // After a power cut somebody else may hold it.
        if state.locks.get(&self.path) == Some(&self.number) {
            state.locks.remove(&self.path);
        }
    }
}
