//! Reads the log's own tiles and bundles back from its store, and believes none that does not hash
//! to what the caller knows.

use std::pin::pin;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use kiln_storage::{ImmutableObjects, ObjectPath, StorageError};
use kiln_tiles::{
    BundleCoord, EdgeError, EntryBundle, Hash, HashTile, HashTileError, Node, ParseBundleError, RightEdge,
    Subtree, TileCoord, TileError, TreeHead, VerifiedTiles, partial_tiles, push_entry,
};

use crate::tree::{Tree, object_path};

/// Why a part of the log cannot be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store did not answer. Try again.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store has lost an object.
    #[error("{0} is missing from the store")]
    Missing(ObjectPath),
    /// An object is too short, too long or malformed.
    #[error("{0} is damaged: {1}")]
    Bundle(ObjectPath, ParseBundleError),
    /// A tile has the wrong length.
    #[error("a tile is damaged: {0}")]
    Tile(#[from] HashTileError),
    /// The partial tiles do not hash to the root.
    #[error("a tile of the right edge is damaged: {0}")]
    Edge(#[from] EdgeError),
    /// A full tile does not hash to its parent.
    #[error("a tile is damaged: {0}")]
    Hash(#[from] TileError),
    /// Entries do not hash to the leaves of their tile.
    #[error("{0} is damaged: its entries do not hash to the tile beside it")]
    Entries(ObjectPath),
}

/// The tiles and bundles of a log. A partial one that is gone is read from a wider one: that of
/// `later`, or the full one. Whoever brought a log back from a mirror has no others.
#[derive(Debug)]
pub(crate) struct Tiles<'a, S> {
    store: &'a S,
    later: u64, // the size of a tree that extends those asked for
}

impl<'a, S> Tiles<'a, S> {
    pub(crate) const fn new(store: &'a S, later: TreeHead) -> Self {
        Self { store, later: later.size() }
    }
}

impl<S> Clone for Tiles<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Tiles<'_, S> {}

/// The tree that `head` describes, ready to grow: its edge, and the entries of its last bundle.
pub(crate) async fn load_tree<S: ImmutableObjects>(
    tiles: Tiles<'_, S>,
    head: TreeHead,
) -> Result<Tree, ReadError> {
    let edge = RightEdge::open(head, &edge_tiles(tiles, head.size()).await?)?;
    let last = head.size().checked_sub(1).and_then(|last| BundleCoord::holding(last, head.size()));
    match last.filter(|bundle| !bundle.is_full()) {
        Some(bundle) => Ok(Tree::from_parts(edge, load_bundle(tiles, bundle).await?)),
        None => Ok(Tree::from_parts(edge, Vec::new())),
    }
}

async fn edge_tiles<S: ImmutableObjects>(tiles: Tiles<'_, S>, size: u64) -> Result<Vec<HashTile>, ReadError> {
    let mut edge = Vec::new();
    for coord in partial_tiles(size) {
        edge.push(read_tile(tiles, coord).await?);
    }
    Ok(edge)
}

/// The entries of a bundle, as they stand in one, which hash to the tile beside it.
pub(crate) async fn load_bundle<S: ImmutableObjects>(
    tiles: Tiles<'_, S>,
    coord: BundleCoord,
) -> Result<Vec<u8>, ReadError> {
    let later = BundleCoord::holding(coord.start(), tiles.later).unwrap_or(coord);
    let (found, body) = read_first(tiles.store, [coord, later, coord.full()]).await?;
    let path = object_path(&found);
    let bundle = EntryBundle::parse(found, &body).map_err(|e| ReadError::Bundle(path.clone(), e))?;
    let bundle = bundle.prefix(coord.width()).expect("a later bundle is wider");
    let leaves = read_tile(tiles, coord.leaf_tile()).await?;
    if !bundle.leaf_hashes().eq(leaves.hashes().iter().copied()) {
        return Err(ReadError::Entries(path));
    }
    let mut framed = Vec::new();
    bundle.entries().iter().for_each(|entry| push_entry(&mut framed, entry).expect("read with its length"));
    Ok(framed)
}

/// The tiles of the tree that `head` describes, as far as these nodes need them.
pub(crate) async fn load_verified<S: ImmutableObjects>(
    tiles: Tiles<'_, S>,
    head: TreeHead,
    nodes: impl IntoIterator<Item = Node>,
) -> Result<VerifiedTiles, ReadError> {
    let mut verified = VerifiedTiles::open(head, &edge_tiles(tiles, head.size()).await?)?;
    insert_missing(tiles, &mut verified, nodes).await?;
    Ok(verified)
}

/// Reads the tiles that `verified` lacks for these nodes.
pub(crate) async fn insert_missing<S: ImmutableObjects>(
    tiles: Tiles<'_, S>,
    verified: &mut VerifiedTiles,
    nodes: impl IntoIterator<Item = Node>,
) -> Result<(), ReadError> {
    let missing = stream::iter(verified.missing(nodes));
    let mut read = pin!(missing.map(|coord| read_tile(tiles, coord)).buffered(AT_ONCE));
    while let Some(tile) = read.next().await {
        verified.insert(tile?)?;
    }
    Ok(())
}

/// How many tiles are read side by side. A bucket takes its time for each.
const AT_ONCE: usize = 16;

/// The root hash that the tree had at an earlier size, which must not be above its own.
pub(crate) async fn load_root_at<S: ImmutableObjects>(
    tiles: Tiles<'_, S>,
    head: TreeHead,
    size: u64,
) -> Result<Hash, ReadError> {
    let nodes = Subtree::whole(size).into_iter().flat_map(Subtree::nodes);
    let verified = load_verified(tiles, head, nodes).await?;
    Ok(verified.root_at(size).expect("every tile for it was read"))
}

async fn read_tile<S: ImmutableObjects>(
    tiles: Tiles<'_, S>,
    coord: TileCoord,
) -> Result<HashTile, ReadError> {
    let later = TileCoord::in_tree(coord.level(), coord.index(), tiles.later).unwrap_or(coord);
    let (found, body) = read_first(tiles.store, [coord, later, coord.full()]).await?;
    let tile = HashTile::parse(found, &body)?;
    Ok(tile.prefix(coord.width()).expect("a later tile is wider"))
}

/// Reads the first of these resources that is there.
async fn read_first<C: Copy + PartialEq + ToString>(
    store: &impl ImmutableObjects,
    candidates: [C; 3],
) -> Result<(C, Bytes), ReadError> {
    let mut tried = None;
    for candidate in candidates {
        // One after the other, each wider than the one before or the same.
        if tried.replace(candidate) != Some(candidate)
            && let Some(body) = store.read(&object_path(&candidate)).await?
        {
            return Ok((candidate, body));
        }
    }
    Err(ReadError::Missing(object_path(&candidates[0])))
}
