//! What the tree has at the places of one level-0 tile, and whether entries are those.

use kiln_tiles::{BundleCoord, Hash, HashTile, ParseBundleError, TileCoord, split_entries};

use crate::bundle::VerifiedBundle;
use crate::error::{ClientError, Fault};
use crate::fetch::{self, Found};

/// What verified tiles say about one level-0 tile: what its leaf hashes are, or hash to.
///
/// Of a full tile the value in the tile above is enough: a bundle whose leaf hashes hash to it is
/// the right one, and its level-0 tile need not be fetched at all.
#[derive(Clone, Debug)]
pub(crate) struct Leaves {
    bundle: BundleCoord,
    known: Known,
}

#[derive(Clone, Debug)]
enum Known {
    Root(Hash),
    Hashes(HashTile),
}

impl Leaves {
    /// The leaves of a bundle whose full tile hashes to `root`, as the tile above says.
    pub(crate) const fn with_root(bundle: BundleCoord, root: Hash) -> Self {
        Self { bundle, known: Known::Root(root) }
    }

    /// The leaves of a bundle whose tile is known itself.
    pub(crate) const fn with_tile(bundle: BundleCoord, tile: HashTile) -> Self {
        Self { bundle, known: Known::Hashes(tile) }
    }

    /// The bundle of the entries.
    pub(crate) const fn bundle(&self) -> BundleCoord {
        self.bundle
    }

    /// The level-0 tile.
    pub(crate) fn tile(&self) -> TileCoord {
        self.bundle.leaf_tile()
    }

    /// The level-0 tile, where it is known itself.
    pub(crate) const fn known_tile(&self) -> Option<&HashTile> {
        match &self.known {
            Known::Root(_) => None,
            Known::Hashes(tile) => Some(tile),
        }
    }

    /// Whether this is the tile that the tree has here.
    pub(crate) fn are(&self, tile: &HashTile) -> bool {
        match &self.known {
            Known::Hashes(known) => known == tile,
            Known::Root(root) => self.tile().parent_node().and_then(|node| tile.node(node)) == Some(*root),
        }
    }

    /// Reads the tile and verifies it.
    pub(crate) fn verify_tile(&self, found: &Found<TileCoord>) -> Result<HashTile, ClientError> {
        let tile = fetch::parse_tile(self.tile(), found)?;
        let damaged = || ClientError::damaged(found.coord.to_string(), Fault::Hash);
        if self.are(&tile) { Ok(tile) } else { Err(damaged()) }
    }

    /// Reads the bundle and verifies every entry in it.
    pub(crate) fn verify_bundle(&self, found: &Found<BundleCoord>) -> Result<VerifiedBundle, ClientError> {
        Ok(self.verify_hashed(found)?.entries)
    }

    /// The same, with the tile that the entries hash to.
    pub(crate) fn verify_hashed(&self, found: &Found<BundleCoord>) -> Result<Hashed, ClientError> {
        let hashed = self.hash(found)?;
        if self.are(&hashed.tile) { Ok(hashed) } else { Err(self.unlike(&hashed, found)) }
    }

    /// Reads tile and bundle, and says which of them is at fault where one is. The entries are
    /// hashed, and the tree above them, once for both.
    pub(crate) fn verify_both(
        &self,
        tile: &Found<TileCoord>,
        bundle: &Found<BundleCoord>,
    ) -> Result<VerifiedBundle, ClientError> {
        let published = fetch::parse_tile(self.tile(), tile)?;
        // A tile that is wrong as well comes first.
        let hashed = self.hash(bundle).or_else(|error| self.verify_tile(tile).and(Err(error)))?;
        match (self.are(&hashed.tile), published == hashed.tile) {
            (true, true) => Ok(hashed.entries),
            (false, false) if self.are(&published) => {
                Err(Self::with_tile(self.bundle, published).unlike(&hashed, bundle))
            }
            _ => Err(ClientError::damaged(tile.coord.to_string(), Fault::Hash)),
        }
    }

    /// Hashes the entries of a bundle, as many as belong to these leaves.
    fn hash(&self, found: &Found<BundleCoord>) -> Result<Hashed, ClientError> {
        let damaged = |fault: Fault| ClientError::damaged(found.coord.to_string(), fault);
        let (wanted, there) = (usize::from(self.bundle.width()), usize::from(found.coord.width()));
        let mut entries = VerifiedBundle::with_capacity(self.bundle.start(), found.bytes.clone(), wanted);
        let mut first = Vec::with_capacity(wanted);
        let mut count = 0;
        // One more than expected is enough to know that there are too many.
        for entry in split_entries(&found.bytes).take(there + 1) {
            let entry = entry.map_err(|error| damaged(error.into()))?;
            count += 1;
            if count <= wanted {
                first.push(entry);
                entries.push(entry);
            }
        }
        if count != there {
            return Err(damaged(ParseBundleError::Count(there).into()));
        }
        let hashes: Vec<u8> = Hash::leaves(first).iter().flat_map(|hash| *hash.as_bytes()).collect();
        let tile = HashTile::parse(self.tile(), &hashes).map_err(|error| damaged(error.into()))?;
        Ok(Hashed { entries, tile })
    }

    /// The error of a bundle that is another than these leaves': its first wrong entry, where their
    /// hashes are known.
    fn unlike(&self, hashed: &Hashed, found: &Found<BundleCoord>) -> ClientError {
        let known = if let Known::Hashes(known) = &self.known { known.hashes() } else { &[] };
        let differs = known.iter().zip(hashed.tile.hashes()).position(|(known, found)| known != found);
        let index = |position| Fault::Entry(self.bundle.start().saturating_add(position as u64));
        ClientError::damaged(found.coord.to_string(), differs.map_or(Fault::Hash, index))
    }
}

/// A bundle whose entries are hashed, and the tile that they make.
pub(crate) struct Hashed {
    pub(crate) entries: VerifiedBundle,
    pub(crate) tile: HashTile,
}
