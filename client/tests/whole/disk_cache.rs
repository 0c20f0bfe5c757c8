//! The cache folder: what one run leaves, the next one uses, and never believes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{self, TestLog, entry, head, key_of, note, trusted};
use bytes::Bytes;
use kiln_client::tiles::Hash;
use kiln_client::{BadLog, Client, ClientError, FolderSource, Freshness, MemorySource, Source, SourceError};

/// A new run: another client with the same cache folder.
fn run<S: Source>(source: S, cache: &Path) -> Client<S> {
    Client::builder(source, trusted()).disk_cache(cache).build()
}

#[derive(Clone)]
struct Counting(MemorySource, Arc<AtomicUsize>);

impl Source for Counting {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.fetch(path, limit).await
    }
}

/// All files of the cache, by their path below the log's folder.
fn files(cache: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![cache.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

async fn proves(client: &Client<impl Source>, index: u64) {
    let proof = client.prove(index).await.unwrap();
    proof.verify(Hash::leaf(&entry(index)), &trusted()).unwrap();
}

#[tokio::test]
async fn the_next_run_fetches_no_full_tile_again() {
    let cache = tempfile::tempdir().unwrap();
    let source = Counting(TestLog::of(66_051).source, Arc::default());
    proves(&run(source.clone(), cache.path()), 7).await;
    let first = source.1.swap(0, Ordering::SeqCst);
    proves(&run(source.clone(), cache.path()), 7).await;
    let second = source.1.load(Ordering::SeqCst);
    assert_eq!((first, second), (1 + 3 + 2, 1 + 3), "checkpoint and edge, and two full tiles once");
}

#[tokio::test]
async fn a_file_that_was_changed_is_dropped_and_fetched_again() {
    let cache = tempfile::tempdir().unwrap();
    let log = TestLog::of(66_051);
    proves(&run(log.source.clone(), cache.path()), 7).await;
    let tiles = files(cache.path()).into_iter().filter(|path| !path.ends_with("checkpoint"));
    let tiles: Vec<PathBuf> = tiles.collect();
    assert_eq!(tiles.len(), 2);
    for path in &tiles {
        let good = fs::read(path).unwrap();
        let mut flipped = good.clone();
        flipped[100] ^= 1;
        for bad in [flipped, good[..8_000].to_vec(), good.repeat(2), Vec::new()] {
            fs::write(path, bad).unwrap();
            proves(&run(log.source.clone(), cache.path()), 7).await;
            assert_eq!(fs::read(path).unwrap(), good, "{}", path.display());
        }
    }
}

/// Somebody puts a wrong tile into the cache and makes it impossible to remove.
#[tokio::test]
async fn a_wrong_file_that_cannot_be_removed_does_no_harm() {
    let cache = tempfile::tempdir().unwrap();
    let log = TestLog::of(66_051);
    proves(&run(log.source.clone(), cache.path()), 7).await;
    let tile = files(cache.path()).into_iter().find(|path| path.ends_with("tile/0/000")).unwrap();
    fs::remove_file(&tile).unwrap();
    fs::create_dir(&tile).unwrap();
    fs::write(tile.join("keep"), "me").unwrap();
    proves(&run(log.source.clone(), cache.path()), 7).await;
}

#[tokio::test]
async fn a_rollback_between_runs_is_seen() {
    let cache = tempfile::tempdir().unwrap();
    let mut log = TestLog::of(300);
    log.grow_to(1_000);
    run(log.source.clone(), cache.path()).update().await.unwrap();

    // A CDN that serves the checkpoint of before, and has all tiles.
    log.serve(head(300));
    let update = run(log.source.clone(), cache.path()).update().await.unwrap();
    assert_eq!(update.freshness, Freshness::Stale { served: head(300) });
    assert_eq!(update.checkpoint.head(), head(1_000));

    // A store that was set back: what the newer checkpoint commits to is gone.
    let restored = TestLog::of(300);
    let error = run(restored.source.clone(), cache.path()).update().await.unwrap_err();
    let ClientError::BadLog(BadLog::Rollback(evidence)) = error else { panic!("{error}") };
    assert_eq!((evidence.known.head(), evidence.served.head()), (head(1_000), head(300)));

    // And that went on from there: a fork.
    let mut other = TestLog::of(300);
    other.append((300..1_200).map(|i| format!("other {i}").into_bytes()));
    let error = run(other.source.clone(), cache.path()).update().await.unwrap_err();
    assert!(matches!(error, ClientError::BadLog(BadLog::Fork(_))), "{error}");

    // Nothing of this made the cache forget.
    log.serve(head(1_000));
    let update = run(log.source.clone(), cache.path()).update().await.unwrap();
    assert_eq!(update.freshness, Freshness::Same);
}

#[tokio::test]
async fn what_is_remembered_must_be_the_logs_word() {
    let cache = tempfile::tempdir().unwrap();
    let log = TestLog::of(10);
    run(log.source.clone(), cache.path()).update().await.unwrap();
    let memory = files(cache.path()).into_iter().find(|path| path.ends_with("checkpoint")).unwrap();
    assert_eq!(fs::read(&memory).unwrap(), note(head(10)));
    let mut forged = fs::read(&memory).unwrap();
    forged[common::ORIGIN.len() + 1] = b'9';
    fs::write(&memory, forged).unwrap();
    let error = run(log.source.clone(), cache.path()).update().await.unwrap_err();
    assert!(matches!(&error, ClientError::Memory { path, .. } if *path == memory), "{error}");
    assert!(!error.is_bad_log(), "the log did nothing wrong");
    fs::remove_file(&memory).unwrap();
    run(log.source.clone(), cache.path()).update().await.unwrap();
}

/// Two processes share a folder; the slower one must not take the other's memory back.
#[tokio::test]
async fn an_older_run_does_not_overwrite_a_newer_memory() {
    let cache = tempfile::tempdir().unwrap();
    let slow_log = TestLog::of(10);
    let slow = run(slow_log.source.clone(), cache.path());
    slow.update().await.unwrap();
    run(TestLog::of(30).source, cache.path()).update().await.unwrap();
    let middle = TestLog::of(20);
    for path in middle.source.paths() {
        slow_log.source.insert(path.clone(), middle.source.get(&path).unwrap());
    }
    slow.update().await.unwrap();
    let memory = files(cache.path()).into_iter().find(|path| path.ends_with("checkpoint")).unwrap();
    assert_eq!(fs::read(memory).unwrap(), note(head(30)));
}

#[tokio::test]
async fn logs_share_a_folder_and_nothing_else() {
    let cache = tempfile::tempdir().unwrap();
    let log = TestLog::of(10);
    run(log.source.clone(), cache.path()).update().await.unwrap();
    let other_key = key_of(common::ORIGIN, 9).verifier_key();
    let other = Client::builder(log.source.clone(), other_key.into()).disk_cache(cache.path()).build();
    let error = other.update().await.unwrap_err();
    assert!(matches!(error, ClientError::BadLog(BadLog::OtherKeys(_))), "not the memory: {error}");
}

#[tokio::test]
async fn a_memory_that_cannot_be_written_is_no_secret() {
    let cache = tempfile::NamedTempFile::new().unwrap();
    let error = run(TestLog::of(10).source, cache.path()).update().await.unwrap_err();
    assert!(matches!(&error, ClientError::Cache { .. }), "{error}");
    assert!(!error.is_bad_log());
}

/// A folder, as a web server has it and as a Kiln store has it.
#[tokio::test]
async fn a_folder_is_a_log() {
    let log = TestLog::of(1_000);
    for public in ["", "public"] {
        let store = tempfile::tempdir().unwrap();
        for path in log.source.paths() {
            let file = store.path().join(public).join(&path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, log.source.get(&path).unwrap()).unwrap();
        }
        let client = Client::new(FolderSource::new(store.path()), trusted());
        client.check_log(|_| {}).await.unwrap();
        assert_eq!(client.get(999).await.unwrap(), entry(999));
        fs::write(store.path().join(public).join("tile/0/000"), [0; 8_193]).unwrap();
        assert_eq!(common::blamed(&client.check_log(|_| {}).await.unwrap_err()), "tile/0/000");
    }
}

#[tokio::test]
async fn a_folder_serves_nothing_outside_and_nothing_odd() {
    let store = tempfile::tempdir().unwrap();
    fs::create_dir_all(store.path().join("log/tile")).unwrap();
    fs::write(store.path().join("secret"), "key").unwrap();
    let source = FolderSource::new(store.path().join("log"));
    for path in ["../secret", "/etc/hostname", "tile/../../secret", "./x", ""] {
        let read = source.fetch(path, 100).await;
        assert!(!matches!(read, Ok(Some(_))), "{path}: {read:?}");
    }
    for path in ["tile", "checkpoint", "tile/0/000"] {
        assert!(source.fetch(path, 100).await.unwrap().is_none(), "{path}");
    }
    fs::write(store.path().join("log/checkpoint"), vec![b'x'; 101]).unwrap();
    assert!(matches!(source.fetch("checkpoint", 100).await, Err(SourceError::TooLong { limit: 100 })));
    assert!(source.fetch("checkpoint", 101).await.unwrap().is_some());
    let nowhere = Client::new(FolderSource::new(store.path().join("absent")), trusted());
    assert!(matches!(nowhere.update().await, Err(ClientError::NoCheckpoint)));
}
