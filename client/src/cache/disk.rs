//! Verified tiles, and the newest checkpoint, in a folder that outlives the process.
//!
//! `DIR/<log>/tile/<L>/<N>` holds full tiles as they were served, `DIR/<log>/checkpoint` the newest
//! checkpoint. `<log>` names origin and keys, so that logs can share a folder and another key
//! starts with no memory.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use kiln_tiles::{Hash, HashTile, Note, SignedCheckpoint, TileCoord, TrustedLog};

use crate::error::ClientError;
use crate::offload::offload;

#[derive(Debug)]
pub(crate) struct DiskCache {
    folder: PathBuf,
}

impl DiskCache {
    /// The cache of `log` below `dir`. Folders are made when something is kept.
    pub(crate) fn new(dir: &Path, log: &TrustedLog) -> Self {
        let keys = log.keys().iter().map(|key| format!("{key}\n"));
        let identity: String = std::iter::once(format!("{}\n", log.origin())).chain(keys).collect();
        Self { folder: dir.join(&Hash::leaf(identity.as_bytes()).to_hex()[..32]) }
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.folder.join("checkpoint")
    }

    fn tile_path(&self, coord: TileCoord) -> PathBuf {
        self.folder.join(coord.to_string())
    }

    pub(crate) async fn get(&self, coord: TileCoord) -> Option<HashTile> {
        let path = self.tile_path(coord);
        let limit = usize::from(coord.width()) * Hash::SIZE;
        let bytes = offload(move || read(&path, limit)).await.ok().flatten()?;
        HashTile::parse(coord, &bytes).ok()
    }

    /// Keeps tiles, as far as the disk lets it: a tile that is not kept is fetched again.
    pub(crate) async fn keep(&self, tiles: Vec<HashTile>) {
        let files: Vec<_> =
            tiles.iter().map(|tile| (self.tile_path(tile.coord()), tile.to_bytes())).collect();
        let write = move || files.iter().try_for_each(|(path, bytes)| replace(path, bytes, Durable::No));
        // The only harm is a second fetch.
        drop(offload(write).await);
    }

    pub(crate) async fn forget(&self, coord: TileCoord) {
        let path = self.tile_path(coord);
        // What cannot be removed is fetched again next time, and verified again.
        drop(offload(move || std::fs::remove_file(path)).await);
    }

    pub(crate) async fn remembered(&self, log: &TrustedLog) -> Result<Option<SignedCheckpoint>, ClientError> {
        let path = self.checkpoint_path();
        let read = offload({
            let path = path.clone();
            move || read(&path, Note::MAX_SIZE)
        });
        match read.await {
            Ok(None) => Ok(None),
            Ok(Some(note)) => {
                // The log signed it, whoever has cosigned it since: another policy must not make it forgotten.
                let opened = log.without_quorum().open(&note);
                opened.map(Some).map_err(|error| ClientError::Memory { path, error })
            }
            Err(error) => Err(ClientError::Cache { path, error }),
        }
    }

    /// Remembers a checkpoint, unless another process remembered a newer one meanwhile.
    pub(crate) async fn remember(
        &self,
        checkpoint: &SignedCheckpoint,
        log: &TrustedLog,
    ) -> Result<(), ClientError> {
        let size = checkpoint.head().size();
        if self.remembered(log).await?.is_some_and(|other| other.head().size() > size) {
            return Ok(());
        }
        let (path, note) = (self.checkpoint_path(), checkpoint.note().to_string());
        let write = {
            let path = path.clone();
            move || replace(&path, note.as_bytes(), Durable::Yes)
        };
        offload(write).await.map_err(|error| ClientError::Cache { path, error })
    }
}

/// Whether a file must survive a power cut. A tile need not: it is verified when it is read.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Durable {
    Yes,
    No,
}

/// At most `limit` bytes and one, so that a file that is too long shows; `None` where there is none.
fn read(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a file in one step: whoever reads it sees the old bytes or the new ones.
fn replace(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(folder)?;
    // Its errors name the temporary file, which nobody asked for.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| io::Error::from(error.kind()))?;
    file.as_file_mut().write_all(bytes)?;
    if durable == Durable::Yes {
        file.as_file().sync_all()?;
    }
    file.persist(path)?;
    Ok(())
}
