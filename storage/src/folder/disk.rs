//! The few things that the folder asks of a disk, so that a test can take the power away.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::store::MAX_OBJECT_SIZE;

/// A file system, and what it promises over a power cut.
///
/// What is written is *seen* at once, by every process. It is *durable* only after the call that
/// says so came back without an error: a power cut before may keep it, lose it, or tear a file.
/// A name is durable apart from the bytes behind it.
///
/// After an error of a call that makes something durable the bytes may be seen and yet never reach
/// the disk, and a second try may claim success. So callers never repeat such a call: they write a
/// new file and rename it into place.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Whether a call may keep its thread waiting, and is made in one of its own.
    const BLOCKS: bool = true;
    /// Held until it is dropped, or the process ends.
    type Lock: Send + 'static;

    /// The folder that everything stands in.
    fn root(&self) -> &Path;
    /// Reads a file of at most [`MAX_OBJECT_SIZE`] bytes; `None` where there is none.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Makes a folder and those above it.
    fn create_folders(&self, path: &Path) -> io::Result<()>;
    /// Writes a new file, in place of any of that name.
    fn write(&self, path: &Path, body: &[u8]) -> io::Result<()>;
    /// Writes a new file, in place of any of that name, whose bytes are durable; not its name. The bytes come in
    /// pieces: what is 16 MiB long need not be copied to stand behind its header.
    fn write_durably(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()>;
    /// Overwrites the first bytes of a file whose name is durable. They are durable afterwards.
    fn overwrite_durably(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()>;
    /// What stands in a folder, in no order; nothing where there is none.
    fn list_folder(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Removes a file, if there is one. A power cut may bring it back.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder, if there is one and nothing is in it. A power cut may bring it back.
    fn remove_empty_folder(&self, path: &Path) -> io::Result<()>;
    /// Gives a file another name, in place of any file there, at once.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes these files durable, and the names of all folders up to the root of the disk.
    fn sync_files(&self, paths: &[PathBuf]) -> io::Result<()>;
    /// Locks a file for this owner alone, and notes there who that is. `WouldBlock` where another
    /// holds it.
    fn try_lock(&self, path: &Path, owner: &str) -> io::Result<Self::Lock>;
}

/// A name in a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The name, without the folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_folder: bool,
}

/// The file system of this machine, below one folder.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    #[cfg(target_os = "linux")]
    file_system: File, // stays open: `syncfs` tells a descriptor only of errors since it was opened
}

impl RealDisk {
    /// The file system that holds `root`, which is made where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made or opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        Ok(Self {
            #[cfg(target_os = "linux")]
            file_system: File::open(&root)?,
            root,
        })
    }
}

impl Disk for RealDisk {
    type Lock = File;

    fn root(&self) -> &Path {
        &self.root
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = found(File::open(path))? else { return Ok(None) };
        let metadata = file.metadata()?;
        // A folder of that name is no object.
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut body = Vec::with_capacity(usize::try_from(metadata.len().min(MAX_OBJECT_SIZE)).unwrap_or(0));
        file.take(MAX_OBJECT_SIZE + 1).read_to_end(&mut body)?;
        if body.len() as u64 > MAX_OBJECT_SIZE {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            Ok(Some(body))
        }
    }

    fn create_folders(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        File::create(path)?.write_all(body)
    }

    fn write_durably(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
        write_and_sync(File::create(path)?, pieces)
    }

    fn overwrite_durably(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
        write_and_sync(OpenOptions::new().write(true).open(path)?, pieces)
    }

    fn list_folder(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let Some(entries) = found(fs::read_dir(path))? else { return Ok(Vec::new()) };
        let entries = entries.map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok(Entry { name, is_folder: entry.file_type()?.is_dir() })
        });
        entries.collect()
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        found(fs::remove_file(path)).map(drop)
    }

    fn remove_empty_folder(&self, path: &Path) -> io::Result<()> {
        match found(fs::remove_dir(path)) {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            done => done.map(drop),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    #[cfg(target_os = "linux")]
    fn sync_files(&self, _paths: &[PathBuf]) -> io::Result<()> {
        // One wait for everything, however many files a round has.
        rustix::fs::syncfs(&self.file_system).map_err(io::Error::from)
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_files(&self, paths: &[PathBuf]) -> io::Result<()> {
        let mut folders = std::collections::BTreeSet::new();
        for path in paths {
            File::open(path)?.sync_all()?;
            folders.extend(path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root)));
        }
        folders.into_iter().try_for_each(|folder| self.sync_folder(folder))
    }

    fn try_lock(&self, path: &Path, owner: &str) -> io::Result<File> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => return Err(held_by(&mut file)),
        }
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(owner.as_bytes())?;
        Ok(file)
    }
}

fn write_and_sync(mut file: File, pieces: &[&[u8]]) -> io::Result<()> {
    pieces.iter().try_for_each(|piece| file.write_all(piece))?;
    file.sync_data()
}

/// `None` where nothing is there: also a file where a folder should be.
fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Says who holds the lock, as far as its holder noted it.
fn held_by(file: &mut File) -> io::Error {
    let mut owner = String::new();
    let read = file.take(200).read_to_string(&mut owner);
    let owner = if read.is_ok() && !owner.is_empty() { owner } else { "another process".into() };
    io::Error::new(io::ErrorKind::WouldBlock, format!("held by {owner}"))
}
