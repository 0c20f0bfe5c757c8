//! Entry bundles on their way to readers: up to 16 MiB each, and held until the slowest has it all.
//!
//! So their bytes are counted, and all who read one bundle share one copy. Everything else that a log
//! serves is a few KiB, which the number of connections bounds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use kiln_http::{ByteBudget, EntityTag, Share, etag_of};
use kiln_storage::{ImmutableObjects, StorageError};
use kiln_tiles::{BundleCoord, MAX_ENTRY_SIZE};
use tokio::time::timeout;

use crate::tree::object_path;

/// The bundles that are being sent.
#[derive(Debug)]
pub(super) struct Bundles {
    budget: ByteBudget,
    patience: Duration,
    sent: Mutex<HashMap<BundleCoord, Weak<Sent>>>,
}

/// A bundle that some answer carries. Its bytes count until the last such answer is gone.
#[derive(Debug)]
struct Sent {
    body: Bytes,
    etag: EntityTag,
    _share: Share,
}

/// The body of an answer.
struct Carried(Arc<Sent>);

impl AsRef<[u8]> for Carried {
    fn as_ref(&self) -> &[u8] {
        &self.0.body
    }
}

/// Why a bundle cannot be had now.
#[derive(Debug, thiserror::Error)]
pub(super) enum BundleError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("too many entry bundles are on their way to readers")]
    Crowded,
}

impl Bundles {
    pub(super) fn new(bytes: usize, patience: Duration) -> Self {
        Self { budget: ByteBudget::new(bytes), patience, sent: Mutex::default() }
    }

    /// A bundle and its name; `None` where there is none.
    pub(super) async fn read(
        &self,
        store: &impl ImmutableObjects,
        coord: BundleCoord,
    ) -> Result<Option<(Bytes, EntityTag)>, BundleError> {
        if let Some(sent) = self.find(coord) {
            return Ok(Some(carried(sent)));
        }
        // How long it is shows only once it is read.
        let reserved = timeout(self.patience, self.budget.share(most_bytes(coord))).await;
        let mut share = reserved.map_err(|_| BundleError::Crowded)?;
        // Whoever was waited for may have read the same one.
        if let Some(sent) = self.find(coord) {
            return Ok(Some(carried(sent)));
        }
        let Some(body) = store.read(&object_path(&coord)).await? else { return Ok(None) };
        share.shrink_to(body.len());
        let sent = Sent { etag: etag_of(&body), body, _share: share };
        Ok(Some(carried(self.keep(coord, sent))))
    }

    fn find(&self, coord: BundleCoord) -> Option<Arc<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).get(&coord)?.upgrade()
    }

    /// Shares a bundle, unless another reader was first: then theirs is the copy that stays.
    fn keep(&self, coord: BundleCoord, read: Sent) -> Arc<Sent> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = sent.get(&coord).and_then(Weak::upgrade) {
            return first;
        }
        let read = Arc::new(read);
        sent.retain(|_, sent| sent.strong_count() > 0);
        sent.insert(coord, Arc::downgrade(&read));
        read
    }
}

fn carried(sent: Arc<Sent>) -> (Bytes, EntityTag) {
    let etag = sent.etag.clone();
    (Bytes::from_owner(Carried(sent)), etag)
}

/// Each entry stands behind its length, two bytes.
fn most_bytes(coord: BundleCoord) -> usize {
    usize::from(coord.width()) * (2 + MAX_ENTRY_SIZE)
}
