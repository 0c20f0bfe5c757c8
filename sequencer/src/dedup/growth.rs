//! An index on disk that grows, and is merged meanwhile.

use std::fs;

use kiln_tiles::Hash;

use super::damage::{LEAVES, head, index, leaf, look_up, runs, wait_for};
use super::disk::Disk;
use super::{Dedup, Index, Known};

/// Merged again and again, beside look-ups: each leaf keeps its index.
#[test]
fn an_index_that_is_merged_while_it_grows_answers_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let dedup = Dedup(Index::Disk(Disk::new(folder.path().to_owned(), 64)));
    let (merged, mut seen) = (folder.path().join("0-600.run"), false);
    for round in 0..400 {
        let (first, end) = (round * 50, (round + 1) * 50);
        let leaves: Vec<Hash> = (first..end).map(leaf).collect();
        assert_eq!(dedup.look_up(&leaves).unwrap(), [None; 50]);
        dedup.insert(&leaves, head(end), Known::None).unwrap();
        seen |= merged.exists();
    }
    if !seen {
        wait_for(&merged);
    }
    look_up(&dedup, 20_000).unwrap();
    drop(dedup);
    look_up(&index(folder.path()), 20_000).unwrap();
}

/// The leaves of a run that could not be written are in no run, and in memory no more. What came after them must not
/// be kept either: with a hole in it the index would give an entry a second place.
#[test]
fn leaves_that_could_not_be_written_leave_no_hole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    let dedup = Dedup(Index::Disk(Disk::new(path.clone(), 64)));
    let leaves: Vec<Hash> = (0..200).map(leaf).collect();
    dedup.insert(&leaves[..64], head(64), Known::None).unwrap();
    wait_for(&path.join("0-64.run"));
    fs::create_dir(path.join("64-128.new")).unwrap(); // stands in the way of the next run
    dedup.insert(&leaves[64..128], head(128), Known::None).unwrap();
    assert_eq!(dedup.look_up(&leaves[100..101]).unwrap(), [Some(100)], "while it is being written");
    let told =
        (129..200).find(|&end| dedup.insert(&leaves[end - 1..end], head(end as u64), Known::None).is_err());
    assert!(told.is_some());
    assert_eq!(dedup.covered().unwrap(), head(64));
    dedup.insert(&leaves[64..], head(200), Known::Some).unwrap();
    look_up(&dedup, 200).unwrap();
    drop(dedup);
    look_up(&index(&path), 200).unwrap();
}

/// A merge that was ended by a crash leaves its output beside its inputs, whole or not.
#[test]
fn what_a_crash_leaves_of_a_merge_is_not_used_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    let small = || Dedup(Index::Disk(Disk::new(path.clone(), 1 << 20)));
    let leaves: Vec<Hash> = (0..3_000).map(leaf).collect();
    for end in [1_000, 2_000, 3_000] {
        small().insert(&leaves[end - 1_000..end], head(end as u64), Known::Some).unwrap();
    }
    assert_eq!(runs(&path).len(), 3);
    let other = folder.path().join("other");
    index(&other).insert(&leaves[..2_000], head(2_000), Known::Some).unwrap();
    let merged = path.join("0-2000.run");
    fs::copy(other.join("0-2000.run"), &merged).unwrap();
    fs::write(path.join("0-3000.new"), b"half of a run").unwrap();
    look_up(&small(), 3_000).unwrap();
    assert_eq!(runs(&path), [merged.clone(), path.join("2000-3000.run")]);
    assert!(!path.join("0-3000.new").exists());

    // Torn, it gives way to what it was made of.
    small().clear().unwrap();
    for end in [1_000, 2_000, 3_000] {
        small().insert(&leaves[end - 1_000..end], head(end as u64), Known::Some).unwrap();
    }
    fs::write(&merged, vec![0; 100_000]).unwrap();
    look_up(&small(), 3_000).unwrap();
    assert_eq!(runs(&path).len(), 3);
}

/// Whoever makes many entries whose hashes begin alike makes one block large, and no look-up wrong.
#[test]
fn leaves_that_begin_alike_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let alike = |n: u64| {
        let mut bytes = *leaf(n).as_bytes();
        bytes[..8].copy_from_slice(&[7; 8]);
        Hash::from_bytes(bytes)
    };
    let dedup = index(folder.path());
    let leaves: Vec<Hash> = (0..LEAVES / 5).map(alike).collect();
    dedup.insert(&leaves, head(LEAVES / 5), Known::Some).unwrap();
    wait_for(&folder.path().join(format!("0-{}.run", LEAVES / 5)));
    dedup.insert(&[leaf(1)], head(LEAVES / 5 + 1), Known::Some).unwrap(); // which notices that it is written
    let found = dedup.look_up(&leaves).unwrap();
    assert!(found.into_iter().eq((0..LEAVES / 5).map(Some)));
    assert_eq!(dedup.look_up(&[alike(LEAVES), leaf(0)]).unwrap(), [None, None]);
}
