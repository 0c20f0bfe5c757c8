//! Entries, proofs and searches of logs of every interesting size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{self, TestLog, entry, head, trusted};
use bytes::Bytes;
use kiln_client::tiles::{Hash, TreeHead};
use kiln_client::{BadLog, Client, ClientError, MemorySource, Progress, Source, SourceError, verify};
use proptest::prelude::*;

const SIZES: [u64; 10] = [1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 66_051];

/// The indices at which something changes, of a log of `size`.
fn corners(size: u64) -> impl Iterator<Item = u64> {
    [0, 1, 254, 255, 256, 257, 511, 512, 65_279, 65_280, 65_535, 65_536, size - 1]
        .into_iter()
        .filter(move |&index| index < size)
}

#[tokio::test]
async fn every_entry_reads_and_proves_at_every_size() {
    for size in SIZES {
        let client = TestLog::of(size).client();
        for index in corners(size) {
            assert_eq!(client.get(index).await.unwrap(), entry(index), "{index} of {size}");
            assert_eq!(client.leaf_hash(index).await.unwrap(), Hash::leaf(&entry(index)));
            let proof = client.prove(index).await.unwrap().to_string();
            let claim = verify(proof.as_bytes(), &entry(index), &trusted()).unwrap();
            assert_eq!((claim.index(), claim.head()), (index, head(size)), "{index} of {size}");
            assert_eq!(claim.origin(), common::ORIGIN);
        }
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_beyond() {
    let client = TestLog::of(300).client();
    for wanted in [300, 301, u64::MAX - 1, u64::MAX] {
        for error in [client.get(wanted).await.unwrap_err(), client.prove(wanted).await.unwrap_err()] {
            assert!(matches!(error, ClientError::NoEntry { index, size: 300 } if index == wanted), "{error}");
            assert!(!error.is_bad_log());
        }
    }
    let error = client.entries(5..301).next().await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Beyond { wanted: 301, size: 300 }), "{error}");
}

/// Whoever asked for entry 299 of a log of 299 read that it "does not reach 300", an index that he had
/// not asked for.
#[tokio::test]
async fn who_asks_for_an_entry_too_far_reads_its_index_and_which_there_are() {
    for (size, words) in [
        (0, "there is no entry 7: the log has no entries yet"),
        (1, "there is no entry 7: the log has 1 entry, number 0"),
        (7, "there is no entry 7: the log has 7 entries, 0 to 6"),
    ] {
        let client = TestLog::of(size).client();
        assert_eq!(client.get(7).await.unwrap_err().to_string(), words);
        assert_eq!(client.leaf_hash(7).await.unwrap_err().to_string(), words);
    }
}

/// A client that has a checkpoint asks for a newer one only when it has to.
#[tokio::test]
async fn an_entry_beyond_the_known_tree_is_looked_for_once() {
    let mut log = TestLog::of(10);
    let client = log.client();
    client.get(3).await.unwrap();
    log.grow_to(20);
    client.get(4).await.unwrap();
    assert_eq!(client.checkpoint().unwrap().head().size(), 10);
    assert_eq!(client.get(19).await.unwrap(), entry(19));
    assert_eq!(client.checkpoint().unwrap().head().size(), 20);
}

#[tokio::test]
async fn all_entries_come_in_order() {
    for size in SIZES {
        let mut entries = TestLog::of(size).client().entries(..);
        let mut next = 0;
        while let Some(item) = entries.next().await {
            assert_eq!(item.unwrap(), (next, Bytes::from(entry(next))));
            next += 1;
        }
        assert_eq!(next, size);
    }
}

#[tokio::test]
async fn an_empty_log_has_nothing() {
    let client = TestLog::empty().client();
    assert!(client.entries(..).next().await.is_none());
    assert_eq!(client.check_log(|_| {}).await.unwrap().tiles, 0);
    assert_eq!(client.find(Hash::leaf(b"x"), .., |_| {}).await.unwrap(), None);
    assert!(client.get(0).await.is_err());
    let (proof, _) = client.consistency(TreeHead::empty()).await.unwrap();
    assert!(proof.hashes().is_empty());
}

/// No runtime at all: what the wasm build does.
#[test]
fn it_runs_on_any_executor() {
    let client = TestLog::of(600).client();
    let entry_599 = futures_util::FutureExt::now_or_never(client.get(599)).unwrap().unwrap();
    assert_eq!(entry_599, entry(599));
}

#[tokio::test]
async fn an_entry_is_found_by_its_hash_newest_first() {
    let mut log = TestLog::of(66_051);
    log.append([entry(3), b"last".to_vec()]);
    let client = log.client();
    for index in [0, 255, 256, 65_535, 66_050] {
        let leaf = Hash::leaf(&entry(index));
        assert_eq!(client.find(leaf, .., |_| {}).await.unwrap(), Some(index));
    }
    let third = Hash::leaf(&entry(3));
    assert_eq!(client.find(third, .., |_| {}).await.unwrap(), Some(66_051), "the newest of two");
    assert_eq!(client.find(third, ..66_051, |_| {}).await.unwrap(), Some(3));
    assert_eq!(client.find(third, 4..66_051, |_| {}).await.unwrap(), None, "out of range");
    assert_eq!(client.find(third, 2..=3, |_| {}).await.unwrap(), Some(3));
}

#[tokio::test]
async fn a_search_says_how_far_it_is() {
    let mut seen = Vec::new();
    let client = TestLog::of(600).client();
    client.find(Hash::leaf(b"absent"), 10.., |progress| seen.push(progress)).await.unwrap();
    let at = |done| Progress { done, total: 590 };
    assert_eq!(seen, [at(88), at(344), at(590)]);
}

#[tokio::test]
async fn a_tree_extends_its_past_and_nothing_else() {
    let client = TestLog::of(66_051).client();
    for size in SIZES.into_iter().chain([0, 66_050]) {
        let (proof, checkpoint) = client.consistency(head(size)).await.unwrap();
        assert_eq!(proof.verify_consistency(head(size), checkpoint.head()), Ok(()));
    }
    let other = TreeHead::new(300, Hash::leaf(b"another tree")).unwrap();
    let error = client.consistency(other).await.unwrap_err();
    assert!(matches!(&error, ClientError::BadLog(BadLog::Inconsistent { earlier, .. }) if *earlier == other));
}

/// Counts requests, and how many run at once.
#[derive(Clone)]
struct Counting {
    inner: MemorySource,
    total: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Source for Counting {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        self.total.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.inner.fetch(path, limit).await
    }
}

fn counting(size: u64) -> Counting {
    let zero = || Arc::new(AtomicUsize::new(0));
    Counting { inner: TestLog::of(size).source, total: zero(), running: zero(), most: zero() }
}

/// Level-0 tiles are not needed for entries, and the others are fetched once.
#[tokio::test]
async fn a_stream_fetches_each_bundle_once_and_not_too_many_at_once() {
    let source = counting(66_051);
    let client = Client::builder(source.clone(), trusted()).parallelism(5).build();
    let mut bundles = client.bundles(..);
    while bundles.next().await.transpose().unwrap().is_some() {}
    // A checkpoint, three partial tiles, a full one on level 1, and 259 bundles.
    assert_eq!(source.total.load(Ordering::SeqCst), 1 + 3 + 1 + 259);
    assert_eq!(source.most.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_fetching() {
    let source = counting(66_051);
    let client = Client::builder(source.clone(), trusted()).parallelism(4).build();
    let mut entries = client.entries(..);
    entries.next().await.unwrap().unwrap();
    drop(entries);
    let fetched = source.total.load(Ordering::SeqCst);
    assert!(fetched <= 1 + 3 + 1 + 2 * 4, "{fetched} requests for one entry");
}

#[tokio::test]
async fn proofs_share_the_tiles_they_need() {
    let source = counting(66_051);
    let client = Client::new(source.clone(), trusted());
    client.prove(0).await.unwrap();
    let after_one = source.total.load(Ordering::SeqCst);
    for index in 1..256 {
        client.prove(index).await.unwrap();
    }
    assert_eq!(source.total.load(Ordering::SeqCst), after_one);
}

/// With no cache at all, and as many proofs as there are tiles, all still verifies.
#[tokio::test]
async fn without_a_cache_everything_is_fetched_again() {
    let log = TestLog::of(66_051);
    let client = Client::builder(log.source.clone(), trusted()).memory_cache(0).build();
    for index in (0..66_051).step_by(199) {
        let proof = client.prove(index).await.unwrap();
        proof.verify(Hash::leaf(&entry(index)), &trusted()).unwrap();
    }
}

/// Tiles that many tasks need are brought in and driven out at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn many_proofs_at_once_do_not_disturb_each_other() {
    let log = TestLog::of(66_051);
    let client = Client::builder(log.source.clone(), trusted()).memory_cache(0).build();
    let prove = |task: u64| {
        let client = client.clone();
        async move {
            for index in (task * 31..66_051).step_by(307) {
                let proof = client.prove(index).await.unwrap();
                proof.verify(Hash::leaf(&entry(index)), &trusted()).unwrap();
            }
        }
    };
    let tasks: Vec<_> = (0..8).map(|task| tokio::spawn(prove(task))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any range of any log is exactly its entries.
    #[test]
    fn a_range_is_what_it_says(size in 1_u64..1_200, a in 0_u64..1_300, b in 0_u64..1_300) {
        let (start, end) = (a.min(b).min(size), a.max(b).min(size));
        let client = TestLog::of(size).client();
        let read = async {
            let mut entries = client.entries(start..end);
            let mut read = Vec::new();
            while let Some(item) = entries.next().await {
                read.push(item.unwrap());
            }
            read
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(read);
        let expected: Vec<_> = (start..end).map(|i| (i, Bytes::from(entry(i)))).collect();
        prop_assert_eq!(read, expected);
    }
}
