//! A log's store in a bucket of an object store: S3 and what speaks it, Google Cloud Storage, Azure.
//!
//! ```text
//! s3://bucket/prefix/        what a CDN may serve, by an allow-list, for head holds what is unpublished
//!     checkpoint             replaced if its version is the one last read
//!     log.json
//!     tile/...               created where none is, never replaced
//! s3://bucket/prefix/private/
//!     head                   the commit register, see [`BucketRegister`]
//!     probe                  see [`Bucket::check_conditions`]
//! ```
//!
//! A write whose answer was lost may have arrived, or may arrive later. Every write here carries a
//! condition that it fails once anything else was written, so none of them needs to be called back. One
//! that was sent twice may find itself in the way: after a conflict only a read tells whose it was.
//!
//! The credentials must allow to read, write and list. Without leave to list, S3 answers 403 and not
//! 404 for an object that is not there, so not even an empty log could be told from a forbidden one.

mod attributes;
mod conditions;
mod failure;
mod objects;
mod open;
mod pace;
mod partials;
mod register;
mod traffic;
mod transport;
mod url;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use prometheus_client::registry::Registry;

pub use conditions::ConditionsError;
pub use objects::BucketVersion;
pub use open::OpenBucketError;
pub use partials::BucketListing;
pub use register::{BucketHeld, BucketRegister};
pub use transport::Connector;
pub use url::{BucketUrl, Cloud, ParseBucketUrlError};

use self::attributes::attributes_of;
use self::failure::is_conflict;
use self::objects::Objects;
use self::pace::Pace;
use self::traffic::Traffic;
use crate::error::{CreateError, PutError, StorageError, StorageErrorKind};
use crate::path::ObjectPath;
use crate::store::{ImmutableObjects, MutableObjects, Object, Store};

/// How many objects are created side by side. A round at full load has some hundred of them, and each
/// takes tens of milliseconds.
const AT_ONCE: usize = 64;

/// A log's store in a bucket. Clones share it.
#[derive(Clone, Debug)]
pub struct Bucket {
    objects: Arc<Objects>,
    head: BucketRegister,
    traffic: Traffic,
}

impl Bucket {
    /// The store at a URL, over an object store of one's own.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, url: &BucketUrl) -> Self {
        Self::paced(store, url, Pace::of(url.cloud()), Traffic::default())
    }

    fn paced(store: Arc<dyn ObjectStore>, url: &BucketUrl, pace: Pace, traffic: Traffic) -> Self {
        let objects = Arc::new(Objects::new(store, url.clone(), pace));
        let head = BucketRegister::new(objects.clone(), objects.path(&"private/head"));
        Self { objects, head, traffic }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &BucketUrl {
        &self.objects.url
    }

    /// A register at a name of one's own: a guard, in a bucket that is not the log's.
    #[must_use]
    pub fn register(&self, path: &ObjectPath) -> BucketRegister {
        BucketRegister::new(self.objects.clone(), self.objects.path(path))
    }

    /// The name of an object that readers could see; `None` where there is none. A place for a new log
    /// has none. It takes one request, or two.
    ///
    /// # Errors
    /// As reads have.
    pub async fn any_public_object(&self) -> Result<Option<String>, StorageError> {
        let root = self.objects.path(&"");
        let private = self.objects.path(&"private");
        let mut names = self.objects.store.list(Some(&root));
        while let Some(found) = names.next().await {
            let name = found.map_err(|e| self.objects.failed("list", &root, e))?.location;
            if !name.prefix_matches(&private) {
                return Ok(Some(self.objects.name(&name)));
            }
        }
        Ok(None)
    }

    async fn create_one(&self, object: Object) -> Result<(), CreateError> {
        let path = self.objects.path(&object.path);
        let created = self.objects.create(&path, object.body.clone(), attributes_of(&object.path)).await;
        match created {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => self.compare(object).await,
            Err(error) => Err(self.objects.failed("create", &path, error).into()),
        }
    }

    /// What is in the way may be what was to be written: an earlier try, or a writer that recovers.
    async fn compare(&self, object: Object) -> Result<(), CreateError> {
        match self.read(&object.path).await? {
            Some(found) if found == object.body => Ok(()),
            Some(_) => Err(CreateError::Differs(object.path)),
            // S3 refuses also while another write of that name is under way. Who repeats the call will see.
            None => Err(StorageError::new(StorageErrorKind::Transient, "create", &object.path, None).into()),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.url.fmt(f)
    }
}

impl Store for Bucket {
    type Head = BucketRegister;

    fn head(&self) -> &BucketRegister {
        &self.head
    }

    fn register_metrics(&self, registry: &mut Registry) {
        self.traffic.register(registry);
    }
}

impl ImmutableObjects for Bucket {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        let each = stream::iter(objects).map(|object| self.create_one(object));
        each.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        Ok(self.read_version(path).await?.map(|(body, _)| body))
    }
}

impl MutableObjects for Bucket {
    type Version = BucketVersion;

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, BucketVersion)>, StorageError> {
        self.objects.get(&self.objects.path(path)).await
    }

    async fn put(
        &self,
        path: &ObjectPath,
        body: Bytes,
        expected: Option<BucketVersion>,
    ) -> Result<BucketVersion, PutError> {
        let at = self.objects.path(path);
        match self.objects.replace(&at, body, attributes_of(path), expected).await {
            Ok(version) => Ok(version),
            Err(error) if is_conflict(&error) => Err(PutError::Conflict),
            Err(error) => Err(self.objects.failed("replace", &at, error).into()),
        }
    }
}
