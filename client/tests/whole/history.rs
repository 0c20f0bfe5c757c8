//! What a client makes of the checkpoints that it is served, one after another.

use crate::common::{self, TestLog, entry, head, key_of, note, trusted};
use kiln_client::tiles::{Checkpoint, Hash, OpenCheckpointError, TreeHead};
use kiln_client::{BadLog, Client, ClientError, Freshness};

fn bad(error: ClientError) -> BadLog {
    match error {
        ClientError::BadLog(bad) => bad,
        other => panic!("not the log's fault: {other:?}"),
    }
}

#[tokio::test]
async fn a_log_that_grows_is_followed() {
    let mut log = TestLog::empty();
    let client = log.client();
    assert_eq!(client.update().await.unwrap().freshness, Freshness::First);
    let mut from = TreeHead::empty();
    for size in [1, 2, 255, 256, 257, 1_000, 65_535, 65_536, 66_051] {
        log.grow_to(size);
        let update = client.update().await.unwrap();
        assert_eq!(update.freshness, Freshness::Grown { from }, "to {size}");
        assert_eq!(client.update().await.unwrap().freshness, Freshness::Same);
        from = update.checkpoint.head();
        assert_eq!(from, log.head());
    }
}

/// A CDN serves the checkpoint of a minute ago. The client keeps what it knows, and says so.
#[tokio::test]
async fn an_older_tree_is_stale_and_changes_nothing() {
    for (older, newer) in [(0, 5), (1, 300), (255, 256), (256, 70_000), (65_536, 66_051)] {
        let log = TestLog::of(newer);
        let client = log.client();
        client.update().await.unwrap();
        log.serve(head(older));
        let update = client.update().await.unwrap();
        assert_eq!(update.freshness, Freshness::Stale { served: head(older) });
        assert_eq!(update.checkpoint.head(), head(newer));
        assert_eq!(client.get(newer - 1).await.unwrap(), entry(newer - 1));
    }
}

#[tokio::test]
async fn a_strict_client_refuses_any_older_tree() {
    let log = TestLog::of(300);
    let client = Client::builder(log.source.clone(), trusted()).refuse_rollback().build();
    client.update().await.unwrap();
    log.serve(head(299));
    let error = bad(client.update().await.unwrap_err());
    let BadLog::Rollback(evidence) = error else { panic!("{error}") };
    assert_eq!((evidence.known.head().size(), evidence.served.head().size()), (300, 299));
}

/// Both checkpoints open under the log's key: whoever sees them knows.
fn is_evidence(error: ClientError, known: TreeHead, served: TreeHead) {
    let error = bad(error);
    let BadLog::Fork(evidence) = error else { panic!("{error}") };
    for (checkpoint, head) in [(&evidence.known, known), (&evidence.served, served)] {
        let note = checkpoint.note().to_string();
        assert_eq!(trusted().open(note.as_bytes()).unwrap().head(), head);
    }
}

/// A log that shares the first `shared` entries, and then has others, up to `size`.
fn fork(shared: u64, size: u64) -> TestLog {
    let mut fork = TestLog::of(shared);
    fork.append((shared..size).map(|i| format!("other {i}").into_bytes()));
    fork
}

/// The client saw one branch, the source now serves another, longer, shorter or as long.
#[tokio::test]
async fn a_fork_is_seen_at_every_size() {
    for (known, shared, served) in [
        (300, 299, 300),
        (300, 0, 300),
        (300, 299, 301),
        (300, 255, 70_000),
        (300, 100, 299),
        (66_051, 65_536, 66_050),
        (1, 0, 2),
    ] {
        let log = TestLog::of(known);
        let client = log.client();
        client.update().await.unwrap();
        let other = fork(shared, served);
        if served > known {
            for path in other.source.paths() {
                log.source.insert(path.clone(), other.source.get(&path).unwrap());
            }
        }
        log.serve(other.head());
        is_evidence(client.update().await.unwrap_err(), log.head(), other.head());
        assert_eq!(client.checkpoint().unwrap().head(), log.head(), "the client stays where it was");
    }
}

/// Two trees of one size need no tile to contradict each other, and a log that forks on purpose
/// would not serve any.
#[tokio::test]
async fn a_fork_at_the_same_size_is_seen_without_tiles() {
    let log = TestLog::of(300);
    let client = log.client();
    client.update().await.unwrap();
    let other = TreeHead::new(300, Hash::leaf(b"nobody can show this tree")).unwrap();
    log.serve(other);
    is_evidence(client.update().await.unwrap_err(), log.head(), other);
}

#[tokio::test]
async fn a_checkpoint_of_anybody_else_is_none() {
    let log = TestLog::of(5);
    let sign = |name: &str, seed: u8, origin: &str| {
        let text = Checkpoint::new(origin, log.head()).unwrap().to_string();
        key_of(name, seed).sign(text).unwrap().to_string()
    };
    let wrong_key = sign(common::ORIGIN, 8, common::ORIGIN);
    let other_origin = sign(common::ORIGIN, 7, "example.com/other");
    let other_log = sign("example.com/other", 7, "example.com/other");
    for (served, is_origin) in [(wrong_key, false), (other_origin, true), (other_log, false)] {
        log.source.insert("checkpoint", served.into_bytes());
        let error = bad(log.client().update().await.unwrap_err());
        if is_origin {
            assert!(matches!(error, BadLog::Checkpoint(OpenCheckpointError::Origin { .. })), "{error}");
        } else {
            // Whoever has the wrong key must see which one, and whose the right one would be.
            let BadLog::OtherKeys(keys) = error else { panic!("{error}") };
            let known = key_of(common::ORIGIN, 7).verifier_key();
            assert_eq!(keys.known, [(known.name().clone(), known.key_id())]);
            assert!(keys.signed.len() == 1 && keys.signed != keys.known, "{keys}");
        }
    }
}

#[tokio::test]
async fn garbage_is_no_checkpoint_and_silence_says_nothing() {
    let log = TestLog::of(5);
    for garbage in [&b""[..], b"\n\n", b"<html>not here</html>", &[0xff; 2_000]] {
        log.source.insert("checkpoint", garbage.to_vec());
        assert!(log.client().update().await.unwrap_err().is_bad_log());
    }
    log.source.insert("checkpoint", vec![b'x'; 1_000_001]);
    assert_eq!(common::blamed(&log.client().update().await.unwrap_err()), "checkpoint");
    log.source.remove("checkpoint");
    let error = log.client().update().await.unwrap_err();
    assert!(matches!(error, ClientError::NoCheckpoint) && !error.is_bad_log());
}

/// A log may sign a tree that it does not publish. Nothing is believed of it.
#[tokio::test]
async fn a_tree_that_is_signed_and_not_shown_is_not_believed() {
    let log = TestLog::of(300);
    let client = log.client();
    client.update().await.unwrap();
    log.source.insert("checkpoint", note(TreeHead::new(301, Hash::leaf(b"?")).unwrap()));
    assert!(client.update().await.unwrap_err().is_bad_log());
    assert_eq!(client.checkpoint().unwrap().head(), log.head());
    assert_eq!(client.get(299).await.unwrap(), entry(299), "what was known still answers");
}
