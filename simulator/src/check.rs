//! Verifies everything that is published, as a client would that trusts only the log's key.

use bytes::Bytes;
use kiln_sequencer::{Entry, Tree};
use kiln_storage::ImmutableObjects;
use kiln_tiles::{BundleCoord, EntryBundle, SignedCheckpoint, TILE_WIDTH, TrustedLog};

/// A published log, every byte of which was verified.
#[derive(Debug)]
pub struct Checked {
    /// Its checkpoint; `None` where none was published yet.
    pub checkpoint: Option<SignedCheckpoint>,
    /// Its entries.
    pub entries: Vec<Bytes>,
}

/// Reads the whole log: the checkpoint verifies, the entries hash to its root, and every tile and
/// bundle that its size implies is there, byte for byte.
///
/// # Panics
/// Where anything is missing or wrong.
pub async fn check_log(store: &impl ImmutableObjects, log: &TrustedLog) -> Checked {
    let Some(note) = read(store, "checkpoint").await else {
        return Checked { checkpoint: None, entries: Vec::new() };
    };
    let checkpoint = log.open(&note).expect("the published checkpoint verifies");
    let size = checkpoint.head().size();
    let mut entries = Vec::new();
    for start in (0..size).step_by(usize::try_from(TILE_WIDTH).expect("256")) {
        let coord = BundleCoord::holding(start, size).expect("within the tree");
        entries.extend(read_bundle(store, coord).await);
    }
    let mut tree = Tree::empty();
    let logged: Vec<Entry> = entries.iter().map(|e| Entry::new(e.clone()).expect("an entry")).collect();
    for object in tree.append(&logged) {
        let found = read_or_full(store, object.path.as_str(), object.body.len()).await;
        assert_eq!(found, Some(object.body), "{} at size {size}", object.path);
    }
    assert_eq!(tree.head(), checkpoint.head(), "the entries hash to the signed root");
    Checked { checkpoint: Some(checkpoint), entries }
}

async fn read(store: &impl ImmutableObjects, path: &str) -> Option<Bytes> {
    store.read(&path.parse().expect("an object name")).await.expect("a store without faults")
}

async fn read_bundle(store: &impl ImmutableObjects, coord: BundleCoord) -> Vec<Bytes> {
    let (found, body) = match read(store, &coord.to_string()).await {
        Some(body) => (coord, body),
        None => {
            (coord.full(), read(store, &coord.full().to_string()).await.expect("a bundle or its full one"))
        }
    };
    let bundle = EntryBundle::parse(found, &body).expect("a whole bundle");
    let bundle = bundle.prefix(coord.width()).expect("at least as wide");
    bundle.entries().iter().map(|entry| Bytes::copy_from_slice(entry)).collect()
}

/// A partial tile or bundle may be gone once the full one is there: its first bytes are the same.
async fn read_or_full(store: &impl ImmutableObjects, path: &str, length: usize) -> Option<Bytes> {
    let whole = read(store, path).await;
    let full = path.split_once(".p/").map(|(full, _)| full);
    match (whole, full) {
        (None, Some(full)) => read(store, full).await.map(|body| body.slice(..length)),
        (whole, _) => whole,
    }
}
