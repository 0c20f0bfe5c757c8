//! Reading what is copied: verified bundles side by side, and the tiles above them in order.

use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt};
use kiln_storage::{ImmutableObjects, Object, ObjectPath};
use kiln_tiles::{BundleCoord, HashTile, RightEdge, TreeHead};

use crate::error::ClientError;
use crate::fetch::Found;
use crate::find::Progress;
use crate::leaves::{Hashed, Leaves};
use crate::offload::offload;
use crate::pipeline;
use crate::source::Source;
use crate::tree::Tree;

/// What is written together: so many bytes or so many entries, and what the last bundle is above it.
const BATCH_BYTES: usize = 16 << 20;
const BATCH_ENTRIES: u64 = 65_536;

/// Objects that belong together: what the tree implies at `end`, and did not at `start`.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) start: TreeHead,
    pub(super) end: TreeHead,
    /// Oldest first; without the bundles that stand in the target.
    pub(super) objects: Vec<Object>,
}

/// A verified bundle.
struct Piece {
    hashed: Hashed,
    /// Whether it stands in the target as it is.
    stands: bool,
}

/// Objects of the target that may be used where they verify: those of trees up to `size`.
pub(super) struct Standing<T> {
    pub(super) store: T,
    pub(super) size: u64,
}

/// The part of a tree that is to be copied.
pub(super) struct Pieces {
    bundles: BoxStream<'static, Result<Piece, ClientError>>,
    edge: RightEdge,
    head: TreeHead,
}

impl Pieces {
    /// From `edge`, which ends with a full tile, up to `head`.
    pub(super) fn read<S, T>(
        tree: Arc<Tree<S>>,
        edge: RightEdge,
        head: TreeHead,
        standing: Option<Standing<T>>,
    ) -> Self
    where
        S: Source + 'static,
        T: ImmutableObjects + Send + Sync + 'static,
    {
        let standing = standing.map(Arc::new);
        let starts = pipeline::starts(edge.size()..head.size());
        let bundles = pipeline::run(tree, starts, move |tree, leaves| {
            read(tree, leaves, standing.clone(), head.size())
        });
        Self { bundles: bundles.boxed(), edge, head }
    }

    /// The next objects; `None` at the end.
    pub(super) async fn batch(
        &mut self,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Option<Batch>, ClientError> {
        let start = self.edge.head();
        let (mut objects, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES && self.edge.size() - start.size() < BATCH_ENTRIES {
            let Some(piece) = self.bundles.next().await else { break };
            let before = objects.len();
            self.push(piece?, &mut objects);
            bytes += objects[before..].iter().map(|object| object.body.len()).sum::<usize>();
            progress(Progress { done: self.edge.size(), total: self.head.size() });
        }
        let end = self.edge.head();
        Ok((end != start).then_some(Batch { start, end, objects }))
    }

    /// A bundle, the tiles that it fills, and at the very end the partial tiles.
    fn push(&mut self, piece: Piece, objects: &mut Vec<Object>) {
        let Piece { hashed: Hashed { entries, tile }, stands } = piece;
        if !stands && let Some(bundle) = BundleCoord::holding(entries.start(), entries.end()) {
            objects.push(Object { path: object_path(&bundle), body: entries.framed() });
        }
        let tiles = self.edge.append(tile.hashes().iter().take(entries.len()).copied());
        objects.extend(tiles.iter().filter(|tile| tile.coord().is_full()).map(object));
        if self.edge.size() == self.head.size() {
            objects.extend(self.edge.tiles().map(|tile| object(&tile)));
        }
    }
}

fn object(tile: &HashTile) -> Object {
    Object { path: object_path(&tile.coord()), body: tile.to_bytes().into() }
}

fn object_path(resource: &impl ToString) -> ObjectPath {
    resource.to_string().parse().expect("the path of a tile or bundle is an object name")
}

/// What was read of a bundle.
enum Read {
    Stands(Hashed),
    Found(Leaves, Found<BundleCoord>),
}

/// Reads a bundle: the target's own where it verifies, else that of the log.
async fn read<S: Source, T: ImmutableObjects>(
    tree: Arc<Tree<S>>,
    leaves: Leaves,
    standing: Option<Arc<Standing<T>>>,
    size: u64,
) -> Result<impl FnOnce() -> Result<Piece, ClientError> + Send, ClientError> {
    let stands = match &standing {
        Some(standing) => standing.verified(&leaves, size).await,
        None => None,
    };
    let read = match stands {
        Some(hashed) => Read::Stands(hashed),
        None => {
            let found = tree.read_bundle(&leaves).await?;
            Read::Found(leaves, found)
        }
    };
    Ok(move || match read {
        Read::Stands(hashed) => Ok(Piece { hashed, stands: true }),
        Read::Found(leaves, found) => {
            let Hashed { entries, tile } = leaves.verify_hashed(&found)?;
            Ok(Piece { hashed: Hashed { entries: entries.within(&(0..size)), tile }, stands: false })
        }
    })
}

impl<T: ImmutableObjects> Standing<T> {
    /// The bundle as it stands in the target, where it is there, and right, in the width that a tree
    /// of `size` has. One that cannot be read now is fetched, and written if it can be.
    async fn verified(&self, leaves: &Leaves, size: u64) -> Option<Hashed> {
        let coord = leaves.bundle();
        let wanted = BundleCoord::holding(coord.start(), size)?;
        let end = coord.start() + u64::from(coord.width());
        if coord != wanted || end > self.size {
            return None;
        }
        let bytes = self.store.read(&object_path(&coord)).await.ok().flatten()?;
        let leaves = leaves.clone();
        offload(move || leaves.verify_hashed(&Found { coord, bytes }).ok()).await
    }
}
