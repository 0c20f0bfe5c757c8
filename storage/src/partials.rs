//! Partial tiles and bundles, which full ones supersede: for whoever collects them.

use std::fmt;
use std::future::Future;

use crate::error::StorageError;
use crate::path::ObjectPath;

/// The name of a partial tile or bundle: `tile/<L>/<N>.p/<W>` or `tile/entries/<N>.p/<W>`.
///
/// Only such an object can be removed from a store.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PartialPath(ObjectPath);

/// The object is no partial tile or bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the name of a partial tile or bundle: tile/<L>/<N>.p/<W>")]
pub struct PartialPathError;

/// The partial objects of a store. This is no part of [`Store`](crate::Store): a writer deletes nothing,
/// and its credentials need not allow it.
///
/// *Which* of them may go is the caller's to decide, for a store knows nothing of trees: those whose full
/// tile or bundle is durable, once the checkpoint before the current one covers it, and a minute later.
/// One that is removed can come back, by a write that arrives late or a writer that recovers, and may be
/// removed again.
pub trait PartialObjects: Send + Sync {
    /// A walk through the partial objects.
    type Listing: PartialListing;

    /// Begins to list them.
    fn list_partials(&self) -> Self::Listing;

    /// Removes these objects. One that is gone already is fine, and so is one that is being read.
    ///
    /// After an error some are gone; repeating the call is safe. An error of the kind
    /// [`Denied`](crate::StorageErrorKind::Denied) means that the credentials do not allow it.
    fn remove_partials(
        &self,
        paths: Vec<PartialPath>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;
}

/// A walk through the partial objects of a store, in no order, in batches of at most
/// [`MAX_BATCH`](Self::MAX_BATCH). It holds little more than one of them.
///
/// It names each object once that is there all the time, and may name one that comes or goes meanwhile.
/// A bucket takes one request for each thousand tiles, full ones included; a folder is read folder by
/// folder.
pub trait PartialListing: Send {
    /// The most names in a batch.
    const MAX_BATCH: usize = 2000;

    /// The next batch, which is not empty; `None` at the end. After an error begin a new listing.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<PartialPath>>, StorageError>> + Send;
}

/// When a batch is full enough. The partial tiles of one index, 255 at most, may still come on top.
pub(crate) const ENOUGH: usize = 1000;

impl PartialPath {
    /// The name.
    #[must_use]
    pub const fn as_path(&self) -> &ObjectPath {
        &self.0
    }
}

impl TryFrom<ObjectPath> for PartialPath {
    type Error = PartialPathError;

    fn try_from(path: ObjectPath) -> Result<Self, PartialPathError> {
        let mut elements = path.as_str().rsplit('/');
        let width = elements.next().is_some_and(is_width);
        let folder = elements.next().is_some_and(|folder| folder.ends_with(".p"));
        let is_partial = width && folder && path.as_str().starts_with("tile/");
        if is_partial { Ok(Self(path)) } else { Err(PartialPathError) }
    }
}

/// 1 to 255 in canonical decimal.
fn is_width(text: &str) -> bool {
    text.parse::<u8>().is_ok_and(|width| width > 0 && width.to_string() == text)
}

impl fmt::Display for PartialPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_partial_tiles_and_bundles_can_be_removed() {
        let partial = |path: &str| PartialPath::try_from(path.parse::<ObjectPath>().unwrap()).is_ok();
        for good in ["tile/0/000.p/1", "tile/63/x001/234.p/255", "tile/entries/000.p/12"] {
            assert!(partial(good), "{good}");
        }
        for bad in [
            "checkpoint",
            "private/head",
            "private/000.p/1",
            "tile/0/000",
            "tile/0/000.p",
            "tile/0/000.p/0",
            "tile/0/000.p/01",
            "tile/0/000.p/256",
            "tile/0/000.p/1/2",
            "index/000.p/1",
        ] {
            assert!(!partial(bad), "{bad}");
        }
    }
}
