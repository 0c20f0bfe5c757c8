//! The most recently used tiles, in bounded memory.

use std::collections::HashMap;

use kiln_tiles::{HashTile, TileCoord};

/// The tiles used most recently, in two generations: a tile that is used moves to the young one; when
/// that is full it becomes the old one, and the old one goes. So what was used among the last
/// `most / 2` tiles is always here, and there are never more than `most`.
#[derive(Debug)]
pub(crate) struct RecentTiles {
    young: HashMap<TileCoord, HashTile>,
    old: HashMap<TileCoord, HashTile>,
    generation: usize,
}

impl RecentTiles {
    /// Room for `most` tiles.
    pub(crate) fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation: most.div_ceil(2).max(1) }
    }

    pub(crate) fn get(&mut self, coord: TileCoord) -> Option<HashTile> {
        if let Some(tile) = self.young.get(&coord) {
            return Some(tile.clone());
        }
        let tile = self.old.remove(&coord)?;
        self.insert(tile.clone());
        Some(tile)
    }

    pub(crate) fn insert(&mut self, tile: HashTile) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&tile.coord());
        self.young.insert(tile.coord(), tile);
    }

    pub(crate) fn remove(&mut self, coord: TileCoord) {
        self.young.remove(&coord);
        self.old.remove(&coord);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(index: u64) -> HashTile {
        HashTile::parse(TileCoord::new(0, index, 1).unwrap(), &[7; 32]).unwrap()
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut recent = RecentTiles::new(4);
        let hot = tile(1_000_000);
        recent.insert(hot.clone());
        for index in 0..100 {
            recent.insert(tile(index));
            assert!(recent.get(hot.coord()).is_some(), "after {index}");
            assert!(recent.young.len() + recent.old.len() <= 4);
        }
        assert!(recent.get(tile(0).coord()).is_none());
        recent.remove(hot.coord());
        assert!(recent.get(hot.coord()).is_none());
    }
}
