//! What the tree has at the places of one level-0 tile, and whether entries are those.

use std::collections::VecDeque;

use bytes::Bytes;
use kiln_tiles::{BundleCoord, EntryBundle, Hash, HashTile, TileCoord};

use crate::error::{ClientError, Fault};
use crate::fetch::{self, Found};

/// What verified tiles say about one level-0 tile: what its leaf hashes are, or hash to.
///
/// Of a full tile the value in the tile above is enough: a bundle whose leaf hashes hash to it is
/// the right one, and its level-0 tile need not be fetched at all.
#[derive(Clone, Debug)]
pub(crate) struct Leaves {
    bundle: BundleCoord,
    known: Known,
}

#[derive(Clone, Debug)]
enum Known {
    Root(Hash),
    Hashes(HashTile),
}

impl Leaves {
    /// The leaves of a bundle whose full tile hashes to `root`, as the tile above says.
    pub(crate) const fn with_root(bundle: BundleCoord, root: Hash) -> Self {
        Self { bundle, known: Known::Root(root) }
    }

    /// The leaves of a bundle whose tile is known itself.
    pub(crate) const fn with_tile(bundle: BundleCoord, tile: HashTile) -> Self {
        Self { bundle, known: Known::Hashes(tile) }
    }

    /// The bundle of the entries.
    pub(crate) const fn bundle(&self) -> BundleCoord {
        self.bundle
    }

    /// The level-0 tile.
    pub(crate) fn tile(&self) -> TileCoord {
        self.bundle.leaf_tile()
    }

    /// Whether this is the tile that the tree has here.
    pub(crate) fn are(&self, tile: &HashTile) -> bool {
        match &self.known {
            Known::Hashes(known) => known == tile,
            Known::Root(root) => self.tile().parent_node().and_then(|node| tile.node(node)) == Some(*root),
        }
    }

    /// Reads the tile and verifies it.
    pub(crate) fn verify_tile(&self, found: &Found<TileCoord>) -> Result<HashTile, ClientError> {
        let tile = fetch::parse_tile(self.tile(), found)?;
        let damaged = || ClientError::damaged(found.coord.to_string(), Fault::Hash);
        if self.are(&tile) { Ok(tile) } else { Err(damaged()) }
    }

    /// Reads the bundle and verifies every entry in it.
    pub(crate) fn verify_bundle(&self, found: &Found<BundleCoord>) -> Result<VerifiedBundle, ClientError> {
        let (bundle, tile) = self.hash_bundle(found)?;
        if self.are(&tile) { Ok(bundle.entries) } else { Err(bundle.damaged(self.first_wrong(&tile))) }
    }

    /// Reads tile and bundle, and says which of them is at fault where one is. The entries are
    /// hashed, and the tree above them, once for both.
    pub(crate) fn verify_both(
        &self,
        found: &Found<TileCoord>,
        bundle: &Found<BundleCoord>,
    ) -> Result<VerifiedBundle, ClientError> {
        let published = fetch::parse_tile(self.tile(), found)?;
        let (bundle, hashed) = self.hash_bundle(bundle).or_else(|error| {
            // A tile that is wrong as well comes first.
            self.verify_tile(found).and(Err(error))
        })?;
        let good = self.are(&hashed);
        if good && published == hashed {
            return Ok(bundle.entries);
        }
        if !good && self.are(&published) {
            return Err(bundle.damaged(Self::with_tile(self.bundle, published).first_wrong(&hashed)));
        }
        Err(ClientError::damaged(found.coord.to_string(), Fault::Hash))
    }

    /// The tile that the entries of a bundle make.
    fn hash_bundle(&self, found: &Found<BundleCoord>) -> Result<(Hashed, HashTile), ClientError> {
        let damaged = |fault: Fault| ClientError::damaged(found.coord.to_string(), fault);
        let parsed = EntryBundle::parse(found.coord, &found.bytes);
        let bundle = parsed.map_err(|error| damaged(error.into()))?;
        let bundle = bundle.prefix(self.bundle.width()).ok_or_else(|| damaged(Fault::Hash))?;
        let hashes: Vec<u8> = bundle.leaf_hashes().flat_map(|hash| *hash.as_bytes()).collect();
        let tile = HashTile::parse(self.tile(), &hashes).map_err(|error| damaged(error.into()))?;
        let entries = VerifiedBundle::new(found.bytes.clone(), &bundle);
        Ok((Hashed { coord: found.coord, entries }, tile))
    }

    fn first_wrong(&self, tile: &HashTile) -> Fault {
        let Known::Hashes(known) = &self.known else { return Fault::Hash };
        let differs = known.hashes().iter().zip(tile.hashes()).position(|(known, found)| known != found);
        let start = self.bundle.start();
        differs.map_or(Fault::Hash, |position| Fault::Entry(start.saturating_add(position as u64)))
    }
}

/// A bundle whose entries are hashed and not yet compared.
struct Hashed {
    coord: BundleCoord,
    entries: VerifiedBundle,
}

impl Hashed {
    fn damaged(&self, fault: Fault) -> ClientError {
        ClientError::damaged(self.coord.to_string(), fault)
    }
}

/// Consecutive entries, at most 256, each of which is in the log at its index.
#[derive(Clone, Debug)]
pub struct VerifiedBundle {
    start: u64,
    bytes: Bytes,
    spans: VecDeque<(u32, u32)>, // start and end of each entry in `bytes`
}

impl VerifiedBundle {
    fn new(bytes: Bytes, bundle: &EntryBundle<'_>) -> Self {
        const PREFIX: u32 = 2; // each entry stands behind its length, a uint16
        let mut end = 0;
        let span = |entry: &&[u8]| {
            let start = end + PREFIX;
            end = start + u32::try_from(entry.len()).unwrap_or(0); // at most 65,535
            (start, end)
        };
        let spans = bundle.entries().iter().map(span).collect();
        Self { start: bundle.coord().start(), bytes, spans }
    }

    /// The index of the first entry.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The index after the last entry.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.spans.len() as u64)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Each entry with its index, without copying it.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let entry = |&(start, end): &(u32, u32)| &self.bytes[start as usize..end as usize];
        (self.start..).zip(self.spans.iter().map(entry))
    }

    /// How many bytes the entries have together.
    #[must_use]
    pub fn entry_bytes(&self) -> u64 {
        self.spans.iter().map(|&(start, end)| u64::from(end - start)).sum()
    }

    /// The entry at an index, as a slice of the bundle's bytes.
    pub(crate) fn entry(&self, index: u64) -> Option<Bytes> {
        let position = usize::try_from(index.checked_sub(self.start)?).ok()?;
        let &(start, end) = self.spans.get(position)?;
        Some(self.bytes.slice(start as usize..end as usize))
    }

    /// Takes the first entry out.
    pub(crate) fn pop_first(&mut self) -> Option<(u64, Bytes)> {
        let (start, end) = self.spans.pop_front()?;
        let index = self.start;
        self.start = index.saturating_add(1);
        Some((index, self.bytes.slice(start as usize..end as usize)))
    }

    /// Only the entries of `range`.
    pub(crate) fn within(mut self, range: &core::ops::Range<u64>) -> Self {
        let clamp = |index: u64| {
            usize::try_from(index.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.spans.len())
        };
        let (from, to) = (clamp(range.start), clamp(range.end));
        self.spans.truncate(to);
        self.spans.drain(..from.min(to));
        self.start = self.start.saturating_add(from as u64);
        self
    }
}
