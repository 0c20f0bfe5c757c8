//! Nearer places for full tiles. What a cache answers is verified like what a source answers; so a
//! cache can be shared, tampered with or deleted, and nothing worse happens than a second fetch.

mod memory;

#[cfg(feature = "folder")]
mod disk;

use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_tiles::{HashTile, SignedCheckpoint, TileCoord, TrustedLog};

use crate::error::ClientError;
use memory::RecentTiles;

#[cfg(feature = "folder")]
pub(crate) use disk::DiskCache;

/// The caches of one client: memory first, then the folder.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    memory: Option<Mutex<RecentTiles>>,
    #[cfg(feature = "folder")]
    disk: Option<DiskCache>,
}

impl Cache {
    /// At most `tiles` tiles in memory; none for 0.
    pub(crate) fn in_memory(tiles: usize) -> Self {
        let memory = (tiles > 0).then(|| Mutex::new(RecentTiles::new(tiles)));
        Self {
            memory,
            #[cfg(feature = "folder")]
            disk: None,
        }
    }

    #[cfg(feature = "folder")]
    pub(crate) fn with_disk(self, disk: Option<DiskCache>) -> Self {
        Self { disk, ..self }
    }

    fn memory(&self) -> Option<MutexGuard<'_, RecentTiles>> {
        self.memory.as_ref().map(|memory| memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A full tile that was kept. It is not verified.
    pub(crate) async fn get(&self, coord: TileCoord) -> Option<HashTile> {
        if let Some(tile) = self.memory().and_then(|mut memory| memory.get(coord)) {
            return Some(tile);
        }
        #[cfg(feature = "folder")]
        if let Some(disk) = &self.disk {
            return disk.get(coord).await;
        }
        None
    }

    /// Keeps full tiles that verified.
    pub(crate) async fn keep(&self, tiles: Vec<HashTile>) {
        if let Some(mut memory) = self.memory() {
            tiles.iter().for_each(|tile| memory.insert(tile.clone()));
        }
        #[cfg(feature = "folder")]
        if let Some(disk) = &self.disk {
            disk.keep(tiles).await;
        }
    }

    /// Drops a tile that did not verify.
    pub(crate) async fn forget(&self, coord: TileCoord) {
        if let Some(mut memory) = self.memory() {
            memory.remove(coord);
        }
        #[cfg(feature = "folder")]
        if let Some(disk) = &self.disk {
            disk.forget(coord).await;
        }
    }

    /// The newest checkpoint that an earlier run saw. The log signed it; whether the witnesses of `log` have
    /// cosigned it is not said.
    #[cfg_attr(not(feature = "folder"), expect(clippy::unused_async, reason = "a disk waits"))]
    pub(crate) async fn remembered(&self, log: &TrustedLog) -> Result<Option<SignedCheckpoint>, ClientError> {
        #[cfg(feature = "folder")]
        if let Some(disk) = &self.disk {
            return disk.remembered(log).await;
        }
        let _ = log;
        Ok(None)
    }

    /// Remembers the newest checkpoint for the next run.
    #[cfg_attr(not(feature = "folder"), expect(clippy::unused_async, reason = "a disk waits"))]
    pub(crate) async fn remember(
        &self,
        checkpoint: &SignedCheckpoint,
        log: &TrustedLog,
    ) -> Result<(), ClientError> {
        #[cfg(feature = "folder")]
        if let Some(disk) = &self.disk {
            return disk.remember(checkpoint, log).await;
        }
        let _ = (checkpoint, log);
        Ok(())
    }
}
