//! A log whose superseded partial tiles are collected, in simulated time: no reader misses one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kiln_sequencer::{
    CollectOptions, Dedup, Entry, Log, Options, Sequencer, Shared, Status, Sweep, Wait, create_log,
};
use kiln_simulator::check::check_log;
use kiln_simulator::disk::{SimulatedDisk, Trouble};
use kiln_simulator::faulty::{Faults, FaultyRegister, FaultyStore, Removals};
use kiln_simulator::world::{SeededEnvironment, entries, signing_key, simulate, trusted_log};
use kiln_storage::{
    Folder, FolderRegister, Memory, MemoryRegister, ObjectPath, PartialListing, PartialObjects, Register,
    Store,
};
use kiln_tiles::{BundleCoord, TileCoord, partial_tiles};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const GRACE: Duration = Duration::from_secs(60);

/// Longer than it takes to collect what may go.
const A_WHILE: Duration = Duration::from_secs(70);

/// A log at work, and a collector beside it.
struct Life<S: Store, G: Register> {
    shared: Arc<Shared<S, G>>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl<S: Store + PartialObjects, G: Register> Life<S, G> {
    async fn begin(store: S, guard: G, options: CollectOptions) -> Self {
        let log = Log::new(signing_key(), store, guard, Dedup::off(), SeededEnvironment::new(1));
        create_log(&log).await.expect("a log");
        let sequencer = Sequencer::new(log, Options { standby: true, ..Options::default() });
        let (stop, stopped) = watch::channel(false);
        let (shared, collector) = (sequencer.shared(), sequencer.collector(options));
        let writer = sequencer.load().await.expect("a sound log");
        tokio::spawn(collector.run(stopped.clone()));
        let running = tokio::spawn(async move { drop(sequencer.run(writer, stopped).await) });
        Self { shared, stop, running }
    }

    /// So many entries, which make one round: they come together.
    async fn add(&self, count: usize) -> u64 {
        for _ in 0..3600 {
            match self.shared.pool.submit(batch(count), Wait::Published).await {
                Ok(answer) => return answer.indices.last().expect("an index") + 1,
                Err(_) => sleep(Duration::from_secs(1)).await,
            }
        }
        panic!("an hour of trying was not enough: {}", self.shared.state().status);
    }

    fn published(&self) -> u64 {
        self.shared.state().published.map_or(0, |checkpoint| checkpoint.head().size())
    }

    /// What a metric says.
    fn metric(&self, name: &str) -> u64 {
        let text = self.shared.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().expect("a number"))
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.running.await.expect("the sequencer does not panic");
    }
}

async fn begin(memory: &Memory, faults: &Faults) -> Life<FaultyStore, FaultyRegister> {
    let guard = FaultyRegister::new(MemoryRegister::default(), Faults::none());
    Life::begin(FaultyStore::new(memory.clone(), faults.clone()), guard, CollectOptions::default()).await
}

/// The names of the partial tiles and bundles that a tree has.
fn partials_of(size: u64) -> Vec<ObjectPath> {
    let path = |name: String| name.parse().expect("an object name");
    let bundle = BundleCoord::holding(size.saturating_sub(1), size).filter(|bundle| !bundle.is_full());
    let tiles = partial_tiles(size).map(|tile: TileCoord| tile.to_string());
    tiles.chain(bundle.map(|bundle| bundle.to_string())).map(path).collect()
}

/// All partial objects of a store.
async fn partials_in(store: &impl PartialObjects) -> Vec<String> {
    let (mut all, mut listing) = (Vec::new(), store.list_partials());
    while let Some(batch) = listing.next().await.expect("a listing") {
        all.extend(batch.iter().map(ToString::to_string));
    }
    all
}

/// The names of those that the full tiles of a tree of this size supersede.
async fn superseded(store: &impl PartialObjects, size: u64) -> Vec<String> {
    let full = |name: &String| {
        let full = name.split_once(".p/").expect("a partial object").0;
        let tile = full.parse().or_else(|_| full.parse::<BundleCoord>().map(BundleCoord::leaf_tile));
        let tile: TileCoord = tile.expect("a tile or bundle");
        TileCoord::in_tree(tile.level(), tile.index(), size).is_some_and(TileCoord::is_full)
    };
    partials_in(store).await.into_iter().filter(full).collect()
}

/// A reader keeps a checkpoint, and reads its tree at any later time. As long as the checkpoint is not older
/// than the grace period, or is the one before the current, each tile is there at the width of its tree;
/// after that the tile may be gone, if the full one is there.
#[test]
fn a_reader_with_an_old_checkpoint_finds_every_tile() {
    for seed in 0..6 {
        simulate(async {
            let (memory, mut rng) = (Memory::new(), fastrand::Rng::with_seed(seed));
            let log = begin(&memory, &Faults::none()).await;
            let trees = History::follow(&log);
            let end = Instant::now() + Duration::from_secs(1200);
            while Instant::now() < end {
                log.add(rng.usize(1..400)).await;
                // Now they come each second, now the log rests for minutes.
                let rest = Duration::from_secs_f64(rng.f64() * [0.1, 1.0, 20.0, 150.0][rng.usize(..4)]);
                let next = Instant::now() + rest;
                while Instant::now() < next {
                    trees.check(&memory);
                    sleep(Duration::from_secs_f64(rng.f64() * 3.0)).await;
                }
            }
            let collected = log.metric("kiln_gc_removed_total");
            assert!(collected > 50, "seed {seed}: {collected} objects were collected");
            check_log(&memory, &trusted_log()).await;
            log.end().await;
        });
    }
}

/// Each tree that was published, and since when.
#[derive(Clone, Default)]
struct History(Arc<Mutex<Vec<(u64, Instant)>>>);

impl History {
    fn follow<S: Store, G: Register>(log: &Life<S, G>) -> Self {
        let (history, mut states) = (Self::default(), log.shared.watch());
        let told = history.clone();
        tokio::spawn(async move {
            while states.changed().await.is_ok() {
                let published = states.borrow_and_update().published.clone();
                told.add(published.map_or(0, |checkpoint| checkpoint.head().size()));
            }
        });
        history
    }

    fn add(&self, size: u64) {
        let mut trees = self.0.lock().expect("no panic");
        if trees.last().is_none_or(|(last, _)| *last != size) {
            trees.push((size, Instant::now()));
        }
    }

    fn check(&self, memory: &Memory) {
        let (trees, objects) = (self.0.lock().expect("no panic"), memory.objects());
        for (number, (size, _)) in trees.iter().enumerate() {
            let end = trees.get(number + 1).map(|(_, end)| *end);
            let is_recent = number + 2 >= trees.len() || end.is_none_or(|end| end.elapsed() < GRACE);
            for path in partials_of(*size) {
                let full = path.as_str().split_once(".p/").expect("partial").0.parse().expect("a name");
                let found = objects.contains_key(&path) || !is_recent && objects.contains_key(&full);
                assert!(found, "{path} of tree {number}, size {size}, of {}", trees.len());
            }
        }
    }
}

/// Tessera removes at most 431 entries' worth a second. Here nothing builds up, however many there are.
#[test]
fn the_collector_keeps_up_with_any_rate() {
    simulate(async {
        let memory = Memory::new();
        let log = begin(&memory, &Faults::none()).await;
        let mut size = 0;
        for round in 0..1010 {
            size = log.add(50 + round % 101).await;
            // What rounds of the last minute wrote, and the tiles of level 1 that one full one supersedes.
            assert!(log.metric("kiln_gc_waiting_tiles") < 350, "they pile up at size {size}");
        }
        assert!(size >= 100_000);
        sleep(A_WHILE).await;
        log.add(1).await;
        sleep(A_WHILE).await;
        assert_eq!(superseded(&memory, size).await, [""; 0]);
        assert!(log.metric("kiln_gc_removed_total") > 1900);
        check_log(&memory, &trusted_log()).await;
        log.end().await;
    });
}

/// What one process leaves another one finds: the first sweep comes a grace period after the start. A load
/// applies the last round anew, and brings back what was collected; so no sweep believes an earlier one.
#[test]
fn a_restart_collects_what_was_left_and_loads_from_full_tiles() {
    simulate(async {
        let (memory, faults, mut size) = (Memory::new(), Faults::none(), 0);
        let guard = FaultyRegister::new(MemoryRegister::default(), Faults::none());
        for life in 0..5 {
            let store = FaultyStore::new(memory.clone(), faults.clone());
            let log = Life::begin(store, guard.clone(), CollectOptions::default()).await;
            assert_eq!(log.published(), size, "life {life}");
            if life % 2 == 0 {
                for count in [100, 100, 100] {
                    size = log.add(count).await;
                }
            } else {
                sleep(A_WHILE).await;
                assert_eq!(superseded(&memory, size).await, [""; 0], "life {life}");
                assert!(log.metric("kiln_gc_last_sweep_timestamp_seconds") > 0);
            }
            log.end().await;
            check_log(&memory, &trusted_log()).await;
        }
    });
}

/// A writer's role on an object store deletes nothing: that is no trouble, and asked for once an hour.
#[test]
fn a_store_that_denies_is_asked_seldom_and_harms_nobody() {
    simulate(async {
        let (memory, faults) = (Memory::new(), Faults::none());
        faults.set_removals(Removals::Denied);
        let log = begin(&memory, &faults).await;
        for _ in 0..300 {
            log.add(200).await;
        }
        let denied = "kiln_gc_errors_total{kind=\"denied\"}";
        assert_eq!((log.metric(denied), log.metric("kiln_gc_removed_total")), (1, 0));
        sleep(Duration::from_secs(3600)).await;
        assert!((2..=3).contains(&log.metric(denied)), "{}", log.metric(denied));
        assert!(matches!(log.shared.state().status, Status::Ready));
        faults.set_removals(Removals::Done);
        sleep(Duration::from_secs(3600)).await;
        let size = log.add(1).await;
        sleep(A_WHILE).await;
        assert_eq!(superseded(&memory, size).await, [""; 0], "once it is allowed all of it goes");
        log.end().await;
    });
}

/// A store that fails now and then: rounds are tried again as ever, and in the end all is collected.
#[test]
fn a_store_that_fails_is_collected_later() {
    for seed in 0..4 {
        simulate(async {
            let (memory, faults) = (Memory::new(), Faults::random(seed, 0.1));
            faults.stop();
            let log = begin(&memory, &faults).await;
            faults.fail_at_random(seed, 0.1);
            for _ in 0..100 {
                log.add(100).await;
                sleep(Duration::from_secs(3)).await;
            }
            faults.stop();
            let size = log.add(1).await;
            log.add(1).await;
            sleep(Duration::from_secs(2 * 3600)).await;
            assert_eq!(superseded(&memory, size).await, [""; 0], "seed {seed}");
            check_log(&memory, &trusted_log()).await;
            log.end().await;
        });
    }
}

/// A collector that waits for its store holds up no round.
#[test]
fn no_round_waits_for_a_removal() {
    simulate(async {
        let (memory, faults) = (Memory::new(), Faults::none());
        let log = begin(&memory, &faults).await;
        faults.set_removals(Removals::Hanging);
        let start = Instant::now();
        for _ in 0..300 {
            log.add(100).await;
        }
        assert!(start.elapsed() < Duration::from_secs(301), "{:?}", start.elapsed());
        log.end().await;
    });
}

/// An older copy is put back while the log runs. Its last entries stand in partial bundles alone, which the
/// trees that this process has seen published supersede.
#[test]
fn a_store_that_goes_back_loses_nothing_more() {
    simulate(async {
        let (memory, faults) = (Memory::new(), Faults::none());
        let log = begin(&memory, &faults).await;
        log.add(100).await;
        let copy = memory.copy();
        for _ in 0..3 {
            log.add(100).await;
        }
        memory.go_back_to(&copy);
        sleep(2 * GRACE).await;
        let left = memory.objects();
        assert!(partials_of(100).iter().all(|path| left.contains_key(path)), "{:?}", left.keys());
        assert!(log.metric("kiln_gc_errors_total{kind=\"checkpoint\"}") > 0);
        log.end().await;
    });
}

/// A disk lost a full bundle: the partial ones are all that is left of its entries.
#[test]
fn the_last_copy_of_an_entry_stays() {
    simulate(async {
        let memory = Memory::new();
        let log = begin(&memory, &Faults::none()).await;
        for count in [100, 100, 100] {
            log.add(count).await;
        }
        log.end().await;
        memory.tamper(&"tile/entries/000".parse().expect("a name"), None);
        let trusted = trusted_log();
        let swept = Sweep::new(&memory, &trusted, 300).remove(|_| {}).await.expect("a sweep");
        assert_eq!((swept.superseded, swept.orphans), (2, 2), "{swept:?}");
        assert_eq!(swept.missing.expect("the bundle").as_str(), "tile/entries/000");
        let left = superseded(&memory, 300).await;
        assert_eq!(left, ["tile/entries/000.p/100", "tile/entries/000.p/200"]);
    });
}

/// A standby sees what is published as well. It collects nothing.
#[test]
fn a_standby_collects_nothing() {
    simulate(async {
        let (memory, guard) = (Memory::new(), MemoryRegister::default());
        let faults = Faults::none();
        let first = {
            let store = FaultyStore::new(memory.clone(), faults.clone());
            faults.set_removals(Removals::Denied);
            Life::begin(store, FaultyRegister::new(guard.clone(), Faults::none()), CollectOptions::default())
                .await
        };
        let log = Log::new(signing_key(), memory.clone(), guard, Dedup::off(), SeededEnvironment::new(2));
        let sequencer = Sequencer::new(log, Options::default());
        let (stop, stopped) = watch::channel(false);
        let (shared, collector) = (sequencer.shared(), sequencer.collector(CollectOptions::default()));
        tokio::spawn(collector.run(stopped.clone()));
        let standing_by = tokio::spawn(sequencer.stand_by(stopped));
        for _ in 0..200 {
            first.add(100).await;
        }
        let before = partials_in(&memory).await.len();
        sleep(Duration::from_secs(4000)).await;
        assert!(matches!(shared.state().status, Status::StandingBy(_)), "{}", shared.state().status);
        assert!(shared.state().published.is_some_and(|published| published.head().size() >= 20_000));
        assert_eq!(partials_in(&memory).await.len(), before);
        stop.send_replace(true);
        standing_by.await.expect("no panic").expect("it stood by");
        first.end().await;
    });
}

/// On a folder a removal and the sync of the full tile are two things: whenever the power is cut, one of
/// both is there.
#[test]
fn no_power_cut_takes_a_full_tile_and_its_partial_ones() {
    for number in (0..400).step_by(3) {
        let disk = SimulatedDisk::new(number as u64);
        let (log, guard) = (Arc::new(disk.below("log")), Arc::new(disk.below("state")));
        let open = || Folder::on(log.clone(), "a test".into()).expect("a folder");
        let register = || FolderRegister::new(guard.clone(), "/state/guard".into(), "a test".into(), GRACE);
        let options = CollectOptions { grace: Duration::from_secs(2), ..CollectOptions::default() };
        let mut known = 0;
        simulate(async {
            let log = Life::begin(open(), register(), options).await;
            disk.trouble_at(number, Trouble::PowerCut);
            for _ in 0..10 {
                if let Ok(answer) = log.shared.pool.submit(batch(100), Wait::Published).await {
                    known = answer.indices[99] + 1;
                }
                sleep(Duration::from_secs(1)).await;
            }
            log.running.abort();
        });
        disk.cut_power();
        disk.restore_power();
        simulate(async {
            let checked = check_log(&open(), &trusted_log()).await;
            let published = checked.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.head().size());
            assert!(published >= known, "operation {number}: {published} of {known}");
            let log = Life::begin(open(), register(), options).await;
            log.add(300).await;
            sleep(Duration::from_secs(10)).await;
            check_log(&open(), &trusted_log()).await;
            log.end().await;
        });
    }
}

fn batch(count: usize) -> Vec<Entry> {
    entries("of a batch", count).into_iter().map(|bytes| Entry::new(bytes).expect("an entry")).collect()
}
