//! Reads the log's own tiles and bundles back from its store, and believes none that does not hash
//! to what the caller knows.

use bytes::Bytes;
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

/// The tree that `head` describes, ready to grow: its edge, and the entries of its last bundle.
/// Falls back from partial tiles to the full ones that replaced them.
pub(crate) async fn load_tree(store: &impl ImmutableObjects, head: TreeHead) -> Result<Tree, ReadError> {
    let edge = load_edge(store, head).await?;
    let last = head.size().checked_sub(1).and_then(|last| BundleCoord::holding(last, head.size()));
    match last.filter(|bundle| !bundle.is_full()) {
        Some(bundle) => Ok(Tree::from_parts(edge, load_partial_bundle(store, head, bundle).await?)),
        None => Ok(Tree::from_parts(edge, Vec::new())),
    }
}

async fn load_edge(store: &impl ImmutableObjects, head: TreeHead) -> Result<RightEdge, ReadError> {
    Ok(RightEdge::open(head, &edge_tiles(store, head.size()).await?)?)
}

async fn edge_tiles(store: &impl ImmutableObjects, size: u64) -> Result<Vec<HashTile>, ReadError> {
    let mut tiles = Vec::new();
    for coord in partial_tiles(size) {
        tiles.push(read_tile(store, coord).await?);
    }
    Ok(tiles)
}

async fn load_partial_bundle(
    store: &impl ImmutableObjects,
    head: TreeHead,
    coord: BundleCoord,
) -> Result<Vec<u8>, ReadError> {
    let bytes = read_widest(store, &coord, coord.is_full(), &coord.full()).await?;
    let path = object_path(&coord);
    let found = if bytes.full { coord.full() } else { coord };
    let bundle = EntryBundle::parse(found, &bytes.body).map_err(|e| ReadError::Bundle(path.clone(), e))?;
    let bundle = bundle.prefix(coord.width()).expect("a full bundle has every width");
    let leaves = read_tile(store, coord.leaf_tile()).await?;
    if !bundle.leaf_hashes().eq(leaves.hashes().iter().copied()) {
        return Err(ReadError::Entries(path));
    }
    debug_assert_eq!(bundle.coord().start() + u64::from(coord.width()), head.size());
    let mut framed = Vec::new();
    bundle.entries().iter().for_each(|entry| push_entry(&mut framed, entry).expect("read with its length"));
    Ok(framed)
}

/// The tiles of the tree that `head` describes, as far as these nodes need them.
pub(crate) async fn load_verified(
    store: &impl ImmutableObjects,
    head: TreeHead,
    nodes: impl IntoIterator<Item = Node>,
) -> Result<VerifiedTiles, ReadError> {
    let mut verified = VerifiedTiles::open(head, &edge_tiles(store, head.size()).await?)?;
    insert_missing(store, &mut verified, nodes).await?;
    Ok(verified)
}

/// Reads the tiles that `verified` lacks for these nodes.
pub(crate) async fn insert_missing(
    store: &impl ImmutableObjects,
    verified: &mut VerifiedTiles,
    nodes: impl IntoIterator<Item = Node>,
) -> Result<(), ReadError> {
    for coord in verified.missing(nodes) {
        verified.insert(read_tile(store, coord).await?)?;
    }
    Ok(())
}

/// The root hash that the tree had at an earlier size, which must not be above its own.
pub(crate) async fn load_root_at(
    store: &impl ImmutableObjects,
    head: TreeHead,
    size: u64,
) -> Result<Hash, ReadError> {
    let nodes = Subtree::whole(size).into_iter().flat_map(Subtree::nodes);
    let verified = load_verified(store, head, nodes).await?;
    Ok(verified.root_at(size).expect("every tile for it was read"))
}

async fn read_tile(store: &impl ImmutableObjects, coord: TileCoord) -> Result<HashTile, ReadError> {
    let bytes = read_widest(store, &coord, coord.is_full(), &coord.full()).await?;
    let tile = HashTile::parse(if bytes.full { coord.full() } else { coord }, &bytes.body)?;
    Ok(tile.prefix(coord.width()).expect("a full tile has every width"))
}

struct Widest {
    body: Bytes,
    full: bool,
}

/// Reads a tile or bundle; where a partial one is gone, the full one that replaced it.
async fn read_widest(
    store: &impl ImmutableObjects,
    wanted: &impl ToString,
    wanted_is_full: bool,
    full: &impl ToString,
) -> Result<Widest, ReadError> {
    let path = object_path(wanted);
    if let Some(body) = store.read(&path).await? {
        return Ok(Widest { body, full: wanted_is_full });
    }
    let found = if wanted_is_full { None } else { store.read(&object_path(full)).await? };
    found.map(|body| Widest { body, full: true }).ok_or(ReadError::Missing(path))
}
