//! Which tile of a right edge is at fault, when all that is known is that the root does not follow.
//!
//! Every partial tile follows from what lies below it: that of level 0 from a bundle, those above
//! from at most 255 full tiles each. The tile at fault is the one that, put right, makes the root
//! follow.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use kiln_tiles::{
    BundleCoord, EdgeError, EntryBundle, Hash, HashTile, RightEdge, TileCoord, TreeHead, partial_tiles,
};

use crate::error::{BadLog, ClientError, Fault};
use crate::fetch;
use crate::source::Source;

/// How many tiles are read at once.
const PARALLELISM: usize = 16;

/// The best that can be said about a right edge that does not hash to the root: the tile at fault,
/// the lowest that does not follow from what is below it, or that the root is another tree's.
pub(crate) async fn blame<S: Source>(source: &S, head: TreeHead, error: EdgeError) -> ClientError {
    match culprit(source, head).await {
        Ok(Some(tile)) => ClientError::damaged(tile.to_string(), Fault::Hash),
        Ok(None) => BadLog::Edge(error).into(),
        Err(error) => error,
    }
}

async fn culprit<S: Source>(source: &S, head: TreeHead) -> Result<Option<TileCoord>, ClientError> {
    let (read, published): (Vec<_>, Vec<_>) = edge(source, head).await?.into_iter().unzip();
    let mut suspect = None;
    for (place, tile) in published.iter().enumerate() {
        let below = from_below(source, tile.coord()).await?;
        if below == *tile {
            continue;
        }
        let mut mended = published.clone();
        mended[place] = below;
        if RightEdge::open(head, &mended).is_ok() {
            return Ok(Some(read[place]));
        }
        suspect = suspect.or(Some(read[place]));
    }
    Ok(suspect)
}

/// The partial tiles of a tree, each with the tile, maybe the full one, that was read for it.
async fn edge<S: Source>(source: &S, head: TreeHead) -> Result<Vec<(TileCoord, HashTile)>, ClientError> {
    let tiles = stream::iter(partial_tiles(head.size())).map(|coord| async move {
        let found = fetch::found(source, coord).await?;
        Ok((found.coord, fetch::parse_tile(coord, &found)?))
    });
    tiles.buffered(PARALLELISM).try_collect().await
}

/// A partial tile as it follows from the bundle or the tiles below it.
async fn from_below<S: Source>(source: &S, coord: TileCoord) -> Result<HashTile, ClientError> {
    let hashes = match coord.level() {
        0 => leaf_hashes(source, coord).await?,
        level => {
            let first = coord.index() * kiln_tiles::TILE_WIDTH;
            let children = first..first + u64::from(coord.width());
            let roots = stream::iter(children).map(|index| root(source, level - 1, index));
            roots.buffered(PARALLELISM).try_collect().await?
        }
    };
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
    HashTile::parse(coord, &bytes).map_err(|error| ClientError::damaged(coord.to_string(), error))
}

async fn leaf_hashes<S: Source>(source: &S, coord: TileCoord) -> Result<Vec<Hash>, ClientError> {
    let missing = || BadLog::Missing { path: coord.to_string() };
    let bundle = BundleCoord::new(coord.index(), coord.width()).ok_or_else(missing)?;
    let found = fetch::found(source, bundle).await?;
    let parsed = EntryBundle::parse(found.coord, &found.bytes);
    let parsed = parsed.map_err(|error| ClientError::damaged(found.coord.to_string(), error))?;
    Ok(parsed.prefix(coord.width()).ok_or_else(missing)?.leaf_hashes().collect())
}

/// The root of a full tile, as the tile above holds it.
async fn root<S: Source>(source: &S, level: u8, index: u64) -> Result<Hash, ClientError> {
    let missing = || BadLog::Missing { path: format!("tile {index} of level {level}") };
    let coord = TileCoord::new(level, index, 256).ok_or_else(missing)?;
    let tile = fetch::tile(source, coord).await?;
    Ok(coord.parent_node().and_then(|node| tile.node(node)).ok_or_else(missing)?)
}
