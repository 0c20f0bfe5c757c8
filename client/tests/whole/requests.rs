//! What a proof costs a client that knows nothing yet: how many requests, and how many in a row.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{self, TestLog, entry, trusted};
use bytes::Bytes;
use kiln_client::tiles::{TileCoord, partial_tiles};
use kiln_client::{Client, MemorySource, Source, SourceError};
use tokio::time::Instant;

/// A source that a request takes a second to, and that remembers all of them.
#[derive(Clone)]
struct Far {
    resources: MemorySource,
    asked: Arc<Mutex<Vec<String>>>,
}

const AWAY: Duration = Duration::from_secs(1);

impl Source for Far {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        self.asked.lock().unwrap().push(path.to_owned());
        tokio::time::sleep(AWAY).await;
        self.resources.fetch(path, limit).await
    }
}

impl Far {
    fn of(size: u64) -> Self {
        Self { resources: TestLog::of(size).source, asked: Arc::default() }
    }

    /// What was asked for since the last call, each resource once.
    fn asked(&self) -> HashSet<String> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let set: HashSet<String> = asked.iter().cloned().collect();
        assert_eq!(set.len(), asked.len(), "some of them twice: {asked:?}");
        set
    }
}

/// The resources that no proof does without: the checkpoint, the partial tiles, of which the right edge of the tree
/// follows, and the full tiles above the leaf.
fn needed(index: u64, size: u64) -> HashSet<String> {
    let above = (0..7).filter_map(|level| TileCoord::in_tree(level, index >> (8 * (level + 1)), size));
    let tiles = above.chain(partial_tiles(size)).map(|tile| tile.to_string());
    tiles.chain(["checkpoint".to_owned()]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cold_proof_reads_what_it_needs_once_and_waits_twice() {
    for (size, index, requests) in
        [(1, 0, 2), (300, 7, 4), (65_536, 7, 4), (66_051, 7, 6), (66_051, 66_050, 4)]
    {
        let far = Far::of(size);
        let (client, start) = (Client::new(far.clone(), trusted()), Instant::now());
        assert_eq!(client.prove(index).await.unwrap().index(), index);
        assert_eq!(start.elapsed(), 2 * AWAY, "the checkpoint, then all tiles; entry {index} of {size}");
        let asked = far.asked();
        assert_eq!(asked, needed(index, size));
        assert_eq!(asked.len(), requests);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_proof_reads_what_is_new_at_once() {
    let far = Far::of(66_051);
    let client = Client::new(far.clone(), trusted());
    client.prove(7).await.unwrap();
    far.asked();
    let start = Instant::now();
    client.prove(8).await.unwrap();
    assert_eq!((start.elapsed(), far.asked().len()), (Duration::ZERO, 0));
    client.prove(700).await.unwrap();
    assert_eq!((start.elapsed(), far.asked()), (AWAY, HashSet::from(["tile/0/002".to_owned()])));
}

#[tokio::test(start_paused = true)]
async fn a_cold_entry_reads_its_bundle_instead_of_its_leaf_tile() {
    let far = Far::of(66_051);
    let (client, start) = (Client::new(far.clone(), trusted()), Instant::now());
    assert_eq!(client.get(7).await.unwrap(), entry(7));
    assert_eq!(start.elapsed(), 3 * AWAY, "the checkpoint, the tiles, the bundle");
    let mut wanted = needed(7, 66_051);
    wanted.remove("tile/0/000");
    wanted.insert("tile/entries/000".to_owned());
    assert_eq!(far.asked(), wanted);
}

/// Tiles that are read ahead are no more trusted than others.
#[tokio::test]
async fn a_damaged_tile_that_was_read_ahead_is_named() {
    let log = TestLog::of(66_051);
    let path = "tile/0/000";
    let mut tile = log.source.get(path).unwrap().to_vec();
    tile[5] ^= 1;
    log.source.insert(path, tile);
    assert_eq!(common::blamed(&log.client().prove(7).await.unwrap_err()), path);
    log.source.remove(path);
    assert_eq!(common::blamed(&log.client().prove(7).await.unwrap_err()), path);
}
