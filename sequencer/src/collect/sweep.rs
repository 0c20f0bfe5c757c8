//! A sweep: every partial object of a store is looked at once.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use kiln_storage::{
    ImmutableObjects, ObjectPath, PartialListing, PartialObjects, PartialPath, StorageError, StorageErrorKind,
};
use kiln_tiles::{OpenCheckpointError, TrustedLog};

use super::rule::Partial;
use crate::publish::checkpoint_path;

/// Why partial objects were not collected. Nothing is lost by it: another sweep finds them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The store did not answer, or does not let this process list or remove.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The checkpoint that stands in the store is not the log's.
    #[error("the published checkpoint: {0}")]
    Checkpoint(#[from] OpenCheckpointError),
    /// The store went back in time.
    #[error("the published checkpoint has size {found}, and one of size {known} was published before")]
    WentBack {
        /// The size that was seen published.
        known: u64,
        /// That of the checkpoint that stands there; 0 where there is none.
        found: u64,
    },
}

impl CollectError {
    /// Whether the store does not allow it. For a writer's role that deletes nothing this is as it should be.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Storage(error) if error.kind() == StorageErrorKind::Denied)
    }

    /// All that it may be called in metrics.
    pub(crate) const LABELS: [&'static str; 3] = ["denied", "storage", "checkpoint"];

    /// What it is called in metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Storage(_) if self.is_denied() => "denied",
            Self::Storage(_) => "storage",
            Self::Checkpoint(_) | Self::WentBack { .. } => "checkpoint",
        }
    }
}

/// A sweep of a store, or a part of one.
#[derive(Debug)]
pub struct Sweep<'a, S> {
    store: &'a S,
    log: &'a TrustedLog,
    aged: u64,
}

/// What a sweep found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Swept {
    /// How many partial objects were looked at.
    pub seen: u64,
    /// How many may go, or are gone.
    pub superseded: u64,
    /// How many of the others would go, were their full tile or bundle not missing: the log is damaged.
    pub orphans: u64,
    /// The full tile or bundle that was first found missing.
    pub missing: Option<ObjectPath>,
}

/// How many full objects are read at once, to see that they are there: up to 16 MiB each.
const READS_AT_ONCE: usize = 8;

impl<'a, S: PartialObjects + ImmutableObjects> Sweep<'a, S> {
    /// A sweep by a tree of the size `aged`, which has been the published one, or smaller than it, for the
    /// whole grace period.
    pub const fn new(store: &'a S, log: &'a TrustedLog, aged: u64) -> Self {
        Self { store, log, aged }
    }

    /// Removes what may go. `progress` is told what was done so far.
    ///
    /// # Errors
    /// Why it ended early. Repeating it is safe.
    pub async fn remove(&self, progress: impl FnMut(&Swept) + Send) -> Result<Swept, CollectError> {
        self.walk(true, progress).await
    }

    /// Counts what [`remove`](Self::remove) would remove.
    ///
    /// # Errors
    /// As there.
    pub async fn count(&self, progress: impl FnMut(&Swept) + Send) -> Result<Swept, CollectError> {
        self.walk(false, progress).await
    }

    async fn walk(
        &self,
        remove: bool,
        mut progress: impl FnMut(&Swept) + Send,
    ) -> Result<Swept, CollectError> {
        let (mut swept, mut listing) = (Swept::default(), self.store.list_partials());
        while let Some(batch) = listing.next().await? {
            let seen = batch.len() as u64;
            let superseded = self.with_full(batch, &mut swept).await?;
            let count = superseded.len() as u64;
            if remove && count > 0 {
                self.remove_all(superseded).await?;
            }
            swept.seen += seen;
            swept.superseded += count;
            progress(&swept);
        }
        Ok(swept)
    }

    /// Those that may go and are not the last copy of anything.
    ///
    /// What was published was durable. But a disk can lose it, and a copy of a log that somebody made by
    /// hand may never have had it: then a partial object is what is left to recover from.
    async fn with_full(
        &self,
        batch: Vec<PartialPath>,
        swept: &mut Swept,
    ) -> Result<Vec<PartialPath>, StorageError> {
        let mut by_full = BTreeMap::<ObjectPath, Vec<PartialPath>>::new();
        for path in batch {
            if let Some(partial) = Partial::named(&path).filter(|partial| partial.may_go(self.aged)) {
                by_full.entry(partial.full()).or_default().push(path);
            }
        }
        let look = async |(full, partials)| {
            let is_there = self.store.read(&full).await?.is_some();
            Ok::<_, StorageError>((full, partials, is_there))
        };
        let mut looked = stream::iter(by_full).map(look).buffer_unordered(READS_AT_ONCE);
        let mut superseded = Vec::new();
        while let Some((full, partials, is_there)) = looked.try_next().await? {
            if is_there {
                superseded.extend(partials);
            } else {
                swept.orphans += partials.len() as u64;
                swept.missing.get_or_insert(full);
            }
        }
        Ok(superseded)
    }

    /// Removes these, if what stands in the store is still what was seen published: an older copy, put back
    /// while this process ran, may have no other objects than these.
    pub(super) async fn remove_all(&self, paths: Vec<PartialPath>) -> Result<(), CollectError> {
        let standing = self.store.read(&checkpoint_path()).await?;
        let found = match standing {
            Some(note) => self.log.open(&note)?.head().size(),
            None => 0,
        };
        if found < self.aged {
            return Err(CollectError::WentBack { known: self.aged, found });
        }
        Ok(self.store.remove_partials(paths).await?)
    }
}
