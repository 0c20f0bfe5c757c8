//! An index on disk that is damaged in any of its files, or in any way that a machine may fail.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_tiles::{Hash, TreeHead};

use super::disk::Disk;
use super::{Dedup, DedupError, Index, Known};

const LEAVES: u64 = 100_000;
const BATCH: u64 = 5_000;

/// As `on_disk` makes it, but with many small tables.
fn index(folder: &Path) -> Dedup {
    Dedup(Index::Disk(Disk::new(folder.to_owned(), 1 << 20)))
}

fn leaf(n: u64) -> Hash {
    Hash::leaf(&n.to_be_bytes())
}

fn head(size: u64) -> TreeHead {
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
fn look_up(dedup: &Dedup, covered: u64) -> Result<(), DedupError> {
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

/// The tables of leaves.
fn tables(folder: &Path) -> Vec<PathBuf> {
    let mut tables = files(folder);
    tables.retain(|path| path.parent().is_some_and(|parent| parent.ends_with("keyspaces/1/tables")));
    tables
}

/// An index as a process leaves it that was stopped, with tables and with a journal.
fn stopped(folder: &Path) {
    let dedup = index(folder);
    catch_up(&dedup, LEAVES).unwrap();
    while tables(folder).is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(1)); // they are written in the background
    }
    drop(dedup);
    index(folder).covered().unwrap(); // shortens the journal to what is in it
    assert!(!tables(folder).is_empty());
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

/// A byte flipped in a table was no damage: the store opened, a look-up failed, the log was loaded
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

/// The store drops the rest of a journal that is damaged and goes on with the next one: the index
/// said that it covers all, and had a gap.
#[test]
fn an_index_that_lost_a_part_of_its_leaves_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    let (older, newer) = (path.join("0.jnl"), path.join("1.jnl"));
    let dedup = || Dedup(Index::Disk(Disk::new(path.clone(), 64 << 20)));
    let leaves: Vec<Hash> = (0..BATCH).map(leaf).collect();
    dedup().insert(&leaves[..3_000], head(3_000), Known::Some).unwrap();
    assert_eq!(dedup().covered().unwrap(), head(3_000));
    let middle = usize::try_from(older.metadata().unwrap().len()).unwrap();
    dedup().insert(&leaves[3_000..], head(BATCH), Known::Some).unwrap();
    assert_eq!(dedup().covered().unwrap(), head(BATCH));
    let journal = fs::read(&older).unwrap();
    fs::write(&newer, &journal[middle..]).unwrap();

    fs::write(&older, &journal[..middle]).unwrap();
    let whole = folder.path().join("whole");
    copy(&path, &whole, Path::new(""), Some);
    assert_eq!(index(&whole).covered().unwrap(), head(BATCH), "both journals are read");
    assert_eq!(index(&whole).look_up(&leaves[..1]).unwrap(), [Some(0)]);

    fs::write(&older, &journal[..middle / 2]).unwrap();
    assert_eq!(dedup().covered().unwrap(), TreeHead::empty());
    assert_eq!(failures(&dedup()), 0);
}

/// Damage is found when the index is opened, which may be after the caller was told what it covers:
/// the leaves of a round then went into an empty index, which said that it covers all before them.
#[test]
fn an_index_that_is_behind_takes_no_leaves_beyond_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    index(&path).insert(&[leaf(0)], head(1), Known::Some).unwrap();
    fs::write(path.join("version"), b"nonsense").unwrap();
    let dedup = index(&path);
    assert!(dedup.insert(&[leaf(1)], head(2), Known::Some).is_err());
    assert_eq!(dedup.covered().unwrap(), TreeHead::empty());
    dedup.insert(&[leaf(0), leaf(1)], head(2), Known::Some).unwrap();
    assert_eq!(dedup.look_up(&[leaf(0), leaf(1)]).unwrap(), [Some(0), Some(1)]);
}

/// Of some damage the store panics twice, or wants more memory than there is: the process died of it
/// at every start.
#[test]
fn an_index_of_which_the_process_dies_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    index(&path).insert(&[leaf(0)], head(1), Known::Some).unwrap();
    let death = |times: &str| fs::write(path.join("opening"), times).unwrap();
    death(".");
    assert_eq!(index(&path).covered().unwrap(), head(1), "once it may have been a power cut");
    death(".");
    assert_eq!(index(&path).covered().unwrap(), head(1), "an open that ended is no death");
    death("..");
    assert_eq!(index(&path).covered().unwrap(), TreeHead::empty());
    assert_eq!(failures(&index(&path)), 0);
}

/// A crash while a damaged index was deleted left half of it, which may open and answer.
#[test]
fn what_is_left_of_an_index_that_was_being_deleted_is_never_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    let doomed = folder.path().join("dedup.damaged");
    index(&path).insert(&[leaf(0)], head(1), Known::Some).unwrap();
    fs::rename(&path, &doomed).unwrap();
    assert_eq!(index(&path).covered().unwrap(), TreeHead::empty());
    assert!(!doomed.exists());

    // Damaged once more, with the remains of the first time still there.
    index(&path).insert(&[leaf(0)], head(1), Known::Some).unwrap();
    fs::create_dir(&doomed).unwrap();
    fs::write(doomed.join("0.jnl"), b"remains").unwrap();
    fs::write(path.join("version"), b"nonsense").unwrap();
    assert_eq!(index(&path).covered().unwrap(), TreeHead::empty());
    assert!(!doomed.exists());
}

/// An index that another process has open looks damaged where its files are not what they should
/// be: that process will find that out, and it alone may delete them.
#[test]
fn a_damaged_index_that_somebody_has_open_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    let first = index(&path);
    first.insert(&[leaf(0)], head(1), Known::Some).unwrap();
    for version in [Some("nonsense"), None] {
        match version {
            Some(text) => fs::write(path.join("version"), text).unwrap(),
            None => fs::remove_file(path.join("version")).unwrap(),
        }
        assert!(index(&path).covered().is_err());
        assert!(index(&path).clear().is_err());
        assert_eq!(first.look_up(&[leaf(0)]).unwrap(), [Some(0)]);
    }
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

/// Tables are merged in the background. Where that met damage the store took no more leaves, and
/// did not say why; opened anew it failed again.
#[test]
fn an_index_whose_tables_cannot_be_merged_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, work) = (folder.path().join("whole"), folder.path().join("dedup"));
    stopped(&whole);
    for table in &tables(&whole) {
        copy(&whole, &work, table, |bytes| {
            let at = bytes.len() / 3;
            flip(bytes, at)
        });
        let dedup = index(&work);
        let mut failed = 0;
        for round in 0..12 {
            // Leaves that are in no table, and few enough that none is read to look them up.
            let covered = dedup.covered().map(|head| head.size());
            let Ok(covered) = covered else {
                failed += 1;
                continue;
            };
            let leaves: Vec<Hash> = (covered..covered + BATCH).map(leaf).collect();
            if dedup.insert(&leaves, head(covered + BATCH), Known::Some).is_err() {
                failed += 1;
            }
            assert!(failed <= 2, "round {round}");
        }
    }
}
