//! The store that is copied into.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use kiln_storage::{CreateError, ImmutableObjects, MutableObjects, Object, ObjectPath, StorageError};
use kiln_tiles::{BundleCoord, TILE_WIDTH, TreeHead};

use super::mark::{Mark, Marker};
use super::pieces::{Batch, Standing};
use super::{CopyError, Existing, is_prefix, require_prefix};
use crate::source::Source;
use crate::tree::Tree;

/// The store that is copied into, and what is known of it.
pub(super) struct Target<'a, T: MutableObjects> {
    store: &'a T,
    marker: Marker<'a, T>,
    head: TreeHead,
    /// All of the tree of this size is there.
    kept: u64,
    /// Objects of trees up to this size are durable, where they are there and right; `None` where
    /// all are written.
    mends: Option<u64>,
}

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) objects: u64,
    pub(super) bytes: u64,
}

/// How many objects of a batch are compared at once.
const COMPARED_AT_ONCE: usize = 16;

/// How often a batch is tried in which an object turns out to differ.
const TRIES: usize = 3;

impl<'a, T: ImmutableObjects + MutableObjects + Clone> Target<'a, T> {
    /// Reads the mark: what an earlier copy is sure of need not be copied again, and what an
    /// interrupted one wrote beyond that may be seen without being durable.
    pub(super) async fn open<S: Source>(
        store: &'a T,
        tree: &Tree<S>,
        head: TreeHead,
        existing: Existing,
    ) -> Result<Self, CopyError> {
        let marker = Marker::read(store).await?;
        let done = match marker.mark {
            Some(mark) if mark.done.size() <= head.size() && is_prefix(tree, mark.done).await? => {
                mark.done.size()
            }
            _ => 0,
        };
        let (kept, mends) = match existing {
            Existing::Mend => {
                let interrupted = marker.mark.is_some_and(|mark| mark.is_open());
                (0, Some(if interrupted { done } else { u64::MAX }))
            }
            Existing::Keep(since) => {
                require_prefix(tree, since).await?;
                (since.size().max(reached(store, done).await?).min(head.size()), None)
            }
        };
        Ok(Self { store, marker, head, kept, mends })
    }

    /// The size of the tree that is there already.
    pub(super) const fn kept(&self) -> u64 {
        self.kept
    }

    /// What of it may be used where it verifies.
    pub(super) fn standing(&self) -> Option<Standing<T>> {
        self.mends.map(|size| Standing { store: self.store.clone(), size })
    }

    /// Makes the objects of a batch exist, durably, as far as they do not. The mark is open before the
    /// first is written, and says so when all are.
    pub(super) async fn write(&mut self, batch: Batch) -> Result<Written, CopyError> {
        let Batch { start, end, objects } = batch;
        let objects = match self.mends {
            Some(durable) if end.size() <= durable => self.missing(objects).await?,
            _ => objects,
        };
        if objects.is_empty() {
            return Ok(Written::default());
        }
        let bytes = objects.iter().map(|object| object.body.len() as u64).sum();
        let written = Written { objects: objects.len() as u64, bytes };
        self.marker.set(Mark { done: start, of: self.head }).await?;
        self.create(objects).await?;
        self.marker.set(Mark { done: end, of: self.head }).await?;
        Ok(written)
    }

    /// Everything is there.
    pub(super) async fn close(mut self, head: TreeHead) -> Result<(), CopyError> {
        match self.marker.mark {
            Some(mark) if mark.is_open() => self.marker.set(Mark { done: head, of: head }).await,
            _ => Ok(()),
        }
    }

    /// Those of the objects that are not there, or are others.
    async fn missing(&self, objects: Vec<Object>) -> Result<Vec<Object>, StorageError> {
        let compared = stream::iter(objects).map(|object| async move {
            let stands = self.store.read(&object.path).await?.is_some_and(|body| body == object.body);
            Ok::<_, StorageError>((!stands).then_some(object))
        });
        compared
            .buffered(COMPARED_AT_ONCE)
            .try_filter_map(|missing| async move { Ok(missing) })
            .try_collect()
            .await
    }

    async fn create(&self, objects: Vec<Object>) -> Result<(), CopyError> {
        let mut tries = 1;
        loop {
            match self.store.create(objects.clone()).await {
                Ok(()) => return Ok(()),
                Err(CreateError::Storage(error)) => return Err(error.into()),
                Err(CreateError::Differs(_)) if self.mends.is_some() && tries < TRIES => {
                    self.replace(&objects).await?;
                }
                Err(CreateError::Differs(path)) => return Err(CopyError::Differs(path)),
            }
            tries += 1;
        }
    }

    /// Replaces those of the objects that are there with other bytes, on a store whose `create` does
    /// not: what is written instead was verified.
    async fn replace(&self, objects: &[Object]) -> Result<(), CopyError> {
        for Object { path, body } in objects {
            let found = self.store.read_version(path).await?;
            if let Some((_, version)) = found.filter(|(found, _)| found != body) {
                let put = self.store.put(path, body.clone(), Some(version)).await;
                put.map_err(|error| CopyError::put(path, error))?;
            }
        }
        Ok(())
    }
}

/// How far the target was copied, unless somebody has taken its bundles away since.
async fn reached(store: &impl ImmutableObjects, done: u64) -> Result<u64, StorageError> {
    let last = (done / TILE_WIDTH * TILE_WIDTH).checked_sub(1);
    let Some(last) = last.and_then(|last| BundleCoord::holding(last, done)) else { return Ok(0) };
    let path: ObjectPath = last.to_string().parse().expect("the path of a bundle is an object name");
    Ok(if store.read(&path).await?.is_some() { done } else { 0 })
}
