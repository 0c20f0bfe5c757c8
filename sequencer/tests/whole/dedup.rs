//! Equal entries are one entry, whatever became of the index.

use std::sync::{Arc, Mutex};

use crate::common::{self, add, entries};
use kiln_sequencer::{CatchUp, Dedup, Writer};
use kiln_storage::{Memory, MemoryRegister};

#[tokio::test]
async fn an_index_that_is_gone_is_built_anew_from_the_tiles() {
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    for round in 0..4_u64 {
        let indices =
            add(&memory, &guard, &Dedup::on_disk(path.clone()), &entries(&round.to_string(), 200)).await;
        assert!(indices.into_iter().eq(round * 200..(round + 1) * 200));
    }
    std::fs::remove_dir_all(&path).unwrap();
    for round in 0..4_u64 {
        let indices =
            add(&memory, &guard, &Dedup::on_disk(path.clone()), &entries(&round.to_string(), 200)).await;
        assert!(indices.into_iter().eq(round * 200..(round + 1) * 200), "round {round}");
    }
}

/// An index of which any file was missing, or empty, stopped the log until a person deleted it.
#[tokio::test]
async fn a_log_goes_on_with_a_damaged_index() {
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dedup");
    add(&memory, &guard, &Dedup::on_disk(path.clone()), &entries("a", 300)).await;
    for gone in [true, false] {
        for file in std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()) {
            if gone {
                std::fs::remove_file(&file).unwrap();
            } else {
                std::fs::write(&file, b"").unwrap();
            }
            let indices = add(&memory, &guard, &Dedup::on_disk(path.clone()), &entries("a", 300)).await;
            assert!(indices.into_iter().eq(0..300), "{}, gone: {gone}", file.display());
        }
    }
}

#[tokio::test]
async fn an_index_that_is_behind_catches_up() {
    let (memory, guard, dedup) = (Memory::new(), MemoryRegister::default(), Dedup::in_memory());
    add(&memory, &guard, &dedup, &entries("a", 300)).await;
    for round in ["b", "c", "d"] {
        add(&memory, &guard, &Dedup::in_memory(), &entries(round, 300)).await;
    }
    assert_eq!(add(&memory, &guard, &dedup, &entries("b", 1)).await, [300]);
    assert_eq!(add(&memory, &guard, &dedup, &entries("d", 1)).await, [900]);
}

/// A log of a billion entries is not read into memory at once, and who waits wants to know for how long.
#[tokio::test]
async fn the_index_of_a_large_log_is_built_in_steps_and_says_how_far_it_is() {
    let (memory, guard, dedup) = (Memory::new(), MemoryRegister::default(), Dedup::in_memory());
    let all = entries("large", 140_000);
    add(&memory, &guard, &Dedup::off(), &all).await;
    add(&memory, &guard, &Dedup::off(), &entries("last", 1)).await; // which the head still holds
    let steps = Mutex::new(Vec::new());
    let log = Arc::new(common::log(1, &memory, &guard, &dedup));
    let progress = |step: CatchUp| steps.lock().unwrap().push((step.done, step.of));
    Writer::load(log, None, progress).await.unwrap();
    assert_eq!(*steps.lock().unwrap(), [0, 65_536, 131_072].map(|done| (done, 140_000)));
    let asked = [0, 65_535, 65_536, 139_999];
    let again = asked.map(|index| all[index].clone());
    assert_eq!(add(&memory, &guard, &dedup, &again).await, asked.map(|index| index as u64));
}

/// An index may belong to a log that was since restored or made anew: what it says is void.
#[tokio::test]
async fn an_index_of_another_tree_is_thrown_away() {
    let dedup = Dedup::in_memory();
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    add(&memory, &guard, &dedup, &entries("other", 500)).await;

    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    add(&memory, &guard, &Dedup::in_memory(), &entries("a", 10)).await;
    // Ahead of this log, then of another root than it had at that size.
    assert_eq!(add(&memory, &guard, &dedup, &entries("other", 2)).await, [10, 11]);
    let other = Dedup::in_memory();
    add(&Memory::new(), &MemoryRegister::default(), &other, &entries("b", 5)).await;
    assert_eq!(add(&memory, &guard, &other, &entries("b", 1)).await, [12]);
}

#[tokio::test]
async fn without_an_index_equal_entries_are_logged_again() {
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    assert_eq!(add(&memory, &guard, &Dedup::off(), &entries("a", 2)).await, [0, 1]);
    assert_eq!(add(&memory, &guard, &Dedup::off(), &entries("a", 2)).await, [2, 3]);
    // Switched on, it finds the first of them, and logs no more. The last round is read from the head.
    let folder = tempfile::tempdir().unwrap();
    for dedup in [Dedup::in_memory(), Dedup::on_disk(folder.path().join("dedup"))] {
        assert_eq!(add(&memory, &guard, &dedup, &entries("a", 2)).await, [0, 1]);
    }
}
