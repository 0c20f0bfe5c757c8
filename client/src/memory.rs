//! A log in memory, for tests and for bytes that came by another way.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::source::{Source, SourceError};

/// A log in memory. A clone is another handle to the same resources.
///
/// ```
/// let source = kiln_client::MemorySource::default();
/// source.insert("checkpoint", b"...".to_vec());
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    resources: Arc<RwLock<HashMap<String, Bytes>>>,
}

impl MemorySource {
    /// Puts a resource at its path, in place of what was there.
    pub fn insert(&self, path: impl Into<String>, bytes: impl Into<Bytes>) {
        let mut resources = self.resources.write().unwrap_or_else(PoisonError::into_inner);
        resources.insert(path.into(), bytes.into());
    }

    /// Takes a resource away, and returns it.
    pub fn remove(&self, path: &str) -> Option<Bytes> {
        self.resources.write().unwrap_or_else(PoisonError::into_inner).remove(path)
    }

    /// The bytes at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Bytes> {
        self.resources.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// The paths of all resources, in order.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let resources = self.resources.read().unwrap_or_else(PoisonError::into_inner);
        let mut paths: Vec<String> = resources.keys().cloned().collect();
        paths.sort();
        paths
    }
}

impl Source for MemorySource {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        match self.get(path) {
            Some(bytes) if bytes.len() > limit => Err(SourceError::TooLong { limit }),
            found => Ok(found),
        }
    }
}
