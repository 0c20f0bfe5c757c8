//! The options of a client.

#[cfg(feature = "folder")]
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::time::Duration;

use kiln_tiles::{Hash, TrustedLog};

use crate::cache::Cache;
#[cfg(feature = "folder")]
use crate::cache::DiskCache;
use crate::client::{self, Client};
use crate::source::Source;

/// The options of a [`Client`]. Each has a default that suits a program that does not care.
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder<S> {
    pub(crate) source: S,
    pub(crate) log: TrustedLog,
    pub(crate) tiles_in_memory: usize,
    #[cfg(feature = "folder")]
    disk_cache: Option<PathBuf>,
    pub(crate) parallelism: usize,
    pub(crate) refuse_rollback: bool,
    #[cfg(feature = "tokio")]
    pub(crate) poll_interval: Duration,
}

/// The bytes of a full tile.
const TILE_BYTES: usize = 256 * Hash::SIZE;

impl<S> ClientBuilder<S> {
    pub(crate) const fn new(source: S, log: TrustedLog) -> Self {
        Self {
            source,
            log,
            tiles_in_memory: 1024,
            #[cfg(feature = "folder")]
            disk_cache: None,
            parallelism: 16,
            refuse_rollback: false,
            #[cfg(feature = "tokio")]
            poll_interval: Duration::from_secs(1),
        }
    }

    /// How many bytes of tiles to keep in memory, those in use and those used lately each; 8 MiB
    /// unless said, 0 for none but those in use (half a MiB at most).
    pub const fn memory_cache(mut self, bytes: usize) -> Self {
        self.tiles_in_memory = bytes / TILE_BYTES;
        self
    }

    /// Keeps verified tiles, and the newest checkpoint, in a folder. With it, rollbacks and forks are
    /// detected across runs. Several logs and processes may share one. None unless said.
    ///
    /// Nothing in it is trusted, nothing in it goes away by itself, and it may be deleted at any
    /// time. It grows by 8 kB with each tile that proofs need, not with the entries read.
    #[cfg(feature = "folder")]
    pub fn disk_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.disk_cache = Some(folder.into());
        self
    }

    /// How many requests may run, and how many bundles may wait to be yielded, at once; 16 unless
    /// said. A bundle is seldom more than 1 MB, and never more than 16.8 MB.
    pub const fn parallelism(mut self, requests: usize) -> Self {
        self.parallelism = if requests == 0 { 1 } else { requests };
        self
    }

    /// Takes any tree that is older than one seen before for a
    /// [`Rollback`](crate::BadLog::Rollback). For sources that no CDN or cache stands before.
    pub const fn refuse_rollback(mut self) -> Self {
        self.refuse_rollback = true;
        self
    }

    /// How often [`follow`](Client::follow) looks for a new checkpoint; each second unless said.
    #[cfg(feature = "tokio")]
    pub const fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }
}

impl<S: Source> ClientBuilder<S> {
    /// The client. It reads nothing yet.
    #[must_use]
    pub fn build(self) -> Client<S> {
        let cache = Cache::in_memory(self.tiles_in_memory);
        #[cfg(feature = "folder")]
        let disk = self.disk_cache.as_deref().map(|folder| DiskCache::new(folder, &self.log));
        #[cfg(feature = "folder")]
        let cache = cache.with_disk(disk);
        Client { shared: Arc::new(client::shared(self, cache)) }
    }
}
