//! Every call to the store and to the guard, in the life of a log of several rounds, fails once.

use kiln_simulator::faulty::{Fate, Faults, FaultyRegister, FaultyStore};
use kiln_simulator::world::{Ledger, Patience, SeededEnvironment, entries, live, simulate, trusted_log};
use kiln_storage::{Memory, MemoryRegister};
use kiln_tiles::Checkpoint;

/// A log in memory, and what it promised.
struct World {
    memory: Memory,
    guard: MemoryRegister,
    ledger: Ledger,
    signed: Vec<Checkpoint>,
}

impl World {
    fn new() -> Self {
        Self {
            memory: Memory::new(),
            guard: MemoryRegister::default(),
            ledger: Ledger::default(),
            signed: Vec::new(),
        }
    }

    /// A process that lives for three rounds, 150 entries each, so that tiles fill up.
    async fn three_rounds(&mut self, label: &str, faults: &Faults, seed: u64, patience: Patience) -> bool {
        let rounds: Vec<_> = (0..3).map(|round| entries(&format!("{label}, round {round}"), 150)).collect();
        let store = FaultyStore::new(self.memory.clone(), faults.clone());
        let guard = FaultyRegister::new(self.guard.clone(), faults.clone());
        let environment = SeededEnvironment::new(seed);
        let lived = live(store.clone(), guard, environment, &mut self.ledger, &rounds, patience).await;
        for body in store.put_checkpoints() {
            let checkpoint = trusted_log().open(&body).expect("what is put is signed");
            self.signed.push(checkpoint.checkpoint().clone());
        }
        lived.is_ok()
    }

    /// Every checkpoint that was ever signed is of a prefix of the log.
    async fn check(&mut self) -> u64 {
        let size = self.ledger.check_at_rest(&self.memory).await;
        let log = kiln_simulator::check::check_log(&self.memory, &trusted_log()).await;
        let mut roots = vec![kiln_tiles::TreeHead::empty()];
        let mut edge = kiln_tiles::RightEdge::empty();
        for entry in &log.entries {
            edge.append([kiln_tiles::Hash::leaf(entry)]);
            roots.push(edge.head());
        }
        for checkpoint in &self.signed {
            let size = usize::try_from(checkpoint.head().size()).expect("a small log");
            assert_eq!(roots.get(size), Some(&checkpoint.head()), "a signed checkpoint is no prefix");
        }
        size
    }
}

#[test]
fn no_single_fault_loses_or_doubles_entries() {
    let mut calls = 0;
    for fate in Fate::ALL {
        for number in 0.. {
            let pending = simulate(async {
                let mut world = World::new();
                let faults = Faults::at(number, fate);
                // A fault at the very start ends the process; else everything is acknowledged.
                let lived =
                    world.three_rounds("first", &faults, number as u64, Patience::UntilAcknowledged).await;
                if lived {
                    assert_eq!(world.check().await, 450, "call {number}, {fate:?}");
                    assert_eq!(world.ledger.acknowledged(), 450, "call {number}, {fate:?}");
                }
                let pending = faults.is_pending();
                faults.stop();
                assert!(
                    world.three_rounds("second", &faults, 1, Patience::Once).await,
                    "call {number}, {fate:?}"
                );
                let size = if lived { 900 } else { 450 };
                assert_eq!(world.check().await, size, "call {number}, {fate:?}");
                pending
            });
            if pending {
                calls += number;
                break; // the run never made this call: every call has failed once
            }
        }
    }
    assert!(calls > 60, "only {calls} calls failed: the simulation does not reach the log");
}

#[test]
fn a_process_that_dies_after_any_call_is_followed_by_one_that_goes_on() {
    for fate in [Fate::Lost, Fate::Persisted] {
        for number in 0.. {
            let pending = simulate(async {
                let mut world = World::new();
                let faults = Faults::at(number, fate);
                // The first error ends this life: its submitters never hear from it again.
                let process = world.three_rounds("first", &faults, number as u64, Patience::Once);
                let _ = tokio::time::timeout(std::time::Duration::from_millis(3500), process).await;
                let pending = faults.is_pending();
                faults.stop();
                assert!(
                    world.three_rounds("second", &faults, 1, Patience::Once).await,
                    "call {number}, {fate:?}"
                );
                let size = world.check().await;
                assert!((450..=900).contains(&size), "call {number}, {fate:?}: {size}");
                pending
            });
            if pending {
                break;
            }
        }
    }
}

/// A step that failed for longer than it tries was believed to be done once: a checkpoint for tiles
/// that are not there.
#[test]
fn no_outage_loses_or_doubles_entries() {
    for length in [5, 8, 12] {
        for first in 0.. {
            let pending = simulate(async {
                let mut world = World::new();
                let faults = Faults::outage(first..first + length);
                world.three_rounds("first", &faults, first as u64, Patience::Once).await;
                world.ledger.check(&world.memory).await;
                let pending = faults.is_pending();
                faults.stop();
                assert!(
                    world.three_rounds("second", &faults, 1, Patience::Once).await,
                    "{length} calls from {first} on"
                );
                world.check().await;
                pending
            });
            if pending {
                break;
            }
        }
    }
}

#[test]
fn no_storm_of_faults_loses_or_doubles_entries() {
    for seed in 0..150 {
        simulate(async {
            let mut world = World::new();
            for life in 0..3 {
                let faults = Faults::random(seed * 10 + life, 0.15);
                world.three_rounds(&format!("life {life}"), &faults, seed, Patience::Once).await;
                world.ledger.check(&world.memory).await;
            }
            let faults = Faults::none();
            assert!(
                world.three_rounds("last", &faults, seed, Patience::UntilAcknowledged).await,
                "seed {seed}"
            );
            world.check().await;
        });
    }
}
