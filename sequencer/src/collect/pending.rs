//! The partial objects that the rounds of this process wrote: to collect them nothing has to be listed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_storage::PartialPath;
use kiln_tiles::{BundleCoord, TileCoord, partial_tiles};

use super::rule::Partial;

/// The partial tiles, each level's oldest first, that nobody collected yet. The bundle beside a tile of
/// level 0 goes with it.
///
/// What finds no room is left for the next sweep.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    room: usize,
    levels: [VecDeque<TileCoord>; 8],
}

impl Pending {
    /// From now on so many tiles are remembered; before that, none.
    pub(super) fn make_room(&self, room: usize) {
        self.queues().room = room;
    }

    /// A round made the tree this large, and wrote its partial tiles.
    pub(crate) fn add(&self, size: u64) {
        let mut queues = self.queues();
        for tile in partial_tiles(size) {
            queues.add(tile);
        }
    }

    /// Takes out at most so many tiles that may go, with their bundles.
    pub(super) fn take(&self, aged: u64, most: usize) -> Vec<PartialPath> {
        let mut queues = self.queues();
        let levels = queues.levels.iter_mut();
        let gone = levels.flat_map(|level| {
            std::iter::from_fn(move || {
                level.front().filter(|tile| Partial::Tile(**tile).may_go(aged))?;
                level.pop_front()
            })
        });
        gone.take(most).flat_map(objects).map(Partial::path).collect()
    }

    /// How many tiles wait.
    pub(super) fn len(&self) -> usize {
        self.queues().len()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn len(&self) -> usize {
        self.levels.iter().map(VecDeque::len).sum()
    }

    fn add(&mut self, tile: TileCoord) {
        let has_room = self.len() < self.room;
        if let Some(level) = self.levels.get_mut(usize::from(tile.level()))
            && has_room
            && level.back() != Some(&tile)
        {
            level.push_back(tile);
        }
    }
}

/// The tile, and the bundle beside it.
fn objects(tile: TileCoord) -> impl Iterator<Item = Partial> {
    let bundle = BundleCoord::new(tile.index(), tile.width()).filter(|_| tile.level() == 0);
    [Some(Partial::Tile(tile)), bundle.map(Partial::Bundle)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pending: &Pending, aged: u64) -> Vec<String> {
        pending.take(aged, usize::MAX).iter().map(ToString::to_string).collect()
    }

    fn pending(room: usize, sizes: &[u64]) -> Pending {
        let pending = Pending::default();
        pending.make_room(room);
        sizes.iter().for_each(|size| pending.add(*size));
        pending
    }

    #[test]
    fn what_the_rounds_wrote_goes_once_it_may() {
        let pending = pending(100, &[3, 200, 256, 300, 700]);
        assert_eq!(taken(&pending, 255), [""; 0]);
        let first = ["tile/0/000.p/3", "tile/entries/000.p/3", "tile/0/000.p/200", "tile/entries/000.p/200"];
        assert_eq!(taken(&pending, 256), first);
        assert_eq!(taken(&pending, 256), [""; 0]);
        assert_eq!(taken(&pending, 767), ["tile/0/001.p/44", "tile/entries/001.p/44"]);
        pending.add(65_536);
        let rest = ["tile/0/002.p/188", "tile/entries/002.p/188", "tile/1/000.p/1", "tile/1/000.p/2"];
        assert_eq!(taken(&pending, 65_536), rest);
        assert_eq!(pending.len(), 1, "the first of level 2, which is far from full");
    }

    #[test]
    fn it_remembers_what_it_has_room_for() {
        let all: Vec<u64> = (1..=255).collect();
        assert_eq!(pending(10, &all).len(), 10);
        assert_eq!(taken(&pending(10, &all), 256).len(), 20);
        assert_eq!(pending(0, &all).len(), 0);
        assert_eq!(pending(1000, &all).take(256, 100).len(), 200);
    }

    /// Five thousand rounds a second, for a minute, cost no more than these few megabytes.
    #[test]
    fn it_is_small() {
        assert!(size_of::<TileCoord>() <= 16);
    }
}
