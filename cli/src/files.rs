//! Reading and writing files, bounded and in one step.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::Builder;

use crate::failure::Failure;

/// Reads a file, or standard input for `-`, up to `limit` bytes and one: so what is too long shows.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    read_bounded(path, limit as u64 + 1).map_err(|error| Failure::file(path, &error))
}

/// Reads all of a file, or of standard input for `-`.
pub(crate) fn read_all(path: &Path) -> Result<Vec<u8>, Failure> {
    read_bounded(path, u64::MAX).map_err(|error| Failure::file(path, &error))
}

fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Who may read a file that is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Readers {
    /// Its owner alone.
    Owner,
    /// Whoever the umask lets.
    Usual,
}

/// Puts a file in place of any of that name, in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = written(path, bytes, Readers::Usual).and_then(|file| Ok(file.persist(path)?));
    written.map(drop).map_err(|error| Failure::file(path, &error))
}

/// Makes a file, durably, in one step, unless there is one of that name: `false` then.
pub(crate) fn create(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<bool> {
    let file = written(path, bytes, readers)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {
            File::open(folder_of(path))?.sync_all()?;
            Ok(true)
        }
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(failed) => Err(failed.error),
    }
}

/// Puts a file in place of any of that name, durably and in one step.
pub(crate) fn put(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let file = written(path, bytes, readers)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder_of(path))?.sync_all()
}

fn written(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if readers == Readers::Owner { 0o600 } else { 0o666 }; // less what the umask takes
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = readers;
    let mut file = builder.tempfile_in(folder_of(path)).map_err(|error| nameless(&error))?;
    file.as_file_mut().write_all(bytes)?;
    Ok(file)
}

/// The error without the name of the temporary file, which nobody asked for.
fn nameless(error: &io::Error) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::NotFound => io::Error::new(kind, "there is no such folder to write it to"),
        kind => kind.into(),
    }
}

/// Checks that a folder is here, or can be made, which this process can write to.
pub(crate) fn check_may_be_folder(folder: &Path) -> Result<(), Failure> {
    if folder.as_os_str().is_empty() {
        return Err(Failure::usage("an empty path names no folder"));
    }
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    // A link that leads nowhere is there, and no folder can be made in its place.
    let Some(existing) = absolute.ancestors().find(|path| path.symlink_metadata().is_ok()) else {
        return Ok(());
    };
    if !existing.is_dir() {
        return Err(Failure::undone(format!("{}: {} is no folder", folder.display(), existing.display())));
    }
    #[cfg(unix)]
    {
        use rustix::fs::Access;
        rustix::fs::access(existing, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
            Failure::undone(format!("{}: {}: {error}", folder.display(), existing.display()))
        })?;
    }
    Ok(())
}

/// The path that a folder has, or will have once it is made, without links and dots.
pub(crate) fn real(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let existing = folder.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    match existing {
        Some((ancestor, real)) => real.join(folder.strip_prefix(ancestor).unwrap_or(Path::new(""))),
        None => folder,
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
