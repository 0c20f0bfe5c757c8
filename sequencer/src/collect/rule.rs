//! Which partial objects may go: pure.
//!
//! A partial tile or bundle may go when its full one lies within a tree that is *aged*:
//!
//! | it | because |
//! |---|---|
//! | was published | a round is applied, and synced, before it is published: the full one is durable |
//! | and nothing smaller was for the grace period | who reads by a checkpoint of that time finds every tile as wide as its tree has it |
//! | and is no larger than the tree before the published one | a checkpoint may be seen one step back: by a cache, or by a file server after a power cut |
//!
//! Nobody's clock is believed: what counts is how long this process has seen a tree published.

use std::collections::VecDeque;
use std::time::Duration;

use kiln_storage::{ObjectPath, PartialPath};
use kiln_tiles::{BundleCoord, TileCoord};
use tokio::time::Instant;

use crate::tree::object_path;

/// The published trees of the last grace period, and the size of the aged one.
#[derive(Debug)]
pub(crate) struct Publications {
    grace: Duration,
    aged: u64,
    /// The trees that are not aged, oldest first: since when each was seen, and its size.
    recent: VecDeque<(Instant, u64)>,
    published: Option<u64>,
    /// The tree before the published one, where one was seen.
    before: Option<u64>,
}

impl Publications {
    /// Nothing was seen yet.
    pub(crate) const fn new(grace: Duration) -> Self {
        Self { grace, aged: 0, recent: VecDeque::new(), published: None, before: None }
    }

    /// A tree of this size is published now. One that nobody looked at while it was is no loss: the
    /// next one ages in its stead, a little later.
    pub(crate) fn see(&mut self, size: u64, now: Instant) {
        match self.published {
            Some(published) if published == size => return,
            // Published trees only grow: what was seen so far is worth nothing.
            Some(published) if published > size => *self = Self::new(self.grace),
            published => self.before = published,
        }
        self.published = Some(size);
        self.recent.push_back((now, size));
    }

    /// The size of the aged tree.
    pub(crate) fn aged(&mut self, now: Instant) -> u64 {
        while let Some(&(since, size)) = self.recent.front()
            && now.duration_since(since) >= self.grace
        {
            self.aged = size;
            self.recent.pop_front();
        }
        self.aged.min(self.before.unwrap_or(u64::MAX))
    }
}

/// A partial tile or bundle that some tree may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Partial {
    Tile(TileCoord),
    Bundle(BundleCoord),
}

impl Partial {
    /// The one of this name; `None` where it is the name of none, and somebody else's.
    pub(crate) fn named(path: &PartialPath) -> Option<Self> {
        let name = path.as_path().as_str();
        name.parse().map(Self::Bundle).or_else(|_| name.parse().map(Self::Tile)).ok()
    }

    /// Whether an aged tree of this size has the full one in its place.
    pub(crate) fn may_go(self, aged: u64) -> bool {
        let tile = self.tile();
        TileCoord::in_tree(tile.level(), tile.index(), aged).is_some_and(TileCoord::is_full)
    }

    /// Its name.
    pub(crate) fn path(self) -> PartialPath {
        let path = match self {
            Self::Tile(tile) => object_path(&tile),
            Self::Bundle(bundle) => object_path(&bundle),
        };
        path.try_into().expect("it is partial")
    }

    /// The name of the full one.
    pub(crate) fn full(self) -> ObjectPath {
        match self {
            Self::Tile(tile) => object_path(&tile.full()),
            Self::Bundle(bundle) => object_path(&bundle.full()),
        }
    }

    fn tile(self) -> TileCoord {
        match self {
            Self::Tile(tile) => tile,
            Self::Bundle(bundle) => bundle.leaf_tile(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kiln_tiles::partial_tiles;
    use proptest::prelude::*;

    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    fn partial(name: &str) -> Partial {
        Partial::named(&name.parse::<ObjectPath>().unwrap().try_into().unwrap()).unwrap()
    }

    #[test]
    fn a_partial_object_goes_with_the_leaf_that_fills_the_full_one() {
        for (name, full, size) in [
            ("tile/0/000.p/1", "tile/0/000", 256),
            ("tile/0/001.p/255", "tile/0/001", 512),
            ("tile/1/000.p/3", "tile/1/000", 65_536),
            ("tile/1/x001/234.p/3", "tile/1/x001/234", 1235 * 65_536),
            ("tile/entries/002.p/7", "tile/entries/002", 768),
        ] {
            assert!(partial(name).may_go(size) && !partial(name).may_go(size - 1), "{name}");
            assert_eq!(
                (partial(name).full().as_str(), partial(name).path().to_string()),
                (full, name.into())
            );
        }
        assert!(!partial("tile/63/000.p/1").may_go(kiln_tiles::MAX_TREE_SIZE), "no tree reaches that far");
    }

    #[test]
    fn other_peoples_names_are_left_alone() {
        for name in ["tile/0/0.p/1", "tile/64/000.p/1", "tile/notes/000.p/1", "tile/0/x000/000.p/1"] {
            let path = name.parse::<ObjectPath>().unwrap().try_into().unwrap();
            assert_eq!(Partial::named(&path), None, "{name}");
        }
    }

    #[test]
    fn a_log_at_rest_keeps_what_the_tree_before_has() {
        let (mut publications, start) = (Publications::new(GRACE), Instant::now());
        publications.see(100, start);
        publications.see(300, start + GRACE);
        // The first tree is aged, the second is not; and however long it stands, it is the last.
        for later in [GRACE, 2 * GRACE, 1000 * GRACE] {
            assert_eq!(publications.aged(start + later), 100);
        }
        publications.see(301, start + 2000 * GRACE);
        assert_eq!(publications.aged(start + 2000 * GRACE), 300);
    }

    #[test]
    fn the_only_tree_that_was_ever_seen_ages() {
        let (mut publications, start) = (Publications::new(GRACE), Instant::now());
        publications.see(300, start);
        assert_eq!(publications.aged(start + GRACE - Duration::from_millis(1)), 0);
        assert_eq!(publications.aged(start + GRACE), 300);
    }

    #[test]
    fn after_a_step_back_everything_starts_anew() {
        let (mut publications, start) = (Publications::new(GRACE), Instant::now());
        publications.see(300, start);
        publications.see(200, start + GRACE);
        assert_eq!(publications.aged(start + GRACE), 0);
        assert_eq!(publications.aged(start + 2 * GRACE), 200);
    }

    /// What happens next in a log's life: so many milliseconds pass, then so many leaves are published.
    fn history() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec(
            (prop_oneof![0..100_u64, 0..200_000_u64], prop_oneof![1..300_u64, 1..100_000_u64]),
            1..40,
        )
    }

    proptest! {
        #[test]
        fn nothing_goes_that_a_recent_checkpoint_has_and_all_else_does(history in history(), rest in 0..200_000_u64) {
            let (mut publications, start) = (Publications::new(GRACE), Instant::now());
            let (mut now, mut size, mut published) = (start, 0, Vec::new());
            let rest = (rest, 0);
            for (pause, leaves) in history.into_iter().chain([rest]) {
                now += Duration::from_millis(pause);
                size += leaves;
                publications.see(size, now);
                if leaves > 0 {
                    published.push((now, size));
                }
                let aged = publications.aged(now);
                for (number, (_, size)) in published.iter().enumerate() {
                    // Until the next one was.
                    let is_recent = match published.get(number + 1) {
                        Some((end, _)) => now - *end < GRACE || number + 2 == published.len(),
                        None => true,
                    };
                    let goes = partial_tiles(*size).any(|tile| Partial::Tile(tile).may_go(aged));
                    prop_assert!(!(is_recent && goes), "{} aged, {} is recent", aged, size);
                }
                let old = |(since, _): &&(Instant, u64)| now - *since >= GRACE;
                let newest = published.iter().rfind(old).map_or(0, |(_, size)| *size);
                let before = published.iter().rev().nth(1).map_or(u64::MAX, |(_, size)| *size);
                prop_assert_eq!(aged, newest.min(before));
            }
        }
    }
}
