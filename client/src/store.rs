//! A log in a store of `kiln-storage`.

use bytes::Bytes;
use kiln_storage::{ImmutableObjects, ObjectPath, StorageError, StorageErrorKind};

use crate::source::{Source, SourceError};

/// A log in any store of [`kiln_storage`]: what readers see of it, and nothing that is private.
///
/// How long a read may take, and how often it is tried, is the store's business. An answer that is
/// longer than asked for was held in memory before it is refused:
/// [`MAX_OBJECT_SIZE`](kiln_storage::MAX_OBJECT_SIZE) bounds it.
#[derive(Clone, Debug)]
pub struct StoreSource<S> {
    store: S,
}

impl<S> StoreSource<S> {
    /// The log in `store`.
    pub const fn new(store: S) -> Self {
        Self { store }
    }
}

impl<S: ImmutableObjects + Send + Sync> Source for StoreSource<S> {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        let path: ObjectPath = path.parse().map_err(|error| SourceError::Refused(Box::new(error)))?;
        if path.is_private() {
            return Ok(None);
        }
        match self.store.read(&path).await {
            Ok(Some(body)) if body.len() > limit => Err(SourceError::TooLong { limit }),
            Ok(found) => Ok(found),
            Err(error) => Err(unread(error, limit)),
        }
    }
}

fn unread(error: StorageError, limit: usize) -> SourceError {
    match error.kind() {
        StorageErrorKind::TooLarge => SourceError::TooLong { limit },
        StorageErrorKind::Denied => SourceError::Refused(Box::new(error)),
        _ => SourceError::Unavailable(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use kiln_storage::{Memory, Object};

    use super::*;

    #[tokio::test]
    async fn only_what_is_public_is_read_and_no_more_than_asked_for() {
        let memory = Memory::new();
        let object = |name: &str| Object { path: name.parse().unwrap(), body: Bytes::from_static(b"four") };
        memory.create(vec![object("checkpoint"), object("private/key")]).await.unwrap();
        let source = StoreSource::new(memory);
        assert_eq!(source.fetch("checkpoint", 4).await.unwrap(), Some(Bytes::from_static(b"four")));
        assert!(matches!(source.fetch("checkpoint", 3).await, Err(SourceError::TooLong { limit: 3 })));
        assert_eq!(source.fetch("private/key", 4).await.unwrap(), None);
        assert_eq!(source.fetch("tile/0/000", 4).await.unwrap(), None);
        assert!(matches!(source.fetch("../key", 4).await, Err(SourceError::Refused(_))));
    }
}
