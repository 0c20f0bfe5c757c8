//! One tree of a log, read through a source: every hash that comes out was verified against the
//! tree's root.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use kiln_tiles::{
    BundleCoord, Hash, HashTile, Node, Proof, Subtree, TileCoord, TileError, TreeHead, VerifiedTiles,
    partial_tiles,
};

#[cfg(feature = "stores")]
use kiln_tiles::RightEdge;
#[cfg(any(feature = "folder", feature = "stores"))]
use kiln_tiles::TILE_WIDTH;

use crate::bundle::VerifiedBundle;
use crate::cache::Cache;
use crate::error::{BadLog, ClientError, Fault};
use crate::fetch::{self, Found};
use crate::leaves::Leaves;
use crate::offload::offload;
use crate::source::Source;

/// What reads: a source, the caches before it, and how many requests may run at once.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    pub(crate) source: Arc<S>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) parallelism: usize,
    /// How many full tiles a tree holds verified.
    pub(crate) most_tiles: usize,
}

impl<S> Clone for Reader<S> {
    fn clone(&self) -> Self {
        let (source, cache) = (Arc::clone(&self.source), Arc::clone(&self.cache));
        Self { source, cache, parallelism: self.parallelism, most_tiles: self.most_tiles }
    }
}

impl<S: Source> Reader<S> {
    /// A tile, from the nearest place that has it.
    async fn candidate(&self, coord: TileCoord, may_use_cache: bool) -> Result<Candidate, ClientError> {
        let cached = if may_use_cache { self.cache.get(coord).await } else { None };
        if let Some(tile) = cached {
            return Ok(Candidate { tile, is_cached: true });
        }
        Ok(Candidate { tile: fetch::tile(&*self.source, coord).await?, is_cached: false })
    }
}

/// One tree of a log. Its full tiles come from memory, disk and source, in this order, and all of
/// them go through [`VerifiedTiles`].
#[derive(Debug)]
pub(crate) struct Tree<S> {
    reader: Reader<S>,
    head: TreeHead,
    verified: Mutex<Verified>,
}

#[derive(Debug)]
struct Verified {
    tiles: VerifiedTiles,
    full: usize, // how many full tiles there are
}

/// A full tile before it is verified.
struct Candidate {
    tile: HashTile,
    is_cached: bool,
}

/// A level-0 tile that was read.
#[derive(Debug)]
pub(crate) enum ReadTile {
    Known(HashTile),
    Found(Found<TileCoord>, Leaves),
}

impl ReadTile {
    pub(crate) fn verify(self) -> Result<HashTile, ClientError> {
        match self {
            Self::Known(tile) => Ok(tile),
            Self::Found(found, leaves) => leaves.verify_tile(&found),
        }
    }
}

impl<S: Source> Tree<S> {
    /// Reads the right edge of the tree and verifies it against the root. What the tree needs for `next`, which the size
    /// alone tells, is read at the same time.
    pub(crate) async fn open(
        reader: Reader<S>,
        head: TreeHead,
        next: Option<Node>,
    ) -> Result<Self, ClientError> {
        let partial = stream::iter(partial_tiles(head.size()));
        let edge = partial.map(|coord| fetch::tile(&*reader.source, coord)).buffered(reader.parallelism);
        let full = stream::iter(next.map(|node| full_tiles(node, head.size())).unwrap_or_default());
        let ahead = full.map(|coord| reader.candidate(coord, true)).buffered(reader.parallelism);
        let (edge, ahead) = future::join(edge.try_collect::<Vec<_>>(), ahead.try_collect()).await;
        let tiles = VerifiedTiles::open(head, &edge?).map_err(BadLog::Edge)?;
        let tree = Self { reader, head, verified: Mutex::new(Verified { tiles, full: 0 }) };
        // Where that failed, whoever asks for the node reads again, and hears what is wrong.
        tree.take(ahead.unwrap_or_default()).await;
        Ok(tree)
    }

    /// Takes in the tiles that were read ahead, if they are those of the tree.
    async fn take(&self, candidates: Vec<Candidate>) {
        let fit = self.admit(&candidates, &[], &|_| ()).is_ok();
        if fit {
            self.keep(candidates).await;
        }
    }

    pub(crate) const fn head(&self) -> TreeHead {
        self.head
    }

    pub(crate) const fn reader(&self) -> &Reader<S> {
        &self.reader
    }

    fn verified(&self) -> MutexGuard<'_, Verified> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings in the tiles that these nodes need, and reads from them.
    pub(crate) async fn with_nodes<T>(
        &self,
        nodes: &[Node],
        read: impl Fn(&VerifiedTiles) -> T,
    ) -> Result<T, ClientError> {
        let mut may_use_cache = true;
        loop {
            let missing = self.verified().tiles.missing(nodes.iter().copied());
            let candidates = self.candidates(missing, may_use_cache).await?;
            match self.admit(&candidates, nodes, &read) {
                Ok(Some(answer)) => {
                    self.keep(candidates).await;
                    return Ok(answer);
                }
                Ok(None) => {} // another task made room in between
                Err(wrong) if !wrong.is_cached => return Err(damaged(wrong.tile.coord())),
                Err(wrong) => {
                    self.reader.cache.forget(wrong.tile.coord()).await;
                    may_use_cache = false;
                }
            }
        }
    }

    async fn candidates(&self, coords: Vec<TileCoord>, cached: bool) -> Result<Vec<Candidate>, ClientError> {
        let tiles = stream::iter(coords).map(|coord| self.reader.candidate(coord, cached));
        tiles.buffered(self.reader.parallelism).try_collect().await
    }

    /// Lets tiles in, and reads when all `nodes` are there; the error is the tile that is wrong.
    fn admit<'a, T>(
        &self,
        candidates: &'a [Candidate],
        nodes: &[Node],
        read: &impl Fn(&VerifiedTiles) -> T,
    ) -> Result<Option<T>, &'a Candidate> {
        let mut verified = self.verified();
        verified.make_room(self.reader.most_tiles);
        for candidate in candidates {
            match verified.tiles.insert(candidate.tile.clone()) {
                Ok(()) => verified.full += 1,
                Err(TileError::Orphan(_)) => return Ok(None),
                Err(_) => return Err(candidate),
            }
        }
        let complete = verified.tiles.missing(nodes.iter().copied()).is_empty();
        Ok(complete.then(|| read(&verified.tiles)))
    }

    async fn keep(&self, candidates: Vec<Candidate>) {
        let fetched = candidates.into_iter().filter(|candidate| !candidate.is_cached);
        let tiles: Vec<HashTile> = fetched.map(|candidate| candidate.tile).collect();
        if !tiles.is_empty() {
            self.reader.cache.keep(tiles).await;
        }
    }

    /// The root hash that the tree had at an earlier size.
    pub(crate) async fn root_at(&self, size: u64) -> Result<Option<Hash>, ClientError> {
        let nodes: Vec<Node> = Subtree::whole(size).into_iter().flat_map(Subtree::nodes).collect();
        self.with_nodes(&nodes, |tiles| tiles.root_at(size)).await
    }

    /// The proof that a subtree is part of the tree; `None` where it lies outside.
    pub(crate) async fn prove(&self, subtree: Subtree) -> Result<Option<Proof>, ClientError> {
        let size = self.head.size();
        let Some(parts) = Proof::parts(subtree, size) else { return Ok(None) };
        let nodes: Vec<Node> = parts.into_iter().flat_map(Subtree::nodes).collect();
        self.with_nodes(&nodes, |tiles| Proof::make(subtree, size, |node| tiles.node(node))).await
    }

    /// What the tree says about the bundle that holds the entry `index`.
    pub(crate) async fn leaves(&self, index: u64) -> Result<Leaves, ClientError> {
        let none = || ClientError::NoEntry { index, size: self.head.size() };
        let bundle = BundleCoord::holding(index, self.head.size()).ok_or_else(none)?;
        let tile = bundle.leaf_tile();
        if let Some(tile) = self.verified().tiles.tile(tile) {
            return Ok(Leaves::with_tile(bundle, tile.clone()));
        }
        let parent = tile.parent_node().ok_or_else(none)?;
        let root = self.with_nodes(&[parent], |tiles| tiles.node(parent)).await?;
        Ok(Leaves::with_root(bundle, root.ok_or_else(none)?))
    }

    /// Reads the level-0 tile of these leaves, unless it is known. It is not kept: the tiles of a walk
    /// would drive out those that proofs need.
    pub(crate) async fn read_tile(&self, leaves: Leaves) -> Result<ReadTile, ClientError> {
        let known = match leaves.known_tile() {
            Some(tile) => Some(tile.clone()),
            None => self.reader.cache.get(leaves.tile()).await.filter(|tile| leaves.are(tile)),
        };
        Ok(match known {
            Some(tile) => ReadTile::Known(tile),
            None => ReadTile::Found(fetch::found(&*self.reader.source, leaves.tile()).await?, leaves),
        })
    }

    /// The tile that the tree has at this place, verified.
    #[cfg(any(feature = "folder", feature = "stores"))]
    pub(crate) async fn tile(&self, level: u8, index: u64) -> Result<HashTile, ClientError> {
        let coord = TileCoord::in_tree(level, index, self.head.size());
        let missing = || BadLog::Missing { path: format!("tile {index} of level {level}") };
        let coord = coord.ok_or_else(missing)?;
        if level == 0 {
            return self.read_tile(self.leaves(index * TILE_WIDTH).await?).await?.verify();
        }
        let first = Node::new(8 * level, index * TILE_WIDTH).ok_or_else(missing)?;
        let tile = self.with_nodes(&[first], |tiles| tiles.tile(coord).cloned()).await?;
        Ok(tile.ok_or_else(missing)?)
    }

    /// The right edge that the tree had at an earlier size.
    #[cfg(feature = "stores")]
    pub(crate) async fn edge_at(&self, size: u64) -> Result<RightEdge, ClientError> {
        let beyond = ClientError::Beyond { wanted: size, size: self.head.size() };
        let root = self.root_at(size).await?;
        let head = root.and_then(|root| TreeHead::new(size, root)).ok_or(beyond)?;
        let mut tiles = Vec::new();
        for coord in partial_tiles(size) {
            let tile = self.tile(coord.level(), coord.index()).await?;
            tiles.extend(tile.prefix(coord.width())); // what is missing, `open` names
        }
        Ok(RightEdge::open(head, &tiles).map_err(BadLog::Edge)?)
    }

    /// Reads the bundle of these leaves, without verifying it.
    pub(crate) async fn read_bundle(&self, leaves: &Leaves) -> Result<Found<BundleCoord>, ClientError> {
        fetch::found(&*self.reader.source, leaves.bundle()).await
    }

    /// Reads and verifies the bundle of these leaves.
    pub(crate) async fn bundle(&self, leaves: Leaves) -> Result<VerifiedBundle, ClientError> {
        let found = self.read_bundle(&leaves).await?;
        offload(move || leaves.verify_bundle(&found)).await
    }
}

impl Verified {
    /// Forgets leaf tiles, then all, where there are too many. What is needed again comes from the
    /// cache, and is verified again.
    fn make_room(&mut self, most: usize) {
        for lowest in [1, TileCoord::MAX_LEVEL + 1] {
            if self.full > most {
                self.full = 0;
                let kept = &mut self.full;
                self.tiles.retain(|tile| {
                    let keep = tile.level() >= lowest;
                    *kept += usize::from(keep);
                    keep
                });
            }
        }
    }
}

/// The full tiles between a node and the right edge of a tree, the highest first.
fn full_tiles(node: Node, size: u64) -> Vec<TileCoord> {
    let above = |tile: &TileCoord| TileCoord::holding(tile.parent_node()?, size);
    let path = std::iter::successors(TileCoord::holding(node, size), above);
    let mut full: Vec<TileCoord> = path.filter(|tile| tile.is_full()).collect();
    full.reverse();
    full
}

fn damaged(coord: TileCoord) -> ClientError {
    ClientError::damaged(coord.to_string(), Fault::Hash)
}
