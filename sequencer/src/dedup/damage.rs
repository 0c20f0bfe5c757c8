//! An index on disk that is damaged in any of its files, or in any way that a machine may fail.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_tiles::{Hash, TreeHead};

use super::disk::Disk;
use super::{Dedup, DedupError, Index, Known};

pub(super) const LEAVES: u64 = 100_000;
const BATCH: u64 = 5_000;

/// As `on_disk` makes it, but with many small runs.
pub(super) fn index(folder: &Path) -> Dedup {
    Dedup(Index::Disk(Disk::new(folder.to_owned(), 4096)))
}

pub(super) fn leaf(n: u64) -> Hash {
    Hash::leaf(&n.to_be_bytes())
}

pub(super) fn head(size: u64) -> TreeHead {
    TreeHead::new(size, leaf(0)).unwrap()
}

/// What a load does: the leaves that the log has and the index does not are added to it; here some
/// of them, for an index answers as well with few as with many.
fn catch_up(dedup: &Dedup, upto: u64) -> Result<u64, DedupError> {
    let mut covered = dedup.covered()?.size();
    while covered < upto {
        let end = upto.min((covered / BATCH + 1) * BATCH);
        let leaves: Vec<Hash> = (covered..end).map(leaf).collect();
        dedup.insert(&leaves, head(end), Known::Some)?;
        covered = end;
    }
    Ok(covered)
}

/// What a round does, with some of the leaves that the index says it covers.
pub(super) fn look_up(dedup: &Dedup, covered: u64) -> Result<(), DedupError> {
    let numbers: Vec<u64> = (0..covered).step_by(7).chain(covered - 1..=covered).collect();
    let leaves: Vec<Hash> = numbers.iter().copied().map(leaf).collect();
    let found = dedup.look_up(&leaves)?;
    let wrong = numbers.iter().zip(&found).filter(|&(n, found)| *found != Some(*n).filter(|n| *n < covered));
    assert_eq!(wrong.count(), 0, "of {} answers, with {covered} leaves", found.len());
    Ok(())
}

/// A load and a round, tried until both work; returns how often that failed.
fn failures(dedup: &Dedup) -> usize {
    let attempt = || look_up(dedup, catch_up(dedup, BATCH)?);
    (0..4).take_while(|_| attempt().is_err()).count()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

pub(super) fn runs(folder: &Path) -> Vec<PathBuf> {
    let mut runs = files(folder);
    runs.retain(|path| path.extension().is_some_and(|extension| extension == "run"));
    runs
}

/// Waits for what a merge makes, which is written in the background.
pub(super) fn wait_for(run: &Path) {
    while !run.exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// An index as a process leaves it that was stopped, with runs that were merged and others.
fn stopped(folder: &Path) {
    let dedup = index(folder);
    catch_up(&dedup, LEAVES).unwrap();
    wait_for(&folder.join("0-35000.run")); // the first seven, together of a higher class
    drop(dedup);
    assert_eq!(index(folder).covered().unwrap(), head(LEAVES));
    assert!((2..=14).contains(&runs(folder).len()), "{:?}", runs(folder));
}

/// Copies an index, with this file changed or left out.
fn copy(from: &Path, to: &Path, file: &Path, change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) {
    let _ = fs::remove_dir_all(to);
    for path in files(from) {
        let copy = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        let bytes = fs::read(&path).unwrap();
        if let Some(bytes) = if path == file { change(bytes) } else { Some(bytes) } {
            fs::write(copy, bytes).unwrap();
        }
    }
}

type Damage = (&'static str, fn(Vec<u8>) -> Option<Vec<u8>>);

fn flip(mut bytes: Vec<u8>, at: usize) -> Option<Vec<u8>> {
    let end = bytes.len().saturating_sub(1);
    if let Some(byte) = bytes.get_mut(at.min(end)) {
        *byte ^= 0x10;
    }
    Some(bytes)
}

const DAMAGES: &[Damage] = &[
    ("a byte at the start", |bytes| flip(bytes, 0)),
    ("a byte in the middle", |bytes| {
        let at = bytes.len() / 2;
        flip(bytes, at)
    }),
    ("the last byte", |bytes| flip(bytes, usize::MAX)),
    ("4 kB of zeros", |mut bytes| {
        let at = bytes.len() / 2;
        let end = bytes.len().min(at + 4096);
        bytes[at..end].fill(0);
        Some(bytes)
    }),
    ("empty", |_| Some(Vec::new())),
    ("gone", |_| None),
];

/// A byte flipped in a file was no damage: the index opened, a look-up failed, the log was loaded
/// again, and failed for ever. Other files were found missing at each start.
#[test]
fn an_index_damaged_in_any_file_is_built_anew_after_one_failure() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    stopped(&whole);
    let check = &|file: PathBuf, work: PathBuf| {
        for (name, change) in DAMAGES {
            copy(&whole, &work, &file, change);
            let failed = failures(&index(&work));
            assert!(failed <= 1, "{name}: {}: {failed}", file.strip_prefix(&whole).unwrap().display());
        }
    };
    std::thread::scope(|scope| {
        for (n, file) in files(&whole).into_iter().enumerate() {
            let work = folder.path().join(n.to_string());
            scope.spawn(move || check(file, work)); // they wait for the disk, most of the time
        }
    });
}

/// A hole would be a second index for an entry.
#[test]
fn an_index_that_lost_a_run_covers_what_comes_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, work) = (folder.path().join("whole"), folder.path().join("dedup"));
    stopped(&whole);
    for run in &runs(&whole) {
        copy(&whole, &work, run, |_| None);
        let name = run.file_stem().unwrap().to_str().unwrap();
        let first: u64 = name.split_once('-').unwrap().0.parse().unwrap();
        let covered = index(&work).covered().unwrap();
        assert_eq!(covered.size(), first);
        assert_eq!(failures(&index(&work)), 0);
        let later = leaf(LEAVES - 1);
        assert_eq!(index(&work).look_up(&[later]).unwrap(), [None], "what came after the gap is gone");
    }
}

/// The bytes of one run at the name of another: of an older index, say, or a copy gone wrong.
#[test]
fn a_run_of_another_stretch_than_its_name_says_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    index(&path).insert(&[leaf(0)], head(1), Known::Some).unwrap();
    fs::rename(path.join("0-1.run"), path.join("0-2.run")).unwrap();
    assert_eq!(index(&path).covered().unwrap(), TreeHead::empty());
}

/// Damage is found when the index is opened, which may be after the caller was told what it covers:
/// the leaves of a round then went into an empty index, which said that it covers all before them.
#[test]
fn an_index_that_is_behind_takes_no_leaves_beyond_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    index(&path).insert(&[leaf(0)], head(1), Known::Some).unwrap();
    fs::write(path.join("0-1.run"), b"nonsense").unwrap();
    let dedup = index(&path);
    assert!(dedup.insert(&[leaf(1)], head(2), Known::Some).is_err());
    assert_eq!(dedup.covered().unwrap(), TreeHead::empty());
    dedup.insert(&[leaf(0), leaf(1)], head(2), Known::Some).unwrap();
    assert_eq!(dedup.look_up(&[leaf(0), leaf(1)]).unwrap(), [Some(0), Some(1)]);
}

/// An index of an earlier version, or a part of one.
#[test]
fn what_is_no_run_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("keyspaces/1")).unwrap();
    fs::write(folder.path().join("0.jnl"), b"a journal").unwrap();
    fs::create_dir(folder.path().join("0-5.run")).unwrap();
    let dedup = index(folder.path());
    assert_eq!(dedup.covered().unwrap(), TreeHead::empty());
    assert_eq!(files(folder.path()), [folder.path().join("lock")]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// An index that another process has open looks damaged where its files are not what they should
/// be: that process will find that out, and it alone may delete them.
#[test]
fn a_damaged_index_that_somebody_has_open_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    let first = index(&path);
    first.insert(&[leaf(0)], head(1), Known::Some).unwrap();
    drop(first);
    let first = index(&path);
    assert_eq!(first.covered().unwrap(), head(1));
    fs::write(path.join("0-1.run"), b"nonsense").unwrap();
    assert!(index(&path).covered().is_err());
    assert!(index(&path).clear().is_err());
    assert_eq!(fs::read(path.join("0-1.run")).unwrap(), b"nonsense");
    drop(first);
    assert_eq!(index(&path).covered().unwrap(), TreeHead::empty());
}

/// A folder that cannot be opened now is not damaged.
#[cfg(unix)]
#[test]
fn an_index_that_may_not_be_read_is_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    index(&path).insert(&[leaf(0)], head(1), Known::Some).unwrap();
    let allow = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o000);
    let dedup = index(&path);
    if fs::read_dir(&path).is_err() {
        assert!(dedup.covered().is_err()); // for root there is nothing that may not be read
    }
    allow(0o700);
    assert_eq!(dedup.covered().unwrap(), head(1));
}

/// Runs are merged in the background. Where that met damage the index took no more leaves, and did
/// not say why; opened anew it failed again.
#[test]
fn an_index_whose_runs_cannot_be_merged_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, work) = (folder.path().join("whole"), folder.path().join("dedup"));
    stopped(&whole);
    for run in &runs(&whole) {
        copy(&whole, &work, run, |bytes| flip(bytes, 0));
        let dedup = index(&work);
        let mut failed = 0;
        while runs(&work).contains(&work.join(run.file_name().unwrap())) {
            // Leaves that are in no run, and few enough that none is read to look them up.
            let covered = dedup.covered().unwrap().size();
            assert!(covered < 50 * LEAVES, "it was never merged");
            let leaves: Vec<Hash> = (covered..covered + BATCH).map(leaf).collect();
            failed += usize::from(dedup.insert(&leaves, head(covered + BATCH), Known::None).is_err());
        }
        assert_eq!(failed, 1);
        assert_eq!(failures(&dedup), 0);
    }
}
