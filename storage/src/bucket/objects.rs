//! Reading and writing single objects of a bucket, below a prefix.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Attributes, Error, GetOptions, GetResult, ObjectStore, PutMode, PutOptions, UpdateVersion,
};

use super::failure::{is_bucket_missing, storage_error};
use super::pace::Pace;
use super::url::BucketUrl;
use crate::error::{StorageError, StorageErrorKind};
use crate::store::MAX_OBJECT_SIZE;

/// Which state of an object was seen: an `ETag`, a generation. Equal bytes may have equal versions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketVersion(UpdateVersion);

/// The objects below a bucket's prefix.
#[derive(Debug)]
pub(super) struct Objects {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) url: BucketUrl,
    pace: Pace,
}

impl Objects {
    pub(super) fn new(store: Arc<dyn ObjectStore>, url: BucketUrl, pace: Pace) -> Self {
        Self { store, url, pace }
    }

    /// Where an object stands in the bucket.
    pub(super) fn path(&self, name: &dyn fmt::Display) -> Path {
        Path::from(format!("{}/{name}", self.url.prefix()))
    }

    /// Reads an object; `None` where there is none in the bucket.
    pub(super) async fn get(&self, path: &Path) -> Result<Option<(Bytes, BucketVersion)>, StorageError> {
        let found = match self.store.get_opts(path, GetOptions::default()).await {
            Err(error @ Error::NotFound { .. }) if !is_bucket_missing(&error) => return Ok(None),
            found => found.map_err(|e| self.failed("read", path, e))?,
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let body = self.collect(path, found).await?;
        Ok(Some((body, BucketVersion(version))))
    }

    /// The body, which is not begun where its length says too much already, and never exceeds it.
    async fn collect(&self, path: &Path, found: GetResult) -> Result<Bytes, StorageError> {
        let too_large = || StorageError::new(StorageErrorKind::TooLarge, "read", &self.name(path), None);
        let size = found.meta.size;
        if size > MAX_OBJECT_SIZE {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(usize::try_from(size).map_err(|_| too_large())?);
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|e| self.failed("read", path, e))? {
            if (body.len() + chunk.len()) as u64 > size {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        if body.len() as u64 == size { Ok(body.into()) } else { Err(self.cut_short(path)) }
    }

    fn cut_short(&self, path: &Path) -> StorageError {
        let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        StorageError::new(StorageErrorKind::Transient, "read", &self.name(path), Some(source.into()))
    }

    /// Creates an object. Whether one is there already is for the caller to tell from the error.
    pub(super) async fn create(
        &self,
        path: &Path,
        body: Bytes,
        attributes: Attributes,
    ) -> Result<BucketVersion, Error> {
        self.put(path, body, attributes, PutMode::Create).await
    }

    /// Replaces an object that has this version, or creates it where `expected` is `None`, in its turn.
    pub(super) async fn replace(
        &self,
        path: &Path,
        body: Bytes,
        attributes: Attributes,
        expected: Option<BucketVersion>,
    ) -> Result<BucketVersion, Error> {
        let mode = expected.map_or(PutMode::Create, |BucketVersion(version)| PutMode::Update(version));
        self.pace.take_turn(path).await;
        self.put(path, body, attributes, mode).await
    }

    async fn put(
        &self,
        path: &Path,
        body: Bytes,
        attributes: Attributes,
        mode: PutMode,
    ) -> Result<BucketVersion, Error> {
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        let done = self.store.put_opts(path, body.into(), options).await?;
        Ok(BucketVersion(done.into()))
    }

    /// What an error means for an operation on an object.
    pub(super) fn failed(&self, operation: &'static str, path: &Path, error: Error) -> StorageError {
        storage_error(operation, &self.name(path), error)
    }

    /// An object as a person would name it.
    pub(super) fn name(&self, path: &Path) -> String {
        format!("{}/{}", self.url, self.relative(path))
    }

    /// The name of an object, below the prefix.
    pub(super) fn relative<'a>(&self, path: &'a Path) -> &'a str {
        let path = path.as_ref();
        path.strip_prefix(self.url.prefix()).unwrap_or(path).trim_start_matches('/')
    }
}
