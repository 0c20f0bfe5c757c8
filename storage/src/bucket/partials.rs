//! Partial tiles and bundles in a bucket.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectMeta};

use super::Bucket;
use super::failure::is_bucket_missing;
use super::objects::Objects;
use crate::error::StorageError;
use crate::partials::{ENOUGH, PartialListing, PartialObjects, PartialPath};
use crate::path::ObjectPath;

/// A walk through the partial objects of a bucket: all that is below `tile/`, page by page.
pub struct BucketListing {
    objects: Arc<Objects>,
    found: BoxStream<'static, Result<ObjectMeta, Error>>,
}

impl std::fmt::Debug for BucketListing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketListing").field("objects", &self.objects).finish_non_exhaustive()
    }
}

impl PartialObjects for Bucket {
    type Listing = BucketListing;

    fn list_partials(&self) -> BucketListing {
        // Some streams of listings panic when they are asked again after their end.
        let found = self.objects.store.list(Some(&self.objects.path(&"tile"))).fuse().boxed();
        BucketListing { objects: self.objects.clone(), found }
    }

    async fn remove_partials(&self, paths: Vec<PartialPath>) -> Result<(), StorageError> {
        let all: Vec<_> = paths.iter().map(|path| Ok(self.objects.path(path))).collect();
        let mut removed = self.objects.store.delete_stream(stream::iter(all).boxed());
        while let Some(outcome) = removed.next().await {
            match outcome {
                Err(error @ Error::NotFound { .. }) if !is_bucket_missing(&error) => {}
                Err(error) => return Err(self.objects.failed("remove", &self.objects.path(&"tile"), error)),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

impl PartialListing for BucketListing {
    async fn next(&mut self) -> Result<Option<Vec<PartialPath>>, StorageError> {
        let mut batch = Vec::new();
        while batch.len() < ENOUGH {
            let next = self.found.try_next().await;
            let found = next.map_err(|e| self.objects.failed("list", &self.objects.path(&"tile"), e))?;
            let Some(found) = found else { break };
            batch.extend(self.objects.partial(&found.location));
        }
        Ok((!batch.is_empty()).then_some(batch))
    }
}

impl Objects {
    fn partial(&self, at: &Path) -> Option<PartialPath> {
        self.relative(at).parse::<ObjectPath>().ok()?.try_into().ok()
    }
}
