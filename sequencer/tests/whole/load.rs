//! What a log refuses to start on, and with which words.

use std::error::Error;
use std::sync::Arc;

use crate::common::{self, add, entries};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_sequencer::{
    Alarm, Dedup, Entry, HeadRecord, LoadError, PublicCheckpoint, Round, RoundError, Tree, Voice, Writer,
    create_log,
};
use kiln_storage::{Loaded, Memory, MemoryRegister, ObjectPath, Register, Store};
use kiln_tiles::TreeHead;

async fn load(
    seed: u8,
    memory: &Memory,
    guard: &MemoryRegister,
    accept: Option<TreeHead>,
) -> Result<Writer<Memory, MemoryRegister>, LoadError> {
    Writer::load(Arc::new(common::log(seed, memory, guard, &Dedup::in_memory())), accept, |_| {}).await
}

/// A log of 300 entries in two rounds, the second of which the head still holds.
async fn log_of_300() -> (Memory, MemoryRegister) {
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    for round in ["first", "second"] {
        add(&memory, &guard, &Dedup::in_memory(), &entries(round, 150)).await;
    }
    (memory, guard)
}

fn path(name: &str) -> ObjectPath {
    name.parse().expect("an object name")
}

fn tamper(memory: &Memory, name: &str, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
    let body = memory.objects().remove(&path(name)).unwrap_or_else(|| panic!("no {name}"));
    memory.tamper(&path(name), change(body.to_vec()).map(Bytes::from));
}

fn flip(mut body: Vec<u8>) -> Option<Vec<u8>> {
    body[40] ^= 1;
    Some(body)
}

#[tokio::test]
async fn a_sound_log_loads_and_says_its_size() {
    let (memory, guard) = log_of_300().await;
    assert_eq!(load(1, &memory, &guard, None).await.unwrap().head().size(), 300);
}

#[tokio::test]
async fn a_store_without_a_log_is_said_to_be_one() {
    let error = load(1, &Memory::new(), &MemoryRegister::default(), None).await.err().unwrap();
    assert!(matches!(error, LoadError::NoLog) && !error.is_held());
}

/// Nothing is lost where nothing was: nobody has to vouch for a log without entries.
#[tokio::test]
async fn a_guard_is_made_anew_for_an_empty_log() {
    let (memory, lost) = (Memory::new(), MemoryRegister::default());
    create_log(&common::log(1, &memory, &MemoryRegister::default(), &Dedup::off())).await.unwrap();
    assert_eq!(load(1, &memory, &lost, None).await.unwrap().head().size(), 0);
    assert!(lost.load().await.unwrap().value.is_some());
}

#[tokio::test]
async fn the_store_of_another_key_is_refused() {
    let (memory, _) = log_of_300().await;
    let refused = async || {
        let error = load(2, &memory, &MemoryRegister::default(), None).await.err().unwrap();
        assert!(matches!(error, LoadError::OtherLog { .. }), "{error}");
        assert!(error.is_bad_log());
    };
    // With a wrong key the checkpoint does not verify either; who was told to remove it lost a good one.
    refused().await;
    memory.tamper(&path("checkpoint"), None);
    refused().await;
}

#[tokio::test]
async fn a_checkpoint_that_does_not_verify_is_refused() {
    let (memory, guard) = log_of_300().await;
    tamper(&memory, "checkpoint", flip);
    let error = load(1, &memory, &guard, None).await.err().unwrap();
    assert!(matches!(error, LoadError::Round(RoundError::Alarm(Alarm::Checkpoint(_)))), "{error}");
    assert!(error.is_bad_log());
}

#[tokio::test]
async fn a_damaged_right_edge_is_refused_by_name() {
    // The head's base is the tree of 150: these are its edge. What the head still holds is repaired.
    for name in ["tile/0/000.p/150", "tile/entries/000.p/150"] {
        for damage in [
            flip,
            |mut body: Vec<u8>| {
                body.pop();
                Some(body)
            },
            |_| None,
        ] {
            let (memory, guard) = log_of_300().await;
            memory.tamper(&path(&name.replace(".p/150", "")), None); // no full one to fall back to
            tamper(&memory, name, damage);
            let error = load(1, &memory, &guard, None).await.err().unwrap();
            assert!(matches!(error, LoadError::Read(_)), "{name}: {error}");
            assert!(error.is_bad_log());
        }
    }
}

#[tokio::test]
async fn a_partial_tile_that_was_cleaned_away_is_read_from_the_full_one() {
    let (memory, guard) = log_of_300().await;
    for name in ["tile/0/000.p/150", "tile/entries/000.p/150"] {
        memory.tamper(&path(name), None);
    }
    assert_eq!(load(1, &memory, &guard, None).await.unwrap().head().size(), 300);
}

/// A log that was brought back from a mirror has the partial tiles of its newest checkpoint, and no
/// others. It was refused, though `kiln fsck` found nothing missing.
#[tokio::test]
async fn the_partial_tiles_of_the_newest_checkpoint_are_enough() {
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    for round in ["first", "second"] {
        add(&memory, &guard, &Dedup::in_memory(), &entries(round, 30)).await;
    }
    for name in ["tile/0/000.p/30", "tile/entries/000.p/30"] {
        tamper(&memory, name, |_| None);
    }
    assert_eq!(load(1, &memory, &guard, None).await.unwrap().head().size(), 60);
    // Its first 30 hashes are believed only if they lead to the root that the head names.
    tamper(&memory, "tile/0/000.p/60", flip);
    let error = load(1, &memory, &guard, None).await.err().unwrap();
    assert!(matches!(error, LoadError::Read(_)), "{error}");
}

#[tokio::test]
async fn a_log_without_a_guard_is_refused_until_a_person_vouches_for_its_head() {
    let (memory, guard) = log_of_300().await;
    let head = load(1, &memory, &guard, None).await.unwrap().head();
    let lost = MemoryRegister::default();
    let error = load(1, &memory, &lost, None).await.err().unwrap();
    assert!(matches!(error, LoadError::NoVoice { .. }) && error.is_bad_log());
    assert!(error.to_string().contains(&format!("--accept-head {head}")), "{error}");
    let other = TreeHead::new(299, head.root()).unwrap();
    let error = load(1, &memory, &lost, Some(other)).await.err().unwrap();
    assert!(matches!(error, LoadError::NotAccepted { .. }), "{error}");
    load(1, &memory, &lost, Some(head)).await.unwrap();
    load(1, &memory, &lost, None).await.expect("the guard stands again");
}

#[tokio::test]
async fn a_damaged_head_is_refused() {
    let (memory, guard) = log_of_300().await;
    let Loaded { held, value } = memory.head().load().await.unwrap();
    let mut bytes = value.unwrap().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1; // within the last entry of the head's round
    memory.head().swap(held, bytes.into()).await.unwrap();
    let error = load(1, &memory, &guard, None).await.err().unwrap();
    assert!(matches!(error, LoadError::Rounds { .. }), "{error}");
    assert!(error.is_bad_log());
}

/// A load that merged the rounds of the head wrote tiles for the last size only: the partial tiles
/// of a checkpoint that was published before the crash were never there again.
#[tokio::test]
async fn rounds_of_the_head_are_applied_each_with_its_own_size() {
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    let log = common::log(1, &memory, &guard, &Dedup::in_memory());
    create_log(&log).await.unwrap();
    let entry = |text: String| Entry::new(Bytes::from(text)).unwrap();
    let rounds = ["first", "second"]
        .map(|label| Round { time: 1, entries: entries(label, 150).into_iter().map(entry).collect() });
    let mut tree = Tree::empty();
    let implied: Vec<_> = rounds.iter().flat_map(|round| tree.append(&round.entries)).collect();
    let new = HeadRecord::new_log(log.fingerprint(), [9; 16]);
    let record = HeadRecord { number: 2, head: tree.head(), rounds: rounds.map(Arc::new).into(), ..new };
    let Loaded { held, .. } = memory.head().load().await.unwrap();
    memory.head().swap(held, record.to_bytes()).await.unwrap();

    assert_eq!(load(1, &memory, &guard, None).await.unwrap().head(), tree.head());
    let found = memory.objects();
    for object in implied {
        assert_eq!(found.get(&object.path), Some(&object.body), "{}", object.path);
    }
    assert!(found.contains_key(&path("tile/0/000.p/150")));
}

/// What readers see, wherever they look.
#[derive(Debug)]
struct Seen(Option<Bytes>);

impl PublicCheckpoint for Seen {
    fn read(&self) -> BoxFuture<'_, Result<Option<Bytes>, Box<dyn Error + Send + Sync>>> {
        let seen = self.0.clone().ok_or_else(|| "it is down".into());
        Box::pin(async { seen.map(Some) })
    }
}

async fn load_seen(
    memory: &Memory,
    guard: &MemoryRegister,
    seen: Option<Bytes>,
) -> Result<Writer<Memory, MemoryRegister>, LoadError> {
    let log = common::log(1, memory, guard, &Dedup::in_memory()).with_public(Arc::new(Seen(seen)));
    Writer::load(Arc::new(log), None, |_| {}).await
}

/// The store, its guard and the machine went back together; what readers had seen did not.
#[tokio::test]
async fn what_readers_saw_elsewhere_is_a_voice_too() {
    let (memory, guard) = log_of_300().await;
    let earlier = (memory.copy(), memory.objects()[&path("checkpoint")].clone());
    add(&memory, &guard, &Dedup::in_memory(), &entries("third", 10)).await;
    let seen = memory.objects()[&path("checkpoint")].clone();
    let back = MemoryRegister::default();
    let error = load_seen(&earlier.0, &back, Some(seen.clone())).await.err().unwrap();
    let LoadError::Round(RoundError::Alarm(Alarm::Fork { voice: Voice::Public, theirs, ours })) = error
    else {
        panic!("{error}")
    };
    assert_eq!((theirs.size(), ours.size()), (310, 300));
    // It vouches for the head, so that a guard can be made anew without a person.
    assert_eq!(load_seen(&memory, &back, Some(seen)).await.unwrap().head().size(), 310);
    assert!(back.load().await.unwrap().value.is_some());
    // An older one is what a CDN serves now and then; one that is down or speaks nonsense says nothing.
    for seen in [Some(earlier.1), None, Some(Bytes::from_static(b"<html>"))] {
        assert_eq!(load_seen(&memory, &guard, seen).await.unwrap().head().size(), 310);
    }
    let nobody = load_seen(&memory, &MemoryRegister::default(), None).await;
    assert!(matches!(nobody, Err(LoadError::NoVoice { .. })));
}

/// With several guards each is raised in each round, and each has a say.
#[tokio::test]
async fn every_guard_is_raised_and_has_a_say() {
    let (memory, first) = log_of_300().await;
    let second = MemoryRegister::default();
    let load_both = async |memory: &Memory| {
        let log = common::log(1, memory, &first, &Dedup::in_memory()).with_guard(second.clone());
        Writer::load(Arc::new(log), None, |_| {}).await
    };
    let back = memory.copy();
    assert_eq!(load_both(&memory).await.unwrap().head().size(), 300);
    assert!(second.load().await.unwrap().value.is_some(), "the first guard vouched for it");
    let log = common::log(1, &memory, &first, &Dedup::in_memory()).with_guard(second.clone());
    common::add_to(log, &entries("third", 10)).await;
    // Whichever guard is left knows.
    for guard in [&first, &second] {
        let error = load(1, &back, guard, None).await.err().unwrap();
        assert!(matches!(
            error,
            LoadError::Round(RoundError::Alarm(Alarm::Fork { voice: Voice::Guard, .. }))
        ));
    }
}

/// A process ended between its commit and the guards, and one of the two was lost: the other, which is
/// a round behind, vouches for the head.
#[tokio::test]
async fn a_guard_that_is_behind_vouches_where_another_is_missing() {
    let (memory, first) = (Memory::new(), MemoryRegister::default());
    add(&memory, &first, &Dedup::in_memory(), &entries("first", 150)).await;
    let behind = first.load().await.unwrap().value.unwrap();
    add(&memory, &first, &Dedup::in_memory(), &entries("second", 150)).await;
    let newest = first.load().await.unwrap();
    first.swap(newest.held, behind).await.unwrap();

    let second = MemoryRegister::default();
    let log = common::log(1, &memory, &first, &Dedup::in_memory()).with_guard(second.clone());
    assert_eq!(Writer::load(Arc::new(log), None, |_| {}).await.unwrap().head().size(), 300);
    for guard in [first, second] {
        assert_eq!(guard.load().await.unwrap().value, newest.value);
    }
}
