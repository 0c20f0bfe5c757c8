//! A register in a bucket: one object, replaced under the condition that it is the one last seen.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;

use super::attributes::unshared;
use super::failure::is_conflict;
use super::objects::{BucketVersion, Objects};
use crate::error::{StorageError, StorageErrorKind, SwapError};
use crate::store::{Loaded, MAX_OBJECT_SIZE, Register};

/// A register that is one object of a bucket. Empty means that the object is not there, so nobody may
/// delete it. Clones share it.
///
/// Reads and writes of single objects are linearizable on every store that it is meant for, and a
/// condition holds among all writers.
#[derive(Clone, Debug)]
pub struct BucketRegister {
    objects: Arc<Objects>,
    path: Path,
}

/// Leave to swap: the version that was last seen. Keeps nobody else out.
#[derive(Debug)]
pub struct BucketHeld(Option<BucketVersion>);

impl BucketRegister {
    pub(super) fn new(objects: Arc<Objects>, path: Path) -> Self {
        Self { objects, path }
    }
}

impl Register for BucketRegister {
    type Held = BucketHeld;

    async fn load(&self) -> Result<Loaded<BucketHeld>, StorageError> {
        let (value, version) = self.objects.get(&self.path).await?.unzip();
        Ok(Loaded { held: BucketHeld(version), value })
    }

    async fn swap(&self, held: BucketHeld, value: Bytes) -> Result<BucketHeld, SwapError> {
        if value.len() as u64 > MAX_OBJECT_SIZE {
            let name = self.objects.name(&self.path);
            return Err(StorageError::new(StorageErrorKind::TooLarge, "swap", &name, None).into());
        }
        match self.objects.replace(&self.path, value, unshared(), held.0).await {
            Ok(version) => Ok(BucketHeld(Some(version))),
            Err(error) if is_conflict(&error) => Err(SwapError::Conflict),
            Err(error) => Err(self.objects.failed("swap", &self.path, error).into()),
        }
    }
}
