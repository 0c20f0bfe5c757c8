//! Reading tiles and bundles from a source, with the fall-back that [tlog-tiles] asks for: a log
//! may delete a partial tile or bundle once the full one is there.
//!
//! [tlog-tiles]: https://c2sp.org/tlog-tiles#partial-tiles

use std::fmt::Display;

use bytes::Bytes;
use kiln_tiles::{
    BundleCoord, Hash, HashTile, MAX_ENTRY_SIZE, Note, SignedCheckpoint, TileCoord, TrustedLog,
};

use crate::error::{BadLog, ClientError};
use crate::signers::OtherKeys;
use crate::source::{Source, SourceError};

/// A tile or bundle as it was found: where `coord` is the full one, maybe in place of a partial one.
#[derive(Debug)]
pub(crate) struct Found<C> {
    pub(crate) coord: C,
    pub(crate) bytes: Bytes,
}

/// What tiles and bundles have in common.
pub(crate) trait Coord: Copy + Display + Send + Sync {
    fn is_full(self) -> bool;
    fn to_full(self) -> Self;
    /// The most bytes that it can have.
    fn limit(self) -> usize;
}

impl Coord for TileCoord {
    fn is_full(self) -> bool {
        Self::is_full(self)
    }

    fn to_full(self) -> Self {
        self.full()
    }

    fn limit(self) -> usize {
        usize::from(self.width()) * Hash::SIZE
    }
}

impl Coord for BundleCoord {
    fn is_full(self) -> bool {
        Self::is_full(self)
    }

    fn to_full(self) -> Self {
        self.full()
    }

    fn limit(self) -> usize {
        usize::from(self.width()) * (size_of::<u16>() + MAX_ENTRY_SIZE)
    }
}

/// Reads a tile or bundle, or the full one in place of a partial one that is gone.
pub(crate) async fn found<S: Source, C: Coord>(source: &S, coord: C) -> Result<Found<C>, ClientError> {
    let absent = match read(source, coord).await {
        Ok(Some(bytes)) => return Ok(Found { coord, bytes }),
        Ok(None) => BadLog::Missing { path: coord.to_string() }.into(),
        // Object stores that may not list say "forbidden" about what is not there.
        Err(error @ ClientError::Source { error: SourceError::Refused(_), .. }) => error,
        Err(error) => return Err(error),
    };
    if coord.is_full() {
        return Err(absent);
    }
    let full = coord.to_full();
    let bytes = read(source, full).await?.ok_or(absent)?;
    Ok(Found { coord: full, bytes })
}

async fn read<S: Source, C: Coord>(source: &S, coord: C) -> Result<Option<Bytes>, ClientError> {
    let path = coord.to_string();
    let read = source.fetch(&path, coord.limit()).await;
    read.map_err(|error| ClientError::reading(path, error))
}

/// Reads a tile, as wide as `coord` says.
pub(crate) async fn tile<S: Source>(source: &S, coord: TileCoord) -> Result<HashTile, ClientError> {
    parse_tile(coord, &found(source, coord).await?)
}

pub(crate) fn parse_tile(wanted: TileCoord, found: &Found<TileCoord>) -> Result<HashTile, ClientError> {
    let parsed = HashTile::parse(found.coord, &found.bytes);
    let tile = parsed.map_err(|error| ClientError::damaged(found.coord.to_string(), error))?;
    let missing = || BadLog::Missing { path: wanted.to_string() };
    if tile.coord() == wanted { Ok(tile) } else { Ok(tile.prefix(wanted.width()).ok_or_else(missing)?) }
}

/// The name of the one resource that changes.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// Reads and verifies the checkpoint.
pub(crate) async fn checkpoint<S: Source>(
    source: &S,
    log: &TrustedLog,
) -> Result<SignedCheckpoint, ClientError> {
    let read = source.fetch(CHECKPOINT, Note::MAX_SIZE).await;
    let read = read.map_err(|error| ClientError::reading(CHECKPOINT.to_owned(), error))?;
    let bytes = read.ok_or(ClientError::NoCheckpoint)?;
    let note = Note::parse(&bytes).map_err(|error| BadLog::Checkpoint(error.into()))?;
    let opened = log.open_note(note.clone());
    Ok(opened.map_err(|error| match OtherKeys::explain(&error, &note, log) {
        Some(keys) => BadLog::OtherKeys(keys),
        None => BadLog::Checkpoint(error),
    })?)
}
