//! The store as those who read over HTTP reach it: a few at a time, and not for ever.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_storage::{
    CreateError, ImmutableObjects, Object, ObjectPath, Register, StorageError, StorageErrorKind, Store,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::Instrument;

use crate::log::Log;

/// A store whose reads take turns.
///
/// A folder reads and writes on the same threads, of which the runtime has some hundreds. Readers of a
/// slow disk would take them all, and the rounds would wait behind them.
#[derive(Debug)]
pub(super) struct Reads<S, G> {
    log: Arc<Log<S, G>>,
    turns: Arc<Semaphore>,
    patience: Duration,
}

/// There was no turn, or no answer of the disk.
#[derive(Debug, thiserror::Error)]
#[error("it took longer than {0:?}")]
struct TooSlow(Duration);

impl<S: Store, G: Register> Reads<S, G> {
    pub(super) fn new(log: Arc<Log<S, G>>, at_once: usize, patience: Duration) -> Self {
        Self { log, turns: Arc::new(Semaphore::new(at_once)), patience }
    }

    async fn read_in_turn(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        let turn = self.turns.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (log, path) = (self.log.clone(), path.clone());
        // In a task of its own: a disk goes on reading when nobody waits for it any more, and that
        // read must keep its turn.
        let reading = async move {
            let read = log.store().read(&path).await;
            drop(turn);
            read
        };
        let reading = tokio::spawn(reading.in_current_span());
        reading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

impl<S: Store, G: Register> ImmutableObjects for Reads<S, G> {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        self.log.store().create(objects).await
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        let read = timeout(self.patience, self.read_in_turn(path)).await;
        let slow = |_| TooSlow(self.patience).into();
        read.map_err(slow).unwrap_or_else(|slow| {
            Err(StorageError::new(StorageErrorKind::Transient, "read", path, Some(slow)))
        })
    }
}
