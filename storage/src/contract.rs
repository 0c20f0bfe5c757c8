//! The promises of [`Store`] as a suite. Every store passes all of it, and so can yours:
//!
//! ```
//! # #[tokio::main] async fn main() {
//! use kiln_storage::{Memory, contract};
//!
//! contract::check(|| async { Memory::new() }).await; // your own store, empty each time
//! # }
//! ```

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{CreateError, PutError, StorageErrorKind, SwapError};
use crate::partials::{PartialListing, PartialObjects, PartialPath};
use crate::path::ObjectPath;
use crate::store::{Loaded, Object, Register, Store};

const WRITERS: u64 = 20;
const SWAPS: u64 = 20;

/// Checks every promise, each on a new and empty store.
///
/// # Panics
/// Where the store breaks one.
pub async fn check<S: Store, F: Future<Output = S>>(empty: impl Fn() -> F) {
    created_objects_are_read_back(empty().await).await;
    creating_again_changes_nothing(empty().await).await;
    a_different_object_is_replaced_or_refused(empty().await).await;
    of_racing_creators_of_one_object_all_succeed(empty().await).await;
    a_put_needs_the_version_it_replaces(empty().await).await;
    of_racing_puts_one_wins(empty().await).await;
    a_register_is_empty_then_holds_what_was_swapped_in(empty().await).await;
    of_racing_swaps_one_wins(empty().await).await;
    what_is_large_is_kept_whole(empty().await).await;
}

/// Checks what [`PartialObjects`] promises, each on a new and empty store.
///
/// # Panics
/// Where the store breaks one.
pub async fn check_partials<S: Store + PartialObjects, F: Future<Output = S>>(empty: impl Fn() -> F) {
    partial_objects_are_listed_and_removed(empty().await).await;
    many_partial_objects_come_in_batches(empty().await).await;
}

fn path(name: &str) -> ObjectPath {
    name.parse().expect("a name in this file")
}

fn object(name: &str, body: &'static [u8]) -> Object {
    Object { path: path(name), body: Bytes::from_static(body) }
}

async fn created_objects_are_read_back<S: Store>(store: S) {
    let objects =
        vec![object("tile/0/000.p/1", b"one"), object("tile/0/x001/000", b"two"), object("empty", b"")];
    store.create(objects.clone()).await.expect("objects that are not there yet");
    for object in objects {
        assert_eq!(store.read(&object.path).await.expect("a read"), Some(object.body), "{}", object.path);
    }
    assert_eq!(store.read(&path("tile/0/000")).await.expect("a read"), None);
    assert_eq!(store.read(&path("tile/0")).await.expect("a read"), None, "a folder is no object");
    assert_eq!(store.read(&path("tile/0/000.p/1/x")).await.expect("a read"), None, "an object is no folder");
    store.create(Vec::new()).await.expect("nothing to do");
}

async fn creating_again_changes_nothing<S: Store>(store: S) {
    for _ in 0..3 {
        store.create(vec![object("tile/0/000", b"same")]).await.expect("the same object");
    }
    assert_eq!(store.read(&path("tile/0/000")).await.expect("a read"), Some(Bytes::from_static(b"same")));
}

async fn a_different_object_is_replaced_or_refused<S: Store>(store: S) {
    store.create(vec![object("tile/0/000", b"torn")]).await.expect("a new object");
    let expected = match store.create(vec![object("tile/0/000", b"whole")]).await {
        Ok(()) => &b"whole"[..],
        Err(CreateError::Differs(name)) => {
            assert_eq!(name, path("tile/0/000"));
            b"torn"
        }
        Err(error) => panic!("neither replaced nor refused: {error}"),
    };
    assert_eq!(store.read(&path("tile/0/000")).await.expect("a read").as_deref(), Some(expected));
}

/// A writer that recovers creates what another is creating.
async fn of_racing_creators_of_one_object_all_succeed<S: Store>(store: S) {
    let store = Arc::new(store);
    let writers = (0..WRITERS).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.create(vec![object("tile/0/000", b"same")]).await.is_ok() })
    });
    assert_eq!(count_wins(writers.collect()).await as u64, WRITERS);
    assert_eq!(store.read(&path("tile/0/000")).await.expect("a read"), Some(Bytes::from_static(b"same")));
}

async fn a_put_needs_the_version_it_replaces<S: Store>(store: S) {
    let checkpoint = path("checkpoint");
    let body = Bytes::from_static;
    assert!(store.read_version(&checkpoint).await.expect("a read").is_none());
    let first = store.put(&checkpoint, body(b"1"), None).await.expect("created");
    let again = store.put(&checkpoint, body(b"2"), None).await;
    assert!(matches!(again, Err(PutError::Conflict)), "created twice");
    let second = store.put(&checkpoint, body(b"2"), Some(first.clone())).await.expect("replaced");
    let stale = store.put(&checkpoint, body(b"3"), Some(first)).await;
    assert!(matches!(stale, Err(PutError::Conflict)), "replaced by its old version");
    let (found, version) = store.read_version(&checkpoint).await.expect("a read").expect("an object");
    assert_eq!(found, body(b"2"));
    store.put(&checkpoint, body(b"3"), Some(version)).await.expect("replaced by the version read");
    let gone = store.put(&path("other"), body(b"x"), Some(second)).await;
    assert!(matches!(gone, Err(PutError::Conflict)), "an object that is not there has no version");
}

async fn of_racing_puts_one_wins<S: Store>(store: S) {
    let store = Arc::new(store);
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let body = Bytes::from(writer.to_string());
            store.put(&path("checkpoint"), body, None).await.is_ok()
        })
    });
    assert_eq!(count_wins(writers.collect()).await, 1);
}

async fn count_wins(writers: Vec<tokio::task::JoinHandle<bool>>) -> usize {
    let mut wins = 0;
    for writer in writers {
        wins += usize::from(writer.await.expect("a writer of this file"));
    }
    wins
}

async fn a_register_is_empty_then_holds_what_was_swapped_in<S: Store>(store: S) {
    let Loaded { held, value } = store.head().load().await.expect("a load");
    assert_eq!(value, None);
    let held = store.head().swap(held, Bytes::from_static(b"1")).await.expect("a swap");
    let held = store.head().swap(held, Bytes::from_static(b"a longer value")).await.expect("a second swap");
    let held = store.head().swap(held, Bytes::from_static(b"3")).await.expect("a third swap");
    drop(held);
    let Loaded { held, value } = store.head().load().await.expect("a load");
    assert_eq!(value, Some(Bytes::from_static(b"3")));
    store.head().swap(held, Bytes::from_static(b"4")).await.expect("a swap after a load");
}

/// Twenty writers count together: each adds one to the number it loaded. A swap that two of them
/// win would lose a count.
async fn of_racing_swaps_one_wins<S: Store>(store: S) {
    let store = Arc::new(store);
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..SWAPS {
                while !count_one(store.head(), writer).await {
                    tokio::task::yield_now().await;
                }
            }
            true
        })
    });
    count_wins(writers.collect()).await;
    let loaded = store.head().load().await.expect("a load");
    assert_eq!(count_of(loaded.value.as_ref()), WRITERS * SWAPS);
}

/// More than one packet, buffer or part of an upload holds.
async fn what_is_large_is_kept_whole<S: Store>(store: S) {
    let large =
        Bytes::from_iter((0..(5u32 << 20) + 1).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]));
    let larger = Bytes::from([&large[..], b"more"].concat());
    let held = store.head().load().await.expect("a load").held;
    let held = store.head().swap(held, large.clone()).await.expect("a large swap");
    drop(store.head().swap(held, larger.clone()).await.expect("a larger one"));
    assert!(store.head().load().await.expect("a load").value == Some(larger), "a swapped value is another");
    let bundle = path("tile/entries/000");
    store.create(vec![Object { path: bundle.clone(), body: large.clone() }]).await.expect("a large object");
    assert!(store.read(&bundle).await.expect("a read") == Some(large), "a created object is another");
}

/// The value is `<count> <writer>`: no two that are swapped in are equal.
fn count_of(value: Option<&Bytes>) -> u64 {
    let text = value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    text.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

async fn count_one<R: Register>(register: &R, writer: u64) -> bool {
    let Loaded { held, value } = match register.load().await {
        Err(error) if error.kind() == StorageErrorKind::Held => return false,
        loaded => loaded.expect("a load"),
    };
    let next = format!("{} {writer}", count_of(value.as_ref()) + 1);
    match register.swap(held, next.into()).await {
        Ok(_) => true,
        Err(SwapError::Conflict) => false,
        Err(SwapError::Storage(error)) => panic!("{error}"),
    }
}

async fn partial_objects_are_listed_and_removed<S: Store + PartialObjects>(store: S) {
    assert_eq!(partials(&store).await, BTreeSet::new(), "nothing is in an empty store");
    let partial = ["tile/0/000.p/1", "tile/0/000.p/255", "tile/0/x001/x234/067.p/7", "tile/entries/000.p/3"];
    let other =
        ["tile/0/000", "tile/0/x001/x234/067", "tile/entries/000", "tile/1/notes.txt", "index/000.p/1"];
    let objects = partial.iter().chain(&other).map(|name| object(name, b"x"));
    store.create(objects.collect()).await.expect("new objects");
    assert_eq!(partials(&store).await, partial.map(String::from).into());
    let gone = [partial[0], partial[1], partial[2], "tile/5/000.p/9"].map(partial_path);
    for _ in 0..2 {
        store.remove_partials(gone.to_vec()).await.expect("also what is gone, or never was");
    }
    assert_eq!(partials(&store).await, [partial[3].to_owned()].into());
    for name in other {
        assert!(store.read(&path(name)).await.expect("a read").is_some(), "{name} is no partial object");
    }
    assert_eq!(store.read(&path(partial[0])).await.expect("a read"), None);
    store.create(vec![object(partial[0], b"x")]).await.expect("it comes back");
    assert_eq!(partials(&store).await, [partial[0], partial[3]].map(String::from).into());
    store.remove_partials(Vec::new()).await.expect("nothing to do");
}

/// More than a page of any object store.
async fn many_partial_objects_come_in_batches<S: Store + PartialObjects>(store: S) {
    let names = (0..5).flat_map(|tile| (1..=255).map(move |width| format!("tile/0/00{tile}.p/{width}")));
    let names: BTreeSet<String> = names.collect();
    store.create(names.iter().map(|name| object(name, b"x")).collect()).await.expect("new objects");
    assert_eq!(partials(&store).await, names);
    let gone = names.iter().map(|name| partial_path(name)).collect();
    store.remove_partials(gone).await.expect("all of them");
    assert_eq!(partials(&store).await, BTreeSet::new());
}

fn partial_path(name: &str) -> PartialPath {
    path(name).try_into().expect("a partial name in this file")
}

async fn partials<S: PartialObjects>(store: &S) -> BTreeSet<String> {
    let (mut all, mut listing) = (BTreeSet::new(), store.list_partials());
    while let Some(batch) = listing.next().await.expect("a listing") {
        assert!((1..=S::Listing::MAX_BATCH).contains(&batch.len()), "a batch of {}", batch.len());
        for name in batch {
            assert!(all.insert(name.to_string()), "{name} is listed twice");
        }
    }
    all
}
