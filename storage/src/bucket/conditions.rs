//! Whether a store keeps the conditions of writes, on which everything here rests.
//!
//! Some stores that speak S3 take the headers of a conditional write and do not look at them. In such a
//! store two writers would both commit, and neither would know.

use std::time::Duration;

use bytes::Bytes;
use object_store::Error;
use object_store::path::Path;

use super::Bucket;
use super::attributes::unshared;
use super::failure::{is_conflict, is_unknown};
use super::objects::{BucketVersion, Objects};
use super::url::BucketUrl;
use crate::error::StorageError;

/// Why a log must not live in a bucket.
#[derive(Debug, thiserror::Error)]
pub enum ConditionsError {
    /// An object was created where one stood.
    #[error(
        "{0} ignores the condition of creating an object only where there is none (If-None-Match): two \
         writers would overwrite each other there, so no log can live in it"
    )]
    CreateReplaces(BucketUrl),
    /// An object was replaced by the version that it had before.
    #[error(
        "{0} ignores the condition of replacing an object only while it is the one last seen (If-Match): \
         two writers would both commit there, so no log can live in it"
    )]
    StaleReplaces(BucketUrl),
    /// An object was not replaced, though its version was right.
    #[error(
        "{0} refuses to replace an object whose version is the one last seen (If-Match), so no log can live \
         in it"
    )]
    FreshRefused(BucketUrl),
    /// An object was written, and is not there.
    #[error("{0} does not show an object that was written to it, so no log can live in it")]
    NotSeen(BucketUrl),
    /// The store says itself that it has no conditional writes.
    #[error("{url} has no conditional writes, so no log can live in it")]
    Unknown {
        /// The store.
        url: BucketUrl,
        /// What it says.
        source: StorageError,
    },
    /// Nobody knows yet: try again.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Bucket {
    /// Checks that conditions of writes are kept, on the object `private/probe`, which stays. Run it at
    /// each start: a gateway may have come between. It takes six requests, and a second more on Google.
    ///
    /// `nonce` must never repeat, for the versions of equal bytes may be equal. Others may do the same at
    /// the same time.
    ///
    /// # Errors
    /// Names the store and the condition that it does not keep, or a failure that says nothing of it.
    pub async fn check_conditions(&self, nonce: [u8; 16]) -> Result<(), ConditionsError> {
        let path = self.objects.path(&"private/probe");
        let probe = Probe { objects: &self.objects, path, nonce: u128::from_be_bytes(nonce) };
        probe.exist().await?;
        probe.create_again().await?;
        let stale = probe.replace().await?;
        probe.replace_stale(stale).await
    }
}

/// How often a replacement may be refused while nothing changed. S3 refuses also while another write of
/// the same object is under way.
const REFUSALS: u32 = 5;

struct Probe<'a> {
    objects: &'a Objects,
    path: Path,
    nonce: u128,
}

impl Probe<'_> {
    /// What this probe writes, never twice the same.
    fn body(&self, what: &str, number: u32) -> Bytes {
        format!("{:032x} {what} {number}\n", self.nonce).into()
    }

    /// Afterwards the object is there for good, for nobody deletes it.
    async fn exist(&self) -> Result<(), ConditionsError> {
        let body = self.body("created", 0);
        match self.objects.create(&self.path, body, unshared()).await {
            Err(error) if !is_conflict(&error) => Err(self.failed(error)),
            _ => self.read().await.map(drop),
        }
    }

    async fn create_again(&self) -> Result<(), ConditionsError> {
        let body = self.body("created", 1);
        match self.objects.create(&self.path, body, unshared()).await {
            Ok(_) => Err(ConditionsError::CreateReplaces(self.url())),
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Replaces the object, and tells which version it had before. A conflict may be somebody else's
    /// success, or our own, whose answer was lost.
    async fn replace(&self) -> Result<BucketVersion, ConditionsError> {
        let mut refusals = 0;
        for number in 0.. {
            let (before, version) = self.read().await?;
            let body = self.body("replaced", number);
            let replaced =
                self.objects.replace(&self.path, body.clone(), unshared(), Some(version.clone())).await;
            match replaced {
                Ok(_) => return Ok(version),
                Err(error) if !is_conflict(&error) => return Err(self.failed(error)),
                Err(_) => {}
            }
            let (after, _) = self.read().await?;
            if after == body {
                return Ok(version);
            }
            refusals += u32::from(after == before);
            if refusals == REFUSALS {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100) * refusals).await;
        }
        Err(ConditionsError::FreshRefused(self.url()))
    }

    async fn replace_stale(&self, stale: BucketVersion) -> Result<(), ConditionsError> {
        let body = self.body("stale", 0);
        match self.objects.replace(&self.path, body, unshared(), Some(stale)).await {
            Ok(_) => Err(ConditionsError::StaleReplaces(self.url())),
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn read(&self) -> Result<(Bytes, BucketVersion), ConditionsError> {
        self.objects.get(&self.path).await?.ok_or_else(|| ConditionsError::NotSeen(self.url()))
    }

    fn url(&self) -> BucketUrl {
        self.objects.url.clone()
    }

    fn failed(&self, error: Error) -> ConditionsError {
        let unknown = is_unknown(&error);
        let source = self.objects.failed("probe", &self.path, error);
        if unknown { ConditionsError::Unknown { url: self.url(), source } } else { source.into() }
    }
}
