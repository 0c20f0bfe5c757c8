//! The files below `tile/`, a folder at a time, so that no list of them all is ever held.

use std::fmt;
use std::fs::{self, DirEntry};
use std::io;
use std::path::PathBuf;

use kiln_tiles::{BundleCoord, TileCoord};

use super::Files;
use crate::error::ClientError;
use crate::source::SourceError;

/// A tile or a bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Object {
    Tile(TileCoord),
    Bundle(BundleCoord),
}

/// What one folder holds, beside what the checkpoint implies.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Partial ones of earlier trees. They all lie at one place of the tree, the narrowest first.
    pub(super) earlier: Vec<Object>,
    pub(super) beyond: Files,
    pub(super) unknown: Files,
}

/// A walk over the folders below `tile/`.
pub(super) struct Walk {
    root: PathBuf,
    size: u64,
    ahead: Vec<String>, // folders, the next one last
}

impl Object {
    fn parse(path: &str) -> Option<Self> {
        let bundle = || path.parse().ok().map(Self::Bundle);
        path.parse().ok().map(Self::Tile).or_else(bundle)
    }

    /// The hash tile at its place, as wide as it is.
    pub(super) fn tile(self) -> TileCoord {
        match self {
            Self::Tile(coord) => coord,
            Self::Bundle(coord) => coord.leaf_tile(),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tile(coord) => coord.fmt(f),
            Self::Bundle(coord) => coord.fmt(f),
        }
    }
}

impl Walk {
    /// A walk over the log in the folder `root`, whose tree has `size` leaves.
    pub(super) fn new(root: PathBuf, size: u64) -> Self {
        Self { root, size, ahead: vec!["tile".to_owned()] }
    }

    /// Lists the next folder.
    pub(super) fn step(mut self) -> Option<(Result<Listing, ClientError>, Self)> {
        let folder = self.ahead.pop()?;
        let listed = self.list(&folder).map_err(|error| {
            let error = SourceError::Refused(Box::new(error));
            ClientError::Source { path: folder, error }
        });
        Some((listed, self))
    }

    fn list(&mut self, folder: &str) -> io::Result<Listing> {
        let (mut listing, mut folders) = (Listing::default(), Vec::new());
        let entries = match fs::read_dir(self.root.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            match is_folder(&entry) {
                true if may_hold_tiles(&path) => folders.push(path),
                true => listing.unknown.push(path + "/"),
                false => listing.sort_in(path, self.size),
            }
        }
        listing.earlier.sort_unstable_by_key(|object| object.tile().width());
        folders.sort_unstable_by(|one, other| other.cmp(one));
        self.ahead.append(&mut folders);
        Ok(listing)
    }
}

/// Whether it is a folder, or a link to one.
fn is_folder(entry: &DirEntry) -> bool {
    fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir())
}

/// Whether the path of some tile or bundle goes through this folder. Such paths are of bounded length,
/// so that no loop of links is walked for ever.
fn may_hold_tiles(folder: &str) -> bool {
    ["000", "1"].iter().any(|name| Object::parse(&format!("{folder}/{name}")).is_some())
}

impl Listing {
    fn sort_in(&mut self, path: String, size: u64) {
        let Some(object) = Object::parse(&path) else { return self.unknown.push(path) };
        let tile = object.tile();
        match TileCoord::in_tree(tile.level(), tile.index(), size) {
            Some(now) if tile.width() < now.width() => self.earlier.push(object),
            Some(now) if tile == now => {} // implied by the checkpoint
            _ => self.beyond.push(path),
        }
    }
}
