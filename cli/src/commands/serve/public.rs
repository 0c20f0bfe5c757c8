//! What readers see of the log, at its public URL: one more voice that remembers.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_client::{AnySource, Source};
use kiln_sequencer::PublicCheckpoint;

use crate::failure::Failure;
use crate::reading;

/// A start does not wait longer for it: it may be this very process, which answers only later.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest checkpoint.
const MOST: usize = 1 << 20;

/// The log as it is read at a URL.
#[derive(Debug)]
pub(super) struct PublicUrl(AnySource);

impl PublicUrl {
    pub(super) fn open(url: &str) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self(reading::source(url)?)))
    }
}

impl PublicCheckpoint for PublicUrl {
    fn read(&self) -> BoxFuture<'_, Result<Option<Bytes>, Box<dyn Error + Send + Sync>>> {
        Box::pin(async {
            let read = tokio::time::timeout(PATIENCE, self.0.fetch("checkpoint", MOST)).await;
            Ok(read??)
        })
    }
}
