//! Which files of a folder are the index: runs that follow on each other from the first leaf of the log.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::fault::Fault;
use super::run::Run;
use super::runs::LOCK;

/// Opens the runs, oldest first, and deletes whatever else is there: what a crash left of a merge, runs that were
/// merged, what comes after a gap, the index of an earlier version.
pub(super) fn open(folder: &Path) -> Result<Vec<Run>, Fault> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let mut runs: Vec<Run> = Vec::new();
    for (first, _, path) in by_stretch(&paths) {
        let end = runs.last().map_or(0, |run| run.stretch().covered.size());
        if first == end {
            runs.extend(open_run(folder, path)?);
        }
    }
    let is_in_use = |path: &Path| path.ends_with(LOCK) || runs.iter().any(|run| run.path() == path);
    paths.iter().filter(|path| !is_in_use(path)).try_for_each(|path| remove(path))?;
    Ok(runs)
}

/// The paths of runs with their stretches, as their names say; of those that begin at the same leaf the longest one
/// first, which was made of the others.
fn by_stretch(paths: &[PathBuf]) -> Vec<(u64, u64, &PathBuf)> {
    let stretch = |path: &PathBuf| {
        let (first, end) = path.file_name()?.to_str()?.strip_suffix(".run")?.split_once('-')?;
        Some((first.parse().ok()?, end.parse().ok()?))
    };
    let mut runs: Vec<_> =
        paths.iter().filter_map(|path| stretch(path).map(|(first, end)| (first, end, path))).collect();
    runs.sort_unstable_by_key(|&(first, end, _)| (first, std::cmp::Reverse(end)));
    runs
}

/// Opens a run; `None` where it is damaged, or is another than its name says.
fn open_run(folder: &Path, path: &Path) -> Result<Option<Run>, Fault> {
    let opened = Run::open(path.to_owned());
    let named = |run: Run| if run.stretch().path(folder) == path { Ok(run) } else { Err(Fault::Absurd) };
    match opened.and_then(named) {
        Ok(run) => Ok(Some(run)),
        Err(fault) if fault.is_damage() => {
            tracing::warn!(path = %path.display(), %fault, "the dedup index is damaged; it is built anew from here");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Deletes what is there, a folder or a file.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotADirectory => fs::remove_file(path),
        done => done,
    };
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
