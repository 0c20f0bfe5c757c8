//! The copy of one log: what of it is durable, how it grows, and when all of a tree is there.
//!
//! It is a store as any log's: full tiles and bundles, and the partial ones of each tree that a checkpoint was mirrored
//! of. The tree that is *held* may be further than the mirror checkpoint: an upload that is under way, which began
//! again where it was after a crash.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use kiln_storage::{
    CreateError, ImmutableObjects, Object, ObjectPath, PartialObjects, PartialPath, StorageError,
};
use kiln_tiles::{
    BundleCoord, Checkpoint, EdgeError, EntryBundle, Hash, HashTile, Node, Note, PackageSpan,
    ParseBundleError, RightEdge, TILE_WIDTH, TileCoord, TreeHead, partial_tiles, push_entry, split_entries,
};
use tokio::sync::Mutex;

use crate::record::Record;
use crate::refusal::Refusal;
use crate::store::StoreError;
use crate::writer::Writer;

/// How many pending checkpoints of a log are remembered, so that an upload to an older one goes on without a ticket.
const REMEMBERED: usize = 8;

/// Why a copy cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogCopyError {
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An object cannot be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// What was recorded as held is not there.
    #[error("{0} is missing from the copy")]
    Missing(ObjectPath),
    /// A bundle is cut short.
    #[error("{0} is damaged: {1}")]
    Bundle(ObjectPath, ParseBundleError),
    /// A tile has the wrong length.
    #[error("{0} is damaged")]
    Tile(ObjectPath),
    /// Entries do not hash to the leaves of the tree.
    #[error("{0} is damaged: its entries do not hash to the tree that is held")]
    Entries(ObjectPath),
    /// The tiles do not hash to the tree that is held.
    #[error("a tile of the copy is damaged: {0}")]
    Edge(#[from] EdgeError),
    /// Entries come after others that are not there.
    #[error("entry {held} is not held, and entry {start} would follow")]
    Gap {
        /// How many entries are held.
        held: u64,
        /// The first that would follow.
        start: u64,
    },
    /// The state of the mirror does not take it.
    #[error(transparent)]
    State(#[from] Refusal),
    /// The state of the mirror cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Entries that were verified to be those of a pending checkpoint's tree.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) span: PackageSpan,
    /// As they stand in a bundle.
    pub(crate) framed: Bytes,
    pub(crate) leaves: Vec<Hash>,
}

/// A checkpoint of whose tree everything is in the copy, durably. Only [`LogCopy::settle`] makes one, and without one
/// no mirror checkpoint moves.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) origin_hash: Hash,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Note,
}

/// The copy of one log, in a store.
#[derive(Debug)]
pub(crate) struct LogCopy<T> {
    origin_hash: Hash,
    store: T,
    /// The edge of the tree that is held. Whoever has the lock makes it grow.
    held: Mutex<RightEdge>,
    /// Its size.
    next: AtomicU64,
    /// The size of the tree that readers see.
    shown: AtomicU64,
    /// The last pending checkpoints, newest first.
    pending: std::sync::Mutex<VecDeque<Arc<Record>>>,
    /// Partial tiles and bundles that this process wrote, by the size of the tree in which full ones supersede them.
    superseded: std::sync::Mutex<Vec<(u64, PartialPath)>>,
    /// Held while a tree is mirrored, from the last entry to the signatures.
    pub(crate) finishing: Mutex<()>,
    /// Held while the checkpoint beside the tiles is replaced.
    pub(crate) publishing: Mutex<()>,
}

impl<T: ImmutableObjects + Sync> LogCopy<T> {
    /// The copy in a store, of which this tree is held.
    pub(crate) async fn open(
        origin_hash: Hash,
        store: T,
        held: Option<TreeHead>,
    ) -> Result<Self, LogCopyError> {
        let edge = match held {
            Some(held) => edge_at(&store, held, held.size()).await?,
            None => RightEdge::empty(),
        };
        Ok(Self {
            origin_hash,
            store,
            next: AtomicU64::new(edge.size()),
            held: Mutex::new(edge),
            shown: AtomicU64::new(0),
            pending: std::sync::Mutex::default(),
            superseded: std::sync::Mutex::default(),
            finishing: Mutex::default(),
            publishing: Mutex::default(),
        })
    }

    pub(crate) const fn origin_hash(&self) -> Hash {
        self.origin_hash
    }

    pub(crate) const fn store(&self) -> &T {
        &self.store
    }

    /// The [next entry](https://c2sp.org/tlog-mirror#updating-a-mirror): the first that is not held.
    pub(crate) fn next_entry(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// The size of the tree that readers see.
    pub(crate) fn shown(&self) -> u64 {
        self.shown.load(Ordering::Acquire)
    }

    /// Readers may see the tree of this size, whose checkpoint is cosigned.
    pub(crate) fn show(&self, size: u64) {
        self.shown.fetch_max(size, Ordering::AcqRel);
    }

    /// The tree that is held.
    pub(crate) async fn held(&self) -> TreeHead {
        self.held.lock().await.head()
    }

    /// Remembers a pending checkpoint.
    pub(crate) fn remember(&self, record: Record) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|known| known.head() != record.head());
        pending.push_front(Arc::new(record));
        pending.truncate(REMEMBERED);
    }

    /// A pending checkpoint of this size, if it is remembered.
    pub(crate) fn remembered(&self, size: u64) -> Option<Arc<Record>> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.iter().find(|record| record.head().size() == size).cloned()
    }

    /// The hashes of leaves that are held, all of one block.
    pub(crate) async fn leaves(&self, range: Range<u64>) -> Result<Vec<Hash>, LogCopyError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let block = range.start / TILE_WIDTH;
        let width = u16::try_from(range.end - block * TILE_WIDTH).unwrap_or(u16::MAX);
        let gap = || LogCopyError::Gap { held: self.next_entry(), start: range.end };
        let wanted = TileCoord::new(0, block, width).ok_or_else(gap)?;
        let tile = tile_at(&self.store, wanted, self.next_entry()).await?;
        let first = usize::try_from(range.start - block * TILE_WIDTH).unwrap_or(usize::MAX);
        Ok(tile.hashes().get(first..).unwrap_or_default().to_vec())
    }

    /// Adds what of these entries is not held yet. They follow one another, and were verified under pending checkpoints
    /// of this mirror, which are all consistent: so whoever comes first brings the same as everybody else. This process
    /// may end after any line, and the call be dropped at any `await`:
    ///
    /// | last line done | of the new entries | and the next upload |
    /// |---|---|---|
    /// | grow | nothing is there | begins where this one did |
    /// | create | bundles and full tiles are there, durably; no reader sees them | the same, to no effect |
    /// | hold | the same, and it is known | goes on behind them |
    pub(crate) async fn append(&self, packages: Vec<Verified>, writer: &Writer) -> Result<(), LogCopyError> {
        let mut held = self.held.lock().await;
        let (edge, objects) = self.grow(&held, packages).await?;
        if edge.size() == held.size() {
            return Ok(());
        }
        self.store.create(objects).await?;
        writer.hold(self.origin_hash, edge.head()).await?;
        self.next.store(edge.size(), Ordering::Release);
        *held = edge;
        Ok(())
    }

    /// The tree with these entries, and what it implies beyond the one that is held: but no partial hash tiles, which
    /// only the tree of a mirror checkpoint has.
    async fn grow(
        &self,
        held: &RightEdge,
        packages: Vec<Verified>,
    ) -> Result<(RightEdge, Vec<Object>), LogCopyError> {
        let (mut edge, mut objects) = (held.clone(), Vec::new());
        let mut bundle = self.partial_bundle(&edge).await?;
        for Verified { span, framed, leaves } in packages {
            let size = edge.size();
            if span.end() <= size {
                continue;
            }
            let known = size.checked_sub(span.start()).and_then(|known| usize::try_from(known).ok());
            let known = known.ok_or(LogCopyError::Gap { held: size, start: span.start() })?;
            let body = extended(&mut bundle, framed, known);
            let tiles = edge.append(leaves.into_iter().skip(known));
            objects.extend(bundle_object(span.end(), body));
            objects.extend(tiles.iter().filter(|tile| tile.coord().is_full()).map(tile_object));
            if span.end() % TILE_WIDTH == 0 {
                bundle.clear();
            }
        }
        Ok((edge, objects))
    }

    /// The entries of the last bundle of a tree, if it is partial. They go into the next one, or are vouched for as they
    /// are, so they must hash to the tree.
    async fn partial_bundle(&self, edge: &RightEdge) -> Result<Vec<u8>, LogCopyError> {
        let Some(leaves) = edge.tiles().find(|tile| tile.coord().level() == 0) else { return Ok(Vec::new()) };
        let coord = BundleCoord::new(leaves.coord().index(), leaves.coord().width());
        let coord = coord.ok_or_else(|| LogCopyError::Tile(object_path(&leaves.coord())))?;
        let framed = read_bundle(&self.store, coord, self.next_entry()).await?;
        let bundle = EntryBundle::parse(coord, &framed);
        let bundle = bundle.map_err(|error| LogCopyError::Bundle(object_path(&coord), error))?;
        let verifies = bundle.leaf_hashes().eq(leaves.hashes().iter().copied());
        if verifies { Ok(framed) } else { Err(LogCopyError::Entries(object_path(&coord))) }
    }

    /// Takes over a tree that somebody else copied into the store, all of it, durably.
    pub(crate) async fn adopt(&self, head: TreeHead, writer: &Writer) -> Result<(), LogCopyError> {
        let mut held = self.held.lock().await;
        if head.size() <= held.size() {
            return Ok(());
        }
        let edge = edge_at(&self.store, head, head.size()).await?;
        writer.hold(self.origin_hash, head).await?;
        self.next.store(edge.size(), Ordering::Release);
        *held = edge;
        Ok(())
    }

    /// Makes everything that the tree of a pending checkpoint implies durable: what was not yet are its partial tiles.
    /// The root hash is computed anew from what the copy has: a tree that hashes to another is never signed.
    pub(crate) async fn settle(&self, pending: &Record) -> Result<Settled, LogCopyError> {
        let (held, head) = (self.held.lock().await, pending.head());
        if held.size() < head.size() {
            return Err(LogCopyError::Gap { held: held.size(), start: head.size() });
        }
        let edge =
            if held.head() == head { held.clone() } else { edge_at(&self.store, head, held.size()).await? };
        let mut objects: Vec<Object> = edge.tiles().map(|tile| tile_object(&tile)).collect();
        self.remember_partials(&edge);
        let bundle = self.partial_bundle(&edge).await?;
        objects.extend((!bundle.is_empty()).then(|| bundle_object(head.size(), bundle.into())).flatten());
        if !objects.is_empty() {
            self.store.create(objects).await?;
        }
        let checkpoint = pending.note().unverified_text().parse().map_err(Refusal::Checkpoint)?;
        Ok(Settled { origin_hash: self.origin_hash, checkpoint, note: pending.note().clone() })
    }

    /// Remembers the partial tiles of a tree, and its partial bundle, which are to go when full ones supersede them.
    fn remember_partials(&self, edge: &RightEdge) {
        let mut superseded = self.superseded.lock().unwrap_or_else(PoisonError::into_inner);
        for tile in edge.tiles() {
            let coord = tile.coord();
            let Some(end) = coord.parent_node().map(Node::end) else { continue };
            let bundle = BundleCoord::new(coord.index(), coord.width()).filter(|_| coord.level() == 0);
            let paths = [Some(object_path(&coord)), bundle.map(|bundle| object_path(&bundle))];
            let paths = paths.into_iter().flatten().filter_map(|path| path.try_into().ok());
            superseded.extend(paths.map(|path| (end, path)));
        }
        superseded.sort_unstable();
        superseded.dedup();
    }

    /// The root hash that the tree which is held had at an earlier size.
    pub(crate) async fn root_at(&self, size: u64) -> Result<Option<Hash>, LogCopyError> {
        let held = self.held.lock().await.head();
        if size > held.size() {
            return Ok(None);
        }
        let mut tiles = Vec::new();
        for coord in partial_tiles(size) {
            tiles.push(tile_at(&self.store, coord, held.size()).await?);
        }
        // What the tiles hash to is what is asked for, so that any root would do to open them.
        let unknown = TreeHead::new(size, Hash::from_bytes([0; Hash::SIZE]));
        Ok(match unknown.map(|unknown| RightEdge::open(unknown, &tiles)) {
            Some(Err(EdgeError::Root { found, .. })) => Some(found),
            Some(Ok(edge)) => Some(edge.root()),
            Some(Err(error)) => return Err(error.into()),
            None => Some(Hash::empty_tree()),
        })
    }
}

impl<T: PartialObjects + Sync> LogCopy<T> {
    /// Removes the partial tiles and bundles that full ones supersede in a tree which was shown before the newest: who
    /// reads by an older checkpoint takes [the full ones](https://c2sp.org/tlog-tiles#partial-tiles).
    pub(crate) async fn collect(&self, size: u64) -> Result<(), StorageError> {
        let gone = {
            let mut superseded = self.superseded.lock().unwrap_or_else(PoisonError::into_inner);
            let first_left = superseded.partition_point(|(end, _)| *end <= size);
            superseded.drain(..first_left).map(|(_, path)| path).collect::<Vec<_>>()
        };
        if gone.is_empty() { Ok(()) } else { self.store.remove_partials(gone).await }
    }
}

/// The entries of a bundle with those that follow, of which `known` are there; `bundle` is that then.
fn extended(bundle: &mut Vec<u8>, framed: Bytes, known: usize) -> Bytes {
    if bundle.is_empty() && known == 0 {
        *bundle = framed.to_vec();
        return framed;
    }
    for entry in split_entries(&framed).skip(known) {
        let entry = entry.expect("a package was read whole");
        push_entry(bundle, entry).expect("it was read with its length");
    }
    bundle.clone().into()
}

/// The bundle in which a tree of this size ends.
fn bundle_object(size: u64, body: Bytes) -> Option<Object> {
    let coord = BundleCoord::holding(size.checked_sub(1)?, size)?;
    Some(Object { path: object_path(&coord), body })
}

fn tile_object(tile: &HashTile) -> Object {
    Object { path: object_path(&tile.coord()), body: tile.to_bytes().into() }
}

pub(crate) fn object_path(resource: &impl ToString) -> ObjectPath {
    resource.to_string().parse().expect("the path of a tile or bundle is an object name")
}

/// The right edge of a tree, all of whose full tiles are there; of a tree of `later` leaves that extends it, the last
/// bundle is.
async fn edge_at<T: ImmutableObjects + Sync>(
    store: &T,
    head: TreeHead,
    later: u64,
) -> Result<RightEdge, LogCopyError> {
    let mut tiles = Vec::new();
    for coord in partial_tiles(head.size()) {
        tiles.push(tile_at(store, coord, later).await?);
    }
    Ok(RightEdge::open(head, &tiles)?)
}

/// A tile of a tree: as it stands there, or as it follows from what stands below it.
async fn tile_at<T: ImmutableObjects + Sync>(
    store: &T,
    coord: TileCoord,
    later: u64,
) -> Result<HashTile, LogCopyError> {
    for candidate in [coord, coord.full()] {
        match stored_tile(store, candidate).await {
            Ok(Some(tile)) => {
                return tile.prefix(coord.width()).ok_or_else(|| LogCopyError::Tile(object_path(&candidate)));
            }
            // What is torn counts as missing: whatever it is made from instead must hash to the tree.
            Ok(None) | Err(LogCopyError::Tile(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let damaged = || LogCopyError::Tile(object_path(&coord));
    if coord.level() == 0 {
        return leaf_tile(store, coord, later).await;
    }
    let mut bytes = Vec::new();
    for child in 0..u64::from(coord.width()) {
        let index = coord.index() * TILE_WIDTH + child;
        let child = TileCoord::new(coord.level() - 1, index, coord.full().width()).ok_or_else(damaged)?;
        let tile =
            stored_tile(store, child).await?.ok_or_else(|| LogCopyError::Missing(object_path(&child)))?;
        let root = child.parent_node().and_then(|node| tile.node(node)).ok_or_else(damaged)?;
        bytes.extend_from_slice(root.as_bytes());
    }
    HashTile::parse(coord, &bytes).map_err(|_| damaged())
}

/// The hashes of entries, from their bundle.
async fn leaf_tile<T: ImmutableObjects + Sync>(
    store: &T,
    coord: TileCoord,
    later: u64,
) -> Result<HashTile, LogCopyError> {
    let damaged = || LogCopyError::Tile(object_path(&coord));
    let bundle = BundleCoord::new(coord.index(), coord.width()).ok_or_else(damaged)?;
    let framed = read_bundle(store, bundle, later).await?;
    let entries = EntryBundle::parse(bundle, &framed);
    let entries = entries.map_err(|error| LogCopyError::Bundle(object_path(&bundle), error))?;
    let bytes: Vec<u8> = entries.leaf_hashes().flat_map(|hash| *hash.as_bytes()).collect();
    HashTile::parse(coord, &bytes).map_err(|_| damaged())
}

async fn stored_tile<T: ImmutableObjects + Sync>(
    store: &T,
    coord: TileCoord,
) -> Result<Option<HashTile>, LogCopyError> {
    let path = object_path(&coord);
    let Some(bytes) = store.read(&path).await? else { return Ok(None) };
    HashTile::parse(coord, &bytes).map(Some).map_err(|_| LogCopyError::Tile(path))
}

/// The entries of a bundle, from the narrowest there is that has them.
async fn read_bundle<T: ImmutableObjects + Sync>(
    store: &T,
    coord: BundleCoord,
    later: u64,
) -> Result<Vec<u8>, LogCopyError> {
    let wider = BundleCoord::holding(coord.start(), later).unwrap_or(coord);
    for found in [coord, wider, coord.full()] {
        let path = object_path(&found);
        let Some(bytes) = store.read(&path).await? else { continue };
        let bundle = EntryBundle::parse(found, &bytes);
        let bundle = bundle.map_err(|error| LogCopyError::Bundle(path, error))?;
        let mut framed = Vec::new();
        for entry in bundle.entries().iter().take(usize::from(coord.width())) {
            push_entry(&mut framed, entry).expect("it was read with its length");
        }
        return Ok(framed);
    }
    Err(LogCopyError::Missing(object_path(&coord)))
}
