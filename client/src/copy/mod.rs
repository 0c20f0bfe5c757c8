//! A verified copy of a log's tree in a store: what a backup, a recovery and a mirror have in common.
//!
//! The entries are read and verified bundle by bundle, and every tile is computed from them anew, so
//! that nothing gets into the copy that the log's root does not commit to. What comes out is exactly
//! what the tree implies: its full tiles and bundles, and the partial ones of its size.

mod mark;
mod pieces;
mod target;

use futures_util::future;
use kiln_storage::{ImmutableObjects, MutableObjects, ObjectPath, PutError, StorageError};
use kiln_tiles::{TILE_WIDTH, TreeHead};

use crate::client::Client;
use crate::error::{BadLog, ClientError};
use crate::find::Progress;
use crate::source::Source;
use crate::tree::Tree;
use pieces::Pieces;
use target::Target;

/// What a copy does about the objects that its target has already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Existing {
    /// The target has all of this tree (the empty one, where it is new), and only what comes after
    /// it is read and written.
    ///
    /// An object there that is another one is replaced by a store that can tear a write, as
    /// [`create`](ImmutableObjects::create) says; any other store refuses it: [`CopyError::Differs`].
    Keep(TreeHead),
    /// Any object may be there, be missing or be damaged. Each is read and verified; those that do not
    /// verify are fetched and replaced, on any store.
    Mend,
}

/// What [`Client::copy_into`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Copied {
    /// The tree, all of which is in the target, durably.
    pub head: TreeHead,
    /// The size at which copying began: what is below was there.
    pub from: u64,
    /// How many objects were written.
    pub objects: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

/// Why a tree was not copied whole. What was copied stays, and repeating the call goes on there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// What was to be copied cannot be read, or does not verify:
    /// [`is_bad_log`](ClientError::is_bad_log) tells which.
    #[error(transparent)]
    Source(#[from] ClientError),
    /// The target has another object under this name: another log, or a damaged one. Look which;
    /// [`Existing::Mend`] replaces it.
    #[error("{0} is in the target with other bytes: it is damaged there, or another log's")]
    Differs(ObjectPath),
    /// The target did not do its part. Repeat the call.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Somebody else writes to the target. See who, then repeat the call.
    #[error("{0} changed while it was written: somebody else writes to the target")]
    Contended(ObjectPath),
}

impl CopyError {
    fn put(path: &ObjectPath, error: PutError) -> Self {
        match error {
            PutError::Conflict => Self::Contended(path.clone()),
            PutError::Storage(error) => error.into(),
        }
    }
}

impl<S: Source + 'static> Client<S> {
    /// Copies the tree of `head`, which the newest tree known must extend or be, into a store: its
    /// tiles and bundles, nothing else.
    ///
    /// Bundles are read and verified [in parallel](crate::ClientBuilder::parallelism), and written
    /// oldest first, up to 16 MiB or 65,536 entries together, while the next are read; on a folder
    /// each such batch is one sync. Memory is bounded by two batches and by `parallelism` bundles.
    /// `progress` is called after each bundle.
    ///
    /// The call may end after any write; repeating it goes on:
    ///
    /// | it ends after | the target has |
    /// |---|---|
    /// | opening the mark, `private/copy` | what it had; the mark says how much of it is sure |
    /// | some objects of a batch | these as well. They may not be durable, so they are written anew |
    /// | a batch | all of the tree up to there, durably |
    /// | advancing the mark | the same, and the next call goes on behind it |
    ///
    /// No object replaces another that a reader of the target may use, unless that one is damaged. A
    /// checkpoint is not written: until its owner writes it, readers see the tree they saw before.
    ///
    /// # Errors
    /// [`BadLog::Inconsistent`] where the log is not an extension of `head`, or of what the target is
    /// said to have; else see [`CopyError`].
    pub async fn copy_into<T>(
        &self,
        store: &T,
        head: TreeHead,
        existing: Existing,
        mut progress: impl FnMut(Progress),
    ) -> Result<Copied, CopyError>
    where
        T: ImmutableObjects + MutableObjects + Clone + Send + Sync + 'static,
    {
        let tree = self.reaching(head.size()).await?.tree;
        require_prefix(&tree, head).await?;
        let mut target = Target::open(store, &tree, head, existing).await?;
        let from = target.kept() / TILE_WIDTH * TILE_WIDTH;
        let edge = tree.edge_at(from).await?;
        let mut pieces = Pieces::read(tree, edge, head, target.standing());
        let mut copied = Copied { head, from, objects: 0, bytes: 0 };
        let mut next = pieces.batch(&mut progress).await?;
        while let Some(batch) = next {
            let (written, following) = future::join(target.write(batch), pieces.batch(&mut progress)).await;
            let written = written?;
            copied.objects += written.objects;
            copied.bytes += written.bytes;
            next = following?;
        }
        target.close(head).await?;
        Ok(copied)
    }
}

/// The tree must be, or extend, the tree of `earlier`.
async fn require_prefix<S: Source>(tree: &Tree<S>, earlier: TreeHead) -> Result<(), ClientError> {
    if is_prefix(tree, earlier).await? {
        return Ok(());
    }
    Err(BadLog::Inconsistent { earlier, head: tree.head() }.into())
}

async fn is_prefix<S: Source>(tree: &Tree<S>, earlier: TreeHead) -> Result<bool, ClientError> {
    let within = earlier.size() <= tree.head().size();
    Ok(within && tree.root_at(earlier.size()).await? == Some(earlier.root()))
}
