//! A log wherever it is.

use bytes::Bytes;
#[cfg(feature = "object-stores")]
use kiln_storage::Bucket;

use crate::folder::FolderSource;
use crate::http::{HttpOptions, HttpSetupError, HttpSource};
use crate::source::{Source, SourceError};
#[cfg(feature = "object-stores")]
use crate::store::StoreSource;

/// A log wherever it is: what a person may name on a command line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnySource {
    /// Behind a URL.
    Http(Box<HttpSource>),
    /// In a folder.
    Folder(FolderSource),
    /// In a bucket of an object store.
    #[cfg(feature = "object-stores")]
    Bucket(StoreSource<Bucket>),
}

impl AnySource {
    /// The log at an `http(s)://` URL, or in a folder.
    ///
    /// # Errors
    /// As [`HttpSource::new`]. A folder need not exist: reading says so.
    pub fn open(log: &str) -> Result<Self, HttpSetupError> {
        Self::open_with(log, HttpOptions::default())
    }

    /// The same, with options for the case that it is a URL.
    ///
    /// # Errors
    /// As [`HttpSource::new`].
    pub fn open_with(log: &str, options: HttpOptions) -> Result<Self, HttpSetupError> {
        if log.starts_with("http://") || log.starts_with("https://") {
            return HttpSource::with_options(log, options).map(|source| Self::Http(Box::new(source)));
        }
        Ok(Self::Folder(FolderSource::new(log)))
    }

    /// The log in a bucket.
    #[cfg(feature = "object-stores")]
    #[must_use]
    pub const fn bucket(bucket: Bucket) -> Self {
        Self::Bucket(StoreSource::new(bucket))
    }
}

impl Source for AnySource {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        match self {
            Self::Http(source) => source.fetch(path, limit).await,
            Self::Folder(source) => source.fetch(path, limit).await,
            #[cfg(feature = "object-stores")]
            Self::Bucket(source) => source.fetch(path, limit).await,
        }
    }

    fn is_local(&self) -> bool {
        matches!(self, Self::Folder(_))
    }
}
