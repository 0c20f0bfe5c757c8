//! A folder or a bucket, chosen when the program runs.

use std::fmt;

use bytes::Bytes;
use prometheus_client::registry::Registry;

use crate::bucket::{Bucket, BucketHeld, BucketListing, BucketRegister, BucketVersion};
use crate::error::{CreateError, PutError, StorageError, SwapError};
use crate::folder::{Folder, FolderHeld, FolderListing, FolderRegister};
use crate::partials::{PartialListing, PartialObjects, PartialPath};
use crate::path::ObjectPath;
use crate::store::{ImmutableObjects, Loaded, MutableObjects, Object, Register, Store};

/// A log's store of either kind. Clones share it.
#[derive(Clone, Debug)]
pub struct AnyStore {
    kind: Kind,
    head: AnyRegister,
}

#[derive(Clone, Debug)]
enum Kind {
    Folder(Folder),
    Bucket(Bucket),
}

/// A register of either kind: a head, or a guard. Clones share it.
#[derive(Clone, Debug)]
pub enum AnyRegister {
    /// In a folder.
    Folder(FolderRegister),
    /// In a bucket.
    Bucket(BucketRegister),
}

/// Leave to swap a register of either kind.
#[derive(Debug)]
pub enum AnyHeld {
    /// Of one in a folder.
    Folder(FolderHeld),
    /// Of one in a bucket.
    Bucket(BucketHeld),
}

/// The version of an object in a store of either kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AnyVersion {
    /// In a folder.
    Folder([u8; 32]),
    /// In a bucket.
    Bucket(BucketVersion),
}

/// A walk through the partial objects of a store of either kind.
#[derive(Debug)]
pub enum AnyListing {
    /// Of one in a folder.
    Folder(FolderListing),
    /// Of one in a bucket.
    Bucket(BucketListing),
}

impl AnyStore {
    /// The folder, where it is one.
    #[must_use]
    pub const fn as_folder(&self) -> Option<&Folder> {
        match &self.kind {
            Kind::Folder(folder) => Some(folder),
            Kind::Bucket(_) => None,
        }
    }

    /// The bucket, where it is one.
    #[must_use]
    pub const fn as_bucket(&self) -> Option<&Bucket> {
        match &self.kind {
            Kind::Folder(_) => None,
            Kind::Bucket(bucket) => Some(bucket),
        }
    }
}

impl From<Folder> for AnyStore {
    fn from(folder: Folder) -> Self {
        Self { head: folder.head().clone().into(), kind: Kind::Folder(folder) }
    }
}

impl From<Bucket> for AnyStore {
    fn from(bucket: Bucket) -> Self {
        Self { head: bucket.head().clone().into(), kind: Kind::Bucket(bucket) }
    }
}

impl From<FolderRegister> for AnyRegister {
    fn from(register: FolderRegister) -> Self {
        Self::Folder(register)
    }
}

impl From<BucketRegister> for AnyRegister {
    fn from(register: BucketRegister) -> Self {
        Self::Bucket(register)
    }
}

/// Where it is, for people.
impl fmt::Display for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Folder(folder) => folder.root().display().fmt(f),
            Kind::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl Store for AnyStore {
    type Head = AnyRegister;

    fn head(&self) -> &AnyRegister {
        &self.head
    }

    fn is_exclusive(&self) -> bool {
        match &self.kind {
            Kind::Folder(folder) => folder.is_exclusive(),
            Kind::Bucket(bucket) => bucket.is_exclusive(),
        }
    }

    fn register_metrics(&self, registry: &mut Registry) {
        match &self.kind {
            Kind::Folder(folder) => folder.register_metrics(registry),
            Kind::Bucket(bucket) => bucket.register_metrics(registry),
        }
    }
}

impl ImmutableObjects for AnyStore {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        match &self.kind {
            Kind::Folder(folder) => folder.create(objects).await,
            Kind::Bucket(bucket) => bucket.create(objects).await,
        }
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        match &self.kind {
            Kind::Folder(folder) => folder.read(path).await,
            Kind::Bucket(bucket) => bucket.read(path).await,
        }
    }
}

impl MutableObjects for AnyStore {
    type Version = AnyVersion;

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, AnyVersion)>, StorageError> {
        Ok(match &self.kind {
            Kind::Folder(folder) => {
                folder.read_version(path).await?.map(|(body, version)| (body, AnyVersion::Folder(version)))
            }
            Kind::Bucket(bucket) => {
                bucket.read_version(path).await?.map(|(body, version)| (body, AnyVersion::Bucket(version)))
            }
        })
    }

    async fn put(
        &self,
        path: &ObjectPath,
        body: Bytes,
        expected: Option<AnyVersion>,
    ) -> Result<AnyVersion, PutError> {
        // A version that another kind of store gave is of no state that this one ever had.
        match (&self.kind, expected) {
            (Kind::Folder(folder), None) => folder.put(path, body, None).await.map(AnyVersion::Folder),
            (Kind::Folder(folder), Some(AnyVersion::Folder(version))) => {
                folder.put(path, body, Some(version)).await.map(AnyVersion::Folder)
            }
            (Kind::Bucket(bucket), None) => bucket.put(path, body, None).await.map(AnyVersion::Bucket),
            (Kind::Bucket(bucket), Some(AnyVersion::Bucket(version))) => {
                bucket.put(path, body, Some(version)).await.map(AnyVersion::Bucket)
            }
            _ => Err(PutError::Conflict),
        }
    }
}

impl PartialObjects for AnyStore {
    type Listing = AnyListing;

    fn list_partials(&self) -> AnyListing {
        match &self.kind {
            Kind::Folder(folder) => AnyListing::Folder(folder.list_partials()),
            Kind::Bucket(bucket) => AnyListing::Bucket(bucket.list_partials()),
        }
    }

    async fn remove_partials(&self, paths: Vec<PartialPath>) -> Result<(), StorageError> {
        match &self.kind {
            Kind::Folder(folder) => folder.remove_partials(paths).await,
            Kind::Bucket(bucket) => bucket.remove_partials(paths).await,
        }
    }
}

impl PartialListing for AnyListing {
    async fn next(&mut self) -> Result<Option<Vec<PartialPath>>, StorageError> {
        match self {
            Self::Folder(listing) => listing.next().await,
            Self::Bucket(listing) => listing.next().await,
        }
    }
}

impl Register for AnyRegister {
    type Held = AnyHeld;

    async fn load(&self) -> Result<Loaded<AnyHeld>, StorageError> {
        Ok(match self {
            Self::Folder(register) => register.load().await?.map_held(AnyHeld::Folder),
            Self::Bucket(register) => register.load().await?.map_held(AnyHeld::Bucket),
        })
    }

    async fn swap(&self, held: AnyHeld, value: Bytes) -> Result<AnyHeld, SwapError> {
        match (self, held) {
            (Self::Folder(register), AnyHeld::Folder(held)) => {
                register.swap(held, value).await.map(AnyHeld::Folder)
            }
            (Self::Bucket(register), AnyHeld::Bucket(held)) => {
                register.swap(held, value).await.map(AnyHeld::Bucket)
            }
            _ => Err(SwapError::Conflict), // leave to swap another register
        }
    }
}

impl<Held> Loaded<Held> {
    fn map_held<Other>(self, other: impl FnOnce(Held) -> Other) -> Loaded<Other> {
        Loaded { held: other(self.held), value: self.value }
    }
}
