//! A store that is a bucket: what it holds, and the key of its log, which it never holds.

use kiln_storage::bucket::BucketUrl;
use kiln_storage::{Bucket, Register, StorageError, Store};
use kiln_tiles::KeyName;

use crate::failure::Failure;
use crate::keys::KeyArgs;
use crate::log_key::{GivenKey, LogKey};
use crate::store::Contents;

pub(super) async fn contents(bucket: &Bucket) -> Result<Contents, StorageError> {
    if bucket.head().load().await?.value.is_some() {
        return Ok(Contents::Log);
    }
    Ok(match bucket.any_public_object().await? {
        None => Contents::Nothing,
        Some(name) if name == "checkpoint" || name.starts_with("tile/") => Contents::PublicHalf,
        Some(_) => Contents::Other,
    })
}

/// The key that was given.
pub(super) async fn key(
    url: &BucketUrl,
    given: &KeyArgs,
    origin: Option<&KeyName>,
) -> Result<LogKey, Failure> {
    given_key(url, given)?.named(origin).await
}

pub(super) fn given_key(url: &BucketUrl, given: &KeyArgs) -> Result<GivenKey, Failure> {
    given.given()?.ok_or_else(|| {
        Failure::usage(format!(
            "no bucket holds a key, and so not {url}: give the log's key with --key FILE or in {} \
             (a new one is made by `kiln key new`), or where a cloud keeps it, --key awskms:///ARN or gcpkms://...",
            given.variable_name()
        ))
    })
}
