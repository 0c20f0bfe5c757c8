//! A small log writer: what a real log publishes, in memory, and what a bad one might.

use kiln_client::tiles::{
    BundleCoord, Checkpoint, Hash, RightEdge, SigningKey, TILE_WIDTH, TreeHead, TrustedLog, push_entry,
};
use kiln_client::{BadLog, Client, ClientError, MemorySource};

pub(crate) const ORIGIN: &str = "example.com/log";

/// A log that publishes to memory. Entry `i` is `entry(i)` unless said.
pub(crate) struct TestLog {
    pub(crate) source: MemorySource,
    pub(crate) edge: RightEdge,
    bundle: Vec<u8>, // of the last, partial bundle
}

pub(crate) fn key() -> SigningKey {
    key_of(ORIGIN, 7)
}

pub(crate) fn key_of(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name.parse().unwrap(), [seed; 32])
}

pub(crate) fn trusted() -> TrustedLog {
    key().verifier_key().into()
}

pub(crate) fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// What the log signs for a head.
pub(crate) fn note(head: TreeHead) -> Vec<u8> {
    let text = Checkpoint::new(ORIGIN, head).unwrap().to_string();
    key().sign(text).unwrap().to_string().into_bytes()
}

pub(crate) fn head(size: u64) -> TreeHead {
    let mut edge = RightEdge::empty();
    edge.append((0..size).map(|i| Hash::leaf(&entry(i))));
    edge.head()
}

impl TestLog {
    pub(crate) fn empty() -> Self {
        let log = Self { source: MemorySource::default(), edge: RightEdge::empty(), bundle: Vec::new() };
        log.publish();
        log
    }

    /// A log of `size` entries that published once.
    pub(crate) fn of(size: u64) -> Self {
        let mut log = Self::empty();
        log.grow_to(size);
        log
    }

    pub(crate) fn grow_to(&mut self, size: u64) {
        self.append((self.edge.size()..size).map(entry));
    }

    /// Appends a batch and publishes it.
    pub(crate) fn append(&mut self, entries: impl IntoIterator<Item = Vec<u8>>) {
        let mut leaves = Vec::new();
        for entry in entries {
            leaves.push(Hash::leaf(&entry));
            push_entry(&mut self.bundle, &entry).unwrap();
            let size = self.edge.size() + leaves.len() as u64;
            if size.is_multiple_of(TILE_WIDTH) {
                self.put_bundle(size / TILE_WIDTH - 1, 256);
                self.bundle.clear();
            }
        }
        for tile in self.edge.append(leaves) {
            self.source.insert(tile.coord().to_string(), tile.to_bytes());
        }
        if let Some(width) = u16::try_from(self.edge.size() % TILE_WIDTH).ok().filter(|&width| width > 0) {
            self.put_bundle(self.edge.size() / TILE_WIDTH, width);
        }
        self.publish();
    }

    fn put_bundle(&self, index: u64, width: u16) {
        let path = BundleCoord::new(index, width).unwrap().to_string();
        self.source.insert(path, self.bundle.clone());
    }

    pub(crate) fn head(&self) -> TreeHead {
        self.edge.head()
    }

    fn publish(&self) {
        self.serve(self.head());
    }

    /// Serves a checkpoint for another head than the tiles'.
    pub(crate) fn serve(&self, head: TreeHead) {
        self.source.insert("checkpoint", note(head));
    }

    pub(crate) fn client(&self) -> Client<MemorySource> {
        Client::new(self.source.clone(), trusted())
    }
}

/// The path that a damage is reported at.
pub(crate) fn blamed(error: &ClientError) -> &str {
    match error {
        ClientError::BadLog(BadLog::Damaged { path, .. } | BadLog::Missing { path }) => path,
        ClientError::BadLog(BadLog::Checkpoint(_) | BadLog::OtherKeys(_)) => "checkpoint",
        other => panic!("no damage: {other:?}"),
    }
}
