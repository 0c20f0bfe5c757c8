//! A log that is read by a policy: what too few have cosigned is not believed by any path.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use crate::common::{ORIGIN, TestLog, entry, head, key, key_of};
use bytes::Bytes;
use kiln_client::tiles::{
    Checkpoint, Cosigner, Hash, Note, OpenCheckpointError, Policy, QuorumNotMet, TlogProof, TreeHead,
    TrustedLog,
};
use kiln_client::{BadLog, Client, ClientError, Freshness, MemorySource, verify};

fn witness(number: u8) -> Cosigner {
    let name = format!("witness{number}.example/w").parse().unwrap();
    if number == 2 {
        Cosigner::ml_dsa_44_from_seed(name, [number; 32])
    } else {
        Cosigner::ed25519_from_seed(name, [number; 32])
    }
}

/// Two of three.
fn policy() -> Policy {
    let [one, two, three] = [1, 2, 3].map(|number| witness(number).verifier_key());
    let (log, other) = (key().verifier_key(), key_of("example.com/other", 9).verifier_key());
    let file = format!(
        "log {other}\nlog {log}\nwitness one {one}\nwitness two {two}\nwitness three {three}\n\
         group ring 2 one two three\nquorum ring\n"
    );
    file.parse().unwrap()
}

fn trusted() -> TrustedLog {
    policy().trusted_log(ORIGIN).unwrap()
}

/// A checkpoint, cosigned by these witnesses, and by somebody whom nobody knows.
fn cosigned(head: TreeHead, by: &[u8]) -> Note {
    let checkpoint = Checkpoint::new(ORIGIN, head).unwrap();
    let note = key().sign(checkpoint.to_string()).unwrap();
    let by = by.iter().chain(&[77]);
    by.fold(note, |note, &w| {
        note.with(witness(w).cosign(&checkpoint, 1_700_000_000 + u64::from(w)).unwrap()).unwrap()
    })
}

fn serve(log: &TestLog, head: TreeHead, by: &[u8]) {
    log.source.insert("checkpoint", cosigned(head, by).to_string().into_bytes());
}

fn client(log: &TestLog) -> Client<MemorySource> {
    Client::new(log.source.clone(), trusted())
}

fn too_few<T: std::fmt::Debug>(read: Result<T, ClientError>) -> String {
    let error = read.unwrap_err();
    assert!(error.lacks_cosignatures() && error.is_bad_log() && error.is_retryable(), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn nothing_is_read_that_too_few_have_cosigned() {
    let log = TestLog::of(300);
    serve(&log, head(300), &[2]);
    let read = || client(&log);
    let leaf = Hash::leaf(&entry(0));
    for words in [
        too_few(read().update().await),
        too_few(read().get(0).await),
        too_few(read().prove(0).await),
        too_few(read().leaf_hash(0).await),
        too_few(read().consistency(head(7)).await),
        too_few(read().find(leaf, 0..300, |_| {}).await),
        too_few(read().verify_leaves([(0, leaf)], |_| {}).await),
        too_few(read().check_log(|_| {}).await),
        too_few(read().entries(..).next().await.unwrap()),
        too_few(read().follow(0).next().await.unwrap()),
    ] {
        assert!(words.contains("cosigned by two, and not by one, three"), "{words}");
        assert!(words.contains("quorum ring"), "{words}");
    }

    serve(&log, head(300), &[2, 3]);
    assert_eq!(client(&log).get(0).await.unwrap(), entry(0));
    assert_eq!(client(&log).check_log(|_| {}).await.unwrap().checkpoint.head(), head(300));
}

/// Whoever has the log's key and that of no witness cannot add a wrong line to those that are right.
#[tokio::test]
async fn a_wrong_cosignature_is_worse_than_none() {
    let log = TestLog::of(3);
    let (right, other) = (cosigned(head(3), &[1, 2]).to_string(), cosigned(head(2), &[3]).to_string());
    let of_another_tree = other.lines().find(|line| line.starts_with("— witness3")).unwrap();
    log.source.insert("checkpoint", format!("{right}{of_another_tree}\n").into_bytes());
    let error = client(&log).update().await.unwrap_err();
    assert!(!error.lacks_cosignatures() && !error.is_retryable(), "{error:?}");
    assert!(
        matches!(
            &error,
            ClientError::BadLog(BadLog::Checkpoint(OpenCheckpointError::Quorum(QuorumNotMet::Signature(_))))
        ),
        "{error:?}"
    );
}

/// Witness three has a new key, and the policy still the old one: its lines are a stranger's, and two is missing.
#[tokio::test]
async fn the_line_of_a_new_key_counts_for_nothing_under_the_old_policy() {
    let log = TestLog::of(3);
    let checkpoint = Checkpoint::new(ORIGIN, head(3)).unwrap();
    let rotated = Cosigner::ed25519_from_seed(witness(3).name().clone(), [33; 32]);
    let note = cosigned(head(3), &[1]).with(rotated.cosign(&checkpoint, 5).unwrap()).unwrap();
    log.source.insert("checkpoint", note.to_string().into_bytes());
    assert!(too_few(client(&log).update().await).contains("not by two, three"));
}

#[tokio::test]
async fn a_proof_carries_every_line_and_verifies_by_the_policy() {
    let log = TestLog::of(300);
    let note = cosigned(head(300), &[2, 3]);
    serve(&log, head(300), &[2, 3]);
    let proof = client(&log).prove(7).await.unwrap();
    assert_eq!(*proof.checkpoint(), note, "also the line of somebody whom nobody knows");

    let read: TlogProof = proof.to_string().parse().unwrap();
    let known = policy().trusted_log_of(read.checkpoint()).unwrap();
    let claim = verify(proof.to_string().as_bytes(), &entry(7), &known).unwrap();
    let verdict = known.quorum().judge(claim.checkpoint().note()).unwrap();
    assert_eq!(verdict.witnesses, [None, Some(1_700_000_002), Some(1_700_000_003)]);

    // One that was cut while there were too few is no proof by the policy, and is one by the log's key.
    serve(&log, head(300), &[2]);
    let early = Client::new(log.source.clone(), known.without_quorum()).prove(7).await.unwrap().to_string();
    assert!(verify(early.as_bytes(), &entry(7), &known).unwrap_err().to_string().contains("cosigned by two"));
    verify(early.as_bytes(), &entry(7), &known.without_quorum()).unwrap();
}

/// The newest checkpoint was published before the witnesses came: what was known stays readable, and the tail waits.
#[tokio::test]
async fn who_knows_an_earlier_tree_waits_for_the_witnesses() {
    let mut log = TestLog::of(10);
    serve(&log, head(10), &[1, 2]);
    let client =
        Client::builder(log.source.clone(), trusted()).poll_interval(Duration::from_millis(5)).build();
    let mut tail = client.follow(8);
    for index in 8..10 {
        assert_eq!(tail.next().await.unwrap().unwrap(), (index, Bytes::from(entry(index))));
    }
    log.grow_to(12); // and publishes without any
    too_few(tail.next().await.unwrap());
    assert_eq!(client.get(9).await.unwrap(), entry(9));
    too_few(client.get(10).await);
    serve(&log, head(12), &[3, 1]);
    let next = within(async {
        loop {
            if let Ok(item) = tail.next().await.unwrap() {
                return item;
            }
        }
    });
    assert_eq!(next.await, (10, Bytes::from(entry(10))));
}

async fn within<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("in time")
}

fn remembering(log: &TestLog, trusted: TrustedLog, cache: &Path) -> Client<MemorySource> {
    Client::builder(log.source.clone(), trusted).disk_cache(cache).build()
}

/// A policy was tightened, and every command ended with "somebody changed the file": the checkpoint that the cache
/// remembered did not meet the new one.
#[tokio::test]
async fn another_policy_does_not_make_the_memory_of_a_cache_a_lie() {
    let (mut log, cache) = (TestLog::of(10), tempfile::tempdir().unwrap());
    remembering(&log, trusted().without_quorum(), cache.path()).update().await.unwrap(); // cosigned by nobody
    log.grow_to(12);
    serve(&log, head(12), &[1, 2]);
    let update = remembering(&log, trusted(), cache.path()).update().await.unwrap();
    assert_eq!((update.freshness, update.checkpoint.head()), (Freshness::Grown { from: head(10) }, head(12)));
    let remembered = remembering(&log, trusted(), cache.path()).update().await.unwrap().checkpoint;
    assert_eq!(remembered.note(), &cosigned(head(12), &[1, 2]), "with all lines");
}

/// What was remembered without witnesses still shows a fork; but no answer is about it.
#[tokio::test]
async fn a_memory_without_witnesses_is_compared_and_not_believed() {
    let (mut log, cache) = (TestLog::of(10), tempfile::tempdir().unwrap());
    log.grow_to(12);
    remembering(&log, trusted().without_quorum(), cache.path()).update().await.unwrap(); // of size 12
    serve(&log, head(10), &[1, 2]);
    let client = remembering(&log, trusted(), cache.path());
    let update = client.update().await.unwrap();
    assert_eq!(
        (update.freshness, update.checkpoint.head()),
        (Freshness::Stale { served: head(10) }, head(10))
    );
    assert_eq!(client.get(9).await.unwrap(), entry(9));
    assert!(matches!(client.get(11).await, Err(ClientError::NoEntry { size: 10, .. })));

    let other = TreeHead::new(10, head(9).root()).unwrap();
    serve(&log, other, &[1, 2, 3]);
    let forked = remembering(&log, trusted(), cache.path()).update().await.unwrap_err();
    assert!(matches!(forked, ClientError::BadLog(BadLog::Fork(_))), "{forked:?}");
}
