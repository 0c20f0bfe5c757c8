//! Logs that are pulled.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use kiln_client::{Client, MemorySource, Source, SourceError};
use kiln_tiles::TrustedLog;
use kiln_witness::{PullError, PullTurns, Pulled};

use crate::testing::TestLog;
use crate::world::{World, implied, log, shown_size, upload};

/// What a log of this size shows.
fn publish(source: &MemorySource, log: &TestLog, size: u64) {
    for (path, body) in implied(log, size) {
        source.insert(path, body);
    }
    source.insert("checkpoint", log.note(size).to_string().into_bytes());
}

fn client(source: &MemorySource, log: &TestLog) -> Client<MemorySource> {
    Client::new(source.clone(), TrustedLog::from(log.key.verifier_key()))
}

async fn cases(world: &World) -> Vec<String> {
    let mut cases: Vec<String> = Vec::new();
    for _ in 0..200 {
        let names = fs::read_dir(world.path("evidence")).unwrap();
        cases = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        cases.retain(|name| !name.starts_with('.'));
        if !cases.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cases
}

#[tokio::test]
async fn a_log_is_followed_byte_for_byte_over_restarts() {
    let (world, log, source) = (World::new(), log(), MemorySource::default());
    let mut from = 0;
    for size in [0, 1, 300, 300, 2000] {
        publish(&source, &log, size);
        let mirror = world.mirror(&[&log]);
        mirror.recover().await.unwrap();
        let pulled = mirror.pull(&client(&source, &log), |_, _| {}).await.unwrap();
        let expected = if size == from && size > 0 {
            Pulled::Same(log.head(size))
        } else {
            Pulled::Grown { from, head: log.head(size) }
        };
        assert_eq!(pulled, expected);
        from = size;
        for (path, body) in implied(&log, size) {
            assert!(world.public(&log, &path) == Some(body), "{path} of {size}");
        }
        assert_eq!(shown_size(&log, &world.public(&log, "checkpoint").unwrap()), size);
        tokio::task::spawn_blocking(move || drop(mirror)).await.unwrap();
    }
}

/// A log may be pulled and push as well: both go on from where the other was.
#[tokio::test]
async fn a_log_that_is_pulled_may_push_too() {
    let (world, log, source) = (World::new(), log(), MemorySource::default());
    let door = world.door(&[&log]).await;
    let client = client(&source, &log);
    door.pend(&log, 0, 700).await;
    door.add_entries(&upload(&log, 0, 700, b"", 1)).await.expect(202);
    publish(&source, &log, 1000);
    let pulled = door.mirror.pull(&client, |_, _| {}).await.unwrap();
    assert_eq!(pulled, Pulled::Grown { from: 0, head: log.head(1000) });
    door.pend(&log, 1000, 1200).await;
    door.mirrored(&log, 1000, 1200).await;
    assert_eq!(
        door.mirror.pull(&client, |_, _| {}).await.unwrap(),
        Pulled::Behind { served: log.head(1000), known: log.head(1200) }
    );
    publish(&source, &log, 1300);
    door.mirror.pull(&client, |_, _| {}).await.unwrap();
    assert_eq!(shown_size(&log, &world.public(&log, "checkpoint").unwrap()), 1300);
    for (path, body) in implied(&log, 1300) {
        assert!(world.public(&log, &path) == Some(body), "{path}");
    }
    door.close().await;
}

/// A log that shows a tree which does not extend the mirrored one, also after a restart in which the mirror's client has
/// forgotten all: nothing of it is mirrored, and both of its checkpoints are kept.
#[tokio::test]
async fn a_fork_is_refused_and_kept_as_evidence() {
    for (size, case) in [(300, "fork-"), (400, "rewrite-"), (200, "rewrite-")] {
        let (world, log) = (World::new(), log());
        let source = MemorySource::default();
        publish(&source, &log, 300);
        let mirror = world.mirror(&[&log]);
        mirror.pull(&client(&source, &log), |_, _| {}).await.unwrap();
        let fork = log.forked_at(3);
        let forked = MemorySource::default();
        publish(&forked, &fork, size);
        let error = mirror.pull(&client(&forked, &log), |_, _| {}).await.unwrap_err();
        assert!(error.is_bad_log() || matches!(error, PullError::Refused(_)), "{size}: {error}");
        let cases = cases(&world).await;
        assert!(cases.iter().all(|name| name.starts_with(case)) && cases.len() == 1, "{size}: {cases:?}");
        assert_eq!(shown_size(&log, &world.public(&log, "checkpoint").unwrap()), 300);
    }
}

#[tokio::test]
async fn a_smaller_tree_that_is_part_of_the_mirrored_one_takes_nothing_back() {
    let (world, log, source) = (World::new(), log(), MemorySource::default());
    let mirror = world.mirror(&[&log]);
    publish(&source, &log, 600);
    mirror.pull(&client(&source, &log), |_, _| {}).await.unwrap();
    publish(&source, &log, 300);
    let pulled = mirror.pull(&client(&source, &log), |_, _| {}).await.unwrap();
    assert_eq!(pulled, Pulled::Behind { served: log.head(300), known: log.head(600) });
    assert_eq!(shown_size(&log, &world.public(&log, "checkpoint").unwrap()), 600);
}

/// A log was brought back from a backup, older and without the tiles of the tree before: that was called bad, and kept as
/// evidence of a rewrite, though the mirror holds what shows that it is part of the same log.
#[tokio::test]
async fn a_log_that_was_restored_from_a_backup_is_behind_and_no_fork() {
    let (world, log, source) = (World::new(), log(), MemorySource::default());
    let mirror = world.mirror(&[&log]);
    publish(&source, &log, 600);
    let trusted = TrustedLog::from(log.key.verifier_key());
    let client = Client::builder(source.clone(), trusted).memory_cache(0).build();
    mirror.pull(&client, |_, _| {}).await.unwrap();
    for path in implied(&log, 600).into_keys() {
        source.remove(&path);
    }
    publish(&source, &log, 300);
    let pulled = mirror.pull(&client, |_, _| {}).await.unwrap();
    assert_eq!(pulled, Pulled::Behind { served: log.head(300), known: log.head(600) });
    let evidence = fs::read_dir(world.path("evidence")).unwrap();
    assert_eq!(evidence.count(), 0, "nothing speaks against the log");
    // Another history of the same length does.
    publish(&source, &log.forked_at(3), 300);
    let error = mirror.pull(&client, |_, _| {}).await.unwrap_err();
    assert!(error.is_bad_log(), "{error}");
    assert_eq!(cases(&world).await.len(), 1);
}

#[tokio::test]
async fn a_log_that_is_damaged_or_unknown_is_not_mirrored() {
    let (world, log, source) = (World::new(), log(), MemorySource::default());
    let mirror = world.mirror(&[&log]);
    publish(&source, &log, 600);
    source.insert("tile/entries/001", b"\0\x01x".to_vec());
    let error = mirror.pull(&client(&source, &log), |_, _| {}).await.unwrap_err();
    assert!(error.is_bad_log() && error.to_string().contains("tile/entries/001"), "{error}");
    assert_eq!(world.public(&log, "checkpoint"), None);
    let stranger = TestLog::new("example.com/stranger");
    publish(&source, &stranger, 5);
    let error = mirror.pull(&client(&source, &stranger), |_, _| {}).await.unwrap_err();
    assert!(matches!(error, PullError::Unknown), "{error}");
    // It is mended, and goes on.
    publish(&source, &log, 600);
    mirror.pull(&client(&source, &log), |_, _| {}).await.unwrap();
    assert_eq!(shown_size(&log, &world.public(&log, "checkpoint").unwrap()), 600);
}

/// A log whose entries never come.
struct Slow(MemorySource);

impl Source for Slow {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        if path.starts_with("tile/entries/") {
            std::future::pending::<()>().await;
        }
        self.0.fetch(path, limit).await
    }
}

/// The first copies of a few slow logs took all turns: no other log was even looked at, for days.
#[tokio::test]
async fn a_copy_that_takes_long_holds_up_no_look_at_another_log() {
    let (world, slow, log) = (World::new(), TestLog::new("example.com/slow"), log());
    let mirror = world.mirror(&[&slow, &log]);
    let (of_slow, source) = (MemorySource::default(), MemorySource::default());
    publish(&of_slow, &slow, 300);
    publish(&source, &log, 300);
    mirror.pull(&client(&source, &log), |_, _| {}).await.unwrap();
    let turns = PullTurns::new(1);
    let of_slow = Client::new(Slow(of_slow), TrustedLog::from(slow.key.verifier_key()));
    let copying = mirror.pull_in_turn(&of_slow, &turns, |_, _| {});
    let client = client(&source, &log);
    let looking = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        mirror.pull_in_turn(&client, &turns, |_, _| {}).await.unwrap()
    };
    tokio::select! {
        _ = copying => panic!("its entries never come"),
        pulled = tokio::time::timeout(Duration::from_secs(10), looking) => {
            assert_eq!(pulled.expect("it waits for no turn"), Pulled::Same(log.head(300)));
        }
    }
}
