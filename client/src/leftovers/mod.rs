//! What stands in a log's folder beside what the checkpoint implies: partial tiles and bundles of
//! earlier trees, which readers of these trees still ask for.

mod listing;

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use kiln_tiles::HashTile;

use crate::check::Checked;
use crate::client::Client;
use crate::error::{BadLog, ClientError, Fault};
use crate::fetch::{Coord, Found};
use crate::folder::FolderSource;
use crate::leaves::Leaves;
use crate::offload::offload;
use crate::source::Source;
use crate::tree::Tree;
use listing::{Listing, Object, Walk};

/// What [`Client::check_leftovers`] found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Leftovers {
    /// How many partial tiles of earlier trees are there. Each begins the tile that the tree has now.
    pub tiles: u64,
    /// How many partial bundles of earlier trees are there. Each begins the bundle that is there now.
    pub bundles: u64,
    /// Tiles and bundles beyond the checkpoint's tree, as a log writes them before it publishes.
    /// Nothing is said about what is in them.
    pub beyond: Files,
    /// Files that have no business below `tile/`: their path is none of a tile or bundle.
    pub unknown: Files,
}

/// Some files: how many, and the first few by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Files {
    /// How many there are.
    pub count: u64,
    /// The paths of at most [`Files::NAMED`] of them. A folder that is not looked into ends with a slash.
    pub first: Vec<String>,
}

impl Files {
    /// How many are named.
    pub const NAMED: usize = 10;

    fn push(&mut self, path: String) {
        self.count += 1;
        if self.first.len() < Self::NAMED {
            self.first.push(path);
        }
    }

    fn append(&mut self, other: Self) {
        self.count += other.count;
        let room = Self::NAMED - self.first.len();
        self.first.extend(other.first.into_iter().take(room));
    }
}

impl<S: Source + 'static> Client<S> {
    /// Verifies the partial tiles and bundles of earlier trees that are still in `folder`: each is to
    /// begin the tile or bundle that is there now. The current ones [`check_log`](Self::check_log)
    /// verified, whose answer this takes. Work is proportional to the files that there are; memory
    /// is bounded by [`parallelism`](crate::ClientBuilder::parallelism) files. What goes away meanwhile
    /// is no fault: a log may delete what a full tile stands for.
    ///
    /// # Errors
    /// [`ClientError::BadLog`] with the path of the first file that is damaged or different. Other
    /// errors say nothing about the log.
    pub async fn check_leftovers(
        &self,
        folder: &FolderSource,
        checked: &Checked,
    ) -> Result<Leftovers, ClientError> {
        let size = checked.checkpoint.head().size();
        let tree = self.reaching(size).await?.tree;
        let walk = Walk::new(folder.folder().to_owned(), size);
        let listings = stream::unfold(walk, |walk| offload(|| walk.step()));
        let checks = listings.map(|listing| {
            let tree = Arc::clone(&tree);
            async { check(tree, folder.clone(), listing?).await }
        });
        let mut checks = std::pin::pin!(checks.buffered(self.shared.reader.parallelism));
        let mut found = Leftovers::default();
        while let Some(one) = checks.next().await {
            found.append(one?);
        }
        Ok(found)
    }
}

impl Leftovers {
    fn append(&mut self, other: Self) {
        self.tiles += other.tiles;
        self.bundles += other.bundles;
        self.beyond.append(other.beyond);
        self.unknown.append(other.unknown);
    }
}

/// Checks what one folder holds: all of it belongs to one tile.
async fn check<S: Source>(
    tree: Arc<Tree<S>>,
    folder: FolderSource,
    listing: Listing,
) -> Result<Leftovers, ClientError> {
    let Listing { earlier, beyond, unknown } = listing;
    let mut found = Leftovers { beyond, unknown, ..Leftovers::default() };
    let Some(first) = earlier.first() else { return Ok(found) };
    let now = tree.tile(first.tile().level(), first.tile().index()).await?;
    offload(move || {
        for object in earlier {
            match object {
                Object::Tile(_) => found.tiles += u64::from(object.begins(&now, &folder)?),
                Object::Bundle(_) => found.bundles += u64::from(object.begins(&now, &folder)?),
            }
        }
        Ok(found)
    })
    .await
}

impl Object {
    /// Verifies that this file begins what the tree has now; `false` where it is gone.
    fn begins(self, now: &HashTile, folder: &FolderSource) -> Result<bool, ClientError> {
        let path = self.to_string();
        let prefix = now.prefix(self.tile().width()).ok_or(BadLog::Missing { path })?;
        match self {
            Self::Tile(coord) => {
                let Some(found) = read(folder, coord)? else { return Ok(false) };
                let damaged = |fault: Fault| ClientError::damaged(coord.to_string(), fault);
                let tile = HashTile::parse(coord, &found.bytes).map_err(|error| damaged(error.into()))?;
                if tile == prefix { Ok(true) } else { Err(damaged(Fault::Hash)) }
            }
            Self::Bundle(coord) => {
                let Some(found) = read(folder, coord)? else { return Ok(false) };
                Leaves::with_tile(coord, prefix).verify_bundle(&found).map(|_| true)
            }
        }
    }
}

fn read<C: Coord>(folder: &FolderSource, coord: C) -> Result<Option<Found<C>>, ClientError> {
    let path = coord.to_string();
    let read = folder.read(&path, coord.limit()).map_err(|error| ClientError::reading(path, error))?;
    Ok(read.map(|bytes| Found { coord, bytes }))
}
