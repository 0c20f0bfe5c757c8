//! What stands in a store, as the checker sees it and as a reader would.

use std::sync::Arc;

use bytes::Bytes;
use kiln_storage::{CreateError, ImmutableObjects, Object, ObjectPath, StorageError};

use super::bucket::{Bucket, Which};
use super::checker::Eye;
use super::process::Place;

impl Eye for Bucket {
    fn object(&self, path: &ObjectPath) -> Option<Bytes> {
        self.contents().objects.get(path.as_str()).cloned()
    }

    fn head(&self) -> Option<Bytes> {
        self.contents().register(Which::Head)
    }

    fn guard(&self, number: usize) -> Option<Bytes> {
        self.contents().register(Which::Guard(number))
    }
}

/// A reader, whose calls never fail.
pub(crate) struct Reader(Arc<dyn Eye>);

impl Reader {
    pub(crate) fn of(place: &Place) -> Self {
        match place {
            Place::Bucket(bucket) => Self(bucket.clone()),
            Place::Machine(disk) => Self(Arc::new(disk.clone())),
        }
    }
}

impl ImmutableObjects for Reader {
    async fn create(&self, _: Vec<Object>) -> Result<(), CreateError> {
        unreachable!("a reader makes nothing")
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.object(path))
    }
}
