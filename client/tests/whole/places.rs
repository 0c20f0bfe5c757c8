//! Whether entries are where a server said: what a submitter must know before it believes an index.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::common::{self, TestLog, entry, trusted};
use bytes::Bytes;
use kiln_client::tiles::Hash;
use kiln_client::{Client, ClientError, MemorySource, Progress, Source, SourceError};

const SIZE: u64 = 66_051;

fn places(indices: impl IntoIterator<Item = u64>) -> Vec<(u64, Hash)> {
    indices.into_iter().map(|index| (index, Hash::leaf(&entry(index)))).collect()
}

/// `kiln add` printed whatever index the server answered: of an entry that was never logged, too.
#[tokio::test]
async fn an_index_that_has_another_entry_is_named() {
    let client = TestLog::of(SIZE).client();
    for wrong in [0, 255, 256, 65_535, 65_536, SIZE - 1] {
        let mut claimed = places(0..SIZE);
        claimed[usize::try_from(wrong).unwrap()].1 = Hash::leaf(b"never logged");
        let error = client.verify_leaves(claimed, |_| {}).await.unwrap_err();
        assert!(matches!(error, ClientError::OtherEntry { index } if index == wrong), "{wrong}: {error}");
    }
    let error = client.verify_leaves(places([3, SIZE]), |_| {}).await.unwrap_err();
    assert!(matches!(error, ClientError::NoEntry { index: SIZE, size: SIZE }), "{error}");
}

/// Entries that the log has twice, that come in any order, that were asked for twice: all are said once
/// to be where they are.
#[tokio::test]
async fn entries_may_come_in_any_order_and_more_than_once() {
    let client = TestLog::of(SIZE).client();
    client.verify_leaves([], |_| {}).await.unwrap();
    let mut seen = Vec::new();
    let claimed = places([65_536, 1, 700, 0, 1, SIZE - 1]);
    client.verify_leaves(claimed, |now| seen.push(now)).await.unwrap();
    let at = |done| Progress { done, total: 6 };
    assert_eq!(seen, [at(3), at(4), at(5), at(6)]);
    let both = [(1, Hash::leaf(&entry(1))), (1, Hash::leaf(&entry(2)))];
    assert!(client.verify_leaves(both, |_| {}).await.is_err());
}

/// Counts what is read.
#[derive(Clone)]
struct Counting {
    source: MemorySource,
    reads: Arc<Mutex<HashMap<String, u32>>>,
}

impl Source for Counting {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        *self.reads.lock().unwrap().entry(path.to_owned()).or_default() += 1;
        self.source.fetch(path, limit).await
    }
}

/// A check of each entry by itself would have read a tile for each.
#[tokio::test]
async fn each_tile_is_read_once_and_no_entry_is() {
    let source = Counting { source: TestLog::of(SIZE).source, reads: Arc::default() };
    let client = Client::new(source.clone(), trusted());
    client.verify_leaves(places(0..SIZE), |_| {}).await.unwrap();
    let reads = source.reads.lock().unwrap();
    assert!(reads.iter().all(|(path, &count)| count == 1 && !path.contains("entries")), "{reads:?}");
    // 259 tiles of level 0, two of level 1, one of level 2, and the checkpoint.
    assert_eq!(reads.len(), 263);
}

/// A server that lies about an index lies about the tile, too: the tile must follow from the checkpoint.
#[tokio::test]
async fn a_tile_that_was_changed_to_fit_is_found() {
    let log = TestLog::of(600);
    let forged = Hash::leaf(b"never logged");
    let mut tile = log.source.get("tile/0/001").unwrap().to_vec();
    tile[..32].copy_from_slice(forged.as_bytes());
    log.source.insert("tile/0/001", tile);
    let error = log.client().verify_leaves([(256, forged)], |_| {}).await.unwrap_err();
    assert!(error.is_bad_log() && common::blamed(&error) == "tile/0/001", "{error}");
}
