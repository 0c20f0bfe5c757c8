//! A store that lost something is brought back from a mirror, and every call and every operation on the
//! way fails once: nothing is lost, and repeating it succeeds.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_client::{Client, Existing, StoreSource};
use kiln_sequencer::{
    Dedup, HeadRecord, LoadError, Log, Options, Plan, RecoverError, Recovery, Sequencer, Voice,
};
use kiln_simulator::disk::{SimulatedDisk, Trouble};
use kiln_simulator::faulty::{Fate, Faults, FaultyRegister, FaultyStore};
use kiln_simulator::world::{
    Ledger, Patience, SeededEnvironment, entries, live, signing_key, simulate, trusted_log,
};
use kiln_storage::{
    Folder, FolderRegister, ImmutableObjects, Memory, MemoryRegister, MutableObjects, Object, ObjectPath,
    Register, Store,
};
use kiln_tiles::{Hash, SigningKey, TreeHead};

/// What `kiln recover` does.
async fn recover<S: Store + Clone, G: Register>(
    store: S,
    guard: G,
    mirror: &Memory,
    seed: u64,
) -> Result<Plan, Box<dyn Error>> {
    let client = Client::new(StoreSource::new(mirror.clone()), trusted_log());
    let best = client.update().await?.checkpoint;
    let environment = SeededEnvironment::new(seed);
    let log = Log::new(signing_key(), store.clone(), guard, Dedup::off(), environment);
    let recovery = Recovery::begin(&log).await?;
    let plan = recovery.plan(best.head(), None)?;
    client.copy_into(&store, plan.tree(), Existing::Mend, |_| {}).await?;
    if recovery.is_checkpoint_damaged() {
        client.copy_into(&store, best.head(), Existing::Keep(plan.tree()), |_| {}).await?;
    }
    recovery.finish(plan, &best).await?;
    Sequencer::new(log, Options::default()).load().await?;
    Ok(plan)
}

fn path(name: &str) -> ObjectPath {
    name.parse().expect("an object name")
}

/// How a store lost something.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// It went back by two rounds.
    Back,
    /// Everything is gone.
    All,
    /// Objects below the head: one is missing, one damaged; so is the checkpoint.
    Objects,
}

const LOSSES: [Loss; 3] = [Loss::Back, Loss::All, Loss::Objects];

/// A log of four rounds in memory, whose store lost something, and a mirror of it.
struct World {
    store: Memory,
    guard: MemoryRegister,
    mirror: Memory,
    ledger: Ledger,
}

impl World {
    async fn after(loss: Loss) -> Self {
        let (store, guard) = (Memory::new(), MemoryRegister::default());
        let mut world = Self { store, guard, mirror: Memory::new(), ledger: Ledger::default() };
        world.live("first", 2, &Faults::none()).await;
        let backup = world.store.copy();
        world.live("second", 2, &Faults::none()).await;
        world.ledger.check_at_rest(&world.store).await;
        world.mirror = world.store.copy();
        match loss {
            Loss::Back => world.store.go_back_to(&backup),
            Loss::All => world.store.go_back_to(&Memory::new()),
            Loss::Objects => {
                world.store.tamper(&path("tile/entries/000"), None);
                world.store.tamper(&path("tile/0/000"), Some(Bytes::from_static(b"damaged")));
                world.store.tamper(&path("checkpoint"), Some(Bytes::from_static(b"damaged")));
            }
        }
        world
    }

    async fn live(&mut self, label: &str, rounds: usize, faults: &Faults) {
        let rounds: Vec<_> = (0..rounds).map(|round| entries(&format!("{label} {round}"), 150)).collect();
        let store = FaultyStore::new(self.store.clone(), faults.clone());
        let guard = FaultyRegister::new(self.guard.clone(), faults.clone());
        let environment = SeededEnvironment::new(1);
        let lived =
            live(store, guard, environment, &mut self.ledger, &rounds, Patience::UntilAcknowledged).await;
        lived.expect("a sound log");
    }

    async fn head(&self) -> TreeHead {
        let value = self.store.head().load().await.expect("memory").value;
        HeadRecord::parse(&value.expect("a head")).expect("a record").head
    }

    async fn recover(&self, faults: &Faults, seed: u64) -> Result<Plan, Box<dyn Error>> {
        let store = FaultyStore::new(self.store.clone(), faults.clone());
        let guard = FaultyRegister::new(self.guard.clone(), faults.clone());
        recover(store, guard, &self.mirror, seed).await
    }
}

#[test]
fn no_single_fault_in_a_recovery_loses_an_entry() {
    for loss in LOSSES {
        let mut calls = 0;
        for fate in Fate::ALL {
            for number in 0.. {
                let pending = simulate(async {
                    let mut world = World::after(loss).await;
                    let (faults, context) =
                        (Faults::at(number, fate), format!("{loss:?}, {number}, {fate:?}"));
                    let first = world.recover(&faults, number as u64).await;
                    let pending = faults.is_pending();
                    faults.stop();
                    if let Err(error) = first {
                        assert!(!pending, "{context}: {error}");
                        let again = world.recover(&faults, 1).await;
                        again.unwrap_or_else(|error| panic!("{context}: {error}"));
                    }
                    assert_eq!(world.ledger.check_at_rest(&world.store).await, 600, "{context}");
                    world.live("third", 1, &faults).await; // what comes late comes now
                    assert_eq!(world.ledger.check_at_rest(&world.store).await, 750, "{context}");
                    pending
                });
                if pending {
                    calls += number;
                    break;
                }
            }
        }
        assert!(calls > 60, "only {calls} calls failed: the simulation does not reach the recovery");
    }
}

#[test]
fn what_has_to_be_done_is_told_from_what_was_lost() {
    simulate(async {
        for loss in LOSSES {
            let world = World::after(loss).await;
            let plan = world.recover(&Faults::none(), 1).await.expect("a recovery");
            // The newest round is still in the head: its tiles any load writes.
            match loss {
                Loss::Objects => assert!(matches!(plan, Plan::Fill(base) if base.size() == 450), "{plan:?}"),
                _ => assert!(matches!(plan, Plan::Replace(tree) if tree.size() == 600), "{plan:?}"),
            }
            let again = world.recover(&Faults::none(), 1).await.expect("nothing to do");
            assert!(matches!(again, Plan::Fill(_)), "{again:?}");
        }
    });
}

/// The guard knows a round that was never published: no mirror has it.
#[test]
fn a_mirror_that_is_behind_what_was_committed_is_not_enough() {
    simulate(async {
        let mut world = World::after(Loss::All).await;
        let (mirror, objects) = (world.mirror.clone(), world.mirror.objects());
        world.store.go_back_to(&mirror.copy());
        world.live("unpublished", 1, &Faults::none()).await;
        world.store.go_back_to(&Memory::new());
        let error = world.recover(&Faults::none(), 1).await.expect_err("entries are lost");
        match error.downcast_ref::<RecoverError>() {
            Some(RecoverError::Unreached { voice: Voice::Guard, theirs, best }) => {
                assert_eq!((theirs.size(), best.size()), (750, 600));
            }
            _ => panic!("{error}"),
        }
        assert_eq!(world.store.objects().len(), 0, "nothing was written");
        assert_eq!(mirror.objects(), objects);
    });
}

/// Somebody started a backup elsewhere, and it grew another way, further than the log: signed by the
/// same key, and no way to go on.
#[test]
fn a_fork_is_refused_also_where_the_caller_did_not_look() {
    simulate(async {
        let world = World::after(Loss::Back).await;
        let mut fork = World {
            store: world.store.copy(),
            guard: MemoryRegister::default(),
            mirror: Memory::new(),
            ledger: Ledger::default(),
        };
        let grown = world.recover(&Faults::none(), 1).await.expect("a recovery").tree();
        let accept = Some(fork.head().await);
        let log = Log::new(
            signing_key(),
            fork.store.clone(),
            fork.guard.clone(),
            Dedup::off(),
            SeededEnvironment::new(2),
        );
        let options = Options { accept_head: accept, ..Options::default() };
        Sequencer::new(log, options).load().await.expect("a head that was accepted");
        fork.live("fork", 3, &Faults::none()).await;
        let before = world.head().await;
        let error = recover(world.store.clone(), world.guard.clone(), &fork.store, 1).await;
        match error.expect_err("a fork").downcast_ref::<RecoverError>() {
            Some(RecoverError::Fork { voice: Voice::Guard, theirs, ours }) => {
                assert_eq!((theirs.size(), ours.size()), (grown.size(), 750));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.head().await, before, "the head is as it was");
    });
}

/// Another writer commits while the log is brought back: only one of the two swaps counts.
#[test]
fn a_recovery_gives_way_to_a_writer() {
    simulate(async {
        let mut world = World::after(Loss::Back).await;
        let client = Client::new(StoreSource::new(world.mirror.clone()), trusted_log());
        let best = client.update().await.expect("a mirror").checkpoint;
        let environment = SeededEnvironment::new(1);
        let log =
            Log::new(signing_key(), world.store.clone(), world.guard.clone(), Dedup::off(), environment);
        let slow = Recovery::begin(&log).await.expect("a log");
        let plan = slow.plan(best.head(), None).expect("a mirror that reaches");
        world.recover(&Faults::none(), 2).await.expect("a recovery");
        world.live("third", 1, &Faults::none()).await;
        let error = slow.finish(plan, &best).await.expect_err("another writer is further");
        assert!(error.to_string().contains("another writer"), "{error}");
        assert_eq!(world.ledger.check_at_rest(&world.store).await, 750);
    });
}

/// A log on a folder whose disk makes trouble, and a mirror of it.
struct FolderWorld {
    disk: SimulatedDisk,
    mirror: Memory,
    ledger: Ledger,
}

fn folder(disk: &SimulatedDisk) -> Folder<SimulatedDisk> {
    Folder::on(Arc::new(disk.below("log")), "a test".into()).expect("a folder")
}

fn guard(disk: &SimulatedDisk) -> FolderRegister<SimulatedDisk> {
    let patience = Duration::from_secs(1);
    FolderRegister::new(Arc::new(disk.below("state")), "/state/guard".into(), "a test".into(), patience)
}

impl FolderWorld {
    async fn live(&mut self, label: &str, rounds: usize) {
        let rounds: Vec<_> = (0..rounds).map(|round| entries(&format!("{label} {round}"), 150)).collect();
        let (environment, patience) = (SeededEnvironment::new(1), Patience::UntilAcknowledged);
        let lived =
            live(folder(&self.disk), guard(&self.disk), environment, &mut self.ledger, &rounds, patience);
        lived.await.expect("a sound log");
    }

    async fn after(loss: Loss, seed: u64) -> Self {
        let disk = SimulatedDisk::new(seed);
        let mut world = Self { disk, mirror: Memory::new(), ledger: Ledger::default() };
        world.live("first", 2).await;
        let backup = world.disk.snapshot("log");
        world.live("second", 2).await;
        world.ledger.check_at_rest(&folder(&world.disk)).await;
        let newest = world.disk.snapshot("log");
        let public = newest.iter().filter_map(|(path, body)| {
            let name = path.strip_prefix("/log/public").ok()?.to_str()?;
            Some(Object { path: name.parse().ok()?, body: body.clone().into() })
        });
        world.mirror.create(public.collect()).await.expect("an empty mirror");
        let lost = match loss {
            Loss::Back => backup,
            Loss::All => std::collections::BTreeMap::new(),
            Loss::Objects => {
                let mut lost = newest;
                lost.remove(std::path::Path::new("/log/public/tile/entries/000")).expect("a bundle");
                lost.insert("/log/public/tile/0/000".into(), b"damaged".to_vec());
                lost
            }
        };
        world.disk.put_back("log", &lost);
        world
    }

    async fn recover(&self, seed: u64) -> Result<Plan, Box<dyn Error>> {
        let store = Folder::on(Arc::new(self.disk.below("log")), "a test".into())?;
        recover(store, guard(&self.disk), &self.mirror, seed).await
    }
}

fn lose_power(disk: &SimulatedDisk) {
    disk.cut_power();
    disk.restore_power();
}

/// Trouble at every operation of a recovery; then it is repeated, and the power cut right after it said
/// that it was done.
fn at_every_operation(trouble: Trouble, seeds: u64, afterwards: fn(&SimulatedDisk)) {
    for loss in LOSSES {
        for number in 0.. {
            let mut pending = false;
            for seed in 0..seeds {
                let context = format!("{loss:?}, operation {number}, seed {seed}, {trouble:?}");
                simulate(async {
                    let mut world = FolderWorld::after(loss, seed * 1_000 + number as u64).await;
                    world.disk.trouble_at(number, trouble);
                    let first = world.recover(1).await;
                    pending = world.disk.trouble_is_pending();
                    assert!(first.is_ok() || !pending, "{context}");
                    afterwards(&world.disk);
                    let again = world.recover(2).await;
                    again.unwrap_or_else(|error| panic!("{context}: {error}"));
                    lose_power(&world.disk);
                    if trouble != Trouble::PowerCut {
                        // After a sync that failed the checkpoint itself may be one step back; any start
                        // publishes it again.
                        world.live("", 0).await;
                    }
                    assert_eq!(world.ledger.check_at_rest(&folder(&world.disk)).await, 600, "{context}");
                    world.live("third", 1).await;
                    assert_eq!(world.ledger.check_at_rest(&folder(&world.disk)).await, 750, "{context}");
                });
            }
            if pending {
                assert!(number > 30, "{loss:?}: only {number} operations");
                break;
            }
        }
    }
}

#[test]
fn no_power_cut_in_a_recovery_loses_an_entry() {
    at_every_operation(Trouble::PowerCut, 3, SimulatedDisk::restore_power);
}

/// Equal bytes that an earlier run wrote were taken for durable, and were gone with the power.
#[test]
fn no_failing_operation_in_a_recovery_loses_an_entry() {
    for trouble in [Trouble::FailsUndone, Trouble::FailsSeen, Trouble::FailsTorn] {
        at_every_operation(trouble, 1, SimulatedDisk::revive);
    }
}

impl World {
    /// The log as a process knows it that has this guard.
    fn log(&self, key: SigningKey, guard: &MemoryRegister) -> Log<Memory, MemoryRegister> {
        Log::new(key, self.store.clone(), guard.clone(), Dedup::off(), SeededEnvironment::new(1))
    }
}

/// The guard was lost with the store: nothing but a person can tell that no larger tree was ever signed.
#[test]
fn without_a_guard_a_person_vouches_for_what_is_brought_back() {
    simulate(async {
        let world = World::after(Loss::All).await;
        let log = world.log(signing_key(), &MemoryRegister::default());
        let recovery = Recovery::begin(&log).await.expect("an empty store");
        assert!(recovery.base().is_none() && !recovery.is_checkpoint_damaged());
        let best = world.ledger.head().expect("it was published");
        let other = TreeHead::new(599, best.root()).expect("a tree");
        let error = recovery.plan(best, None).expect_err("nobody vouches");
        assert!(matches!(error, RecoverError::NoVoice { target } if target == best), "{error}");
        let error = recovery.plan(best, Some(other)).expect_err("another tree was accepted");
        assert!(matches!(error, RecoverError::NotAccepted { .. }), "{error}");
        assert_eq!(recovery.plan(best, Some(best)).expect("a person vouches"), Plan::Replace(best));
        let empty = TreeHead::empty();
        assert_eq!(recovery.plan(empty, None).expect("nothing to lose"), Plan::Replace(empty));
    });
}

/// The wrong key, or the wrong store: a recovery would put one log in the place of another.
#[test]
fn the_store_of_another_key_is_left_alone() {
    simulate(async {
        let world = World::after(Loss::Back).await;
        let key = SigningKey::from_seed("example.com/other".parse().expect("a key name"), [8; 32]);
        let log = world.log(key, &MemoryRegister::default());
        let error = Recovery::begin(&log).await.expect_err("another log's checkpoint");
        assert!(matches!(error, RecoverError::OtherCheckpoint(_)), "{error}");
        world.store.tamper(&path("checkpoint"), None);
        let error = Recovery::begin(&log).await.expect_err("another log's head");
        assert!(matches!(error, RecoverError::Load(LoadError::OtherLog { .. })), "{error}");
    });
}

/// The rounds in the head stand on tiles that a mirror must have, or they are of no use.
#[test]
fn a_mirror_must_reach_the_tree_on_which_the_head_stands() {
    simulate(async {
        let world = World::after(Loss::Objects).await;
        let log = world.log(signing_key(), &world.guard);
        let recovery = Recovery::begin(&log).await.expect("a log");
        assert_eq!(recovery.base().map(|base| base.size()), Some(450));
        assert!(recovery.is_checkpoint_damaged());
        let best = |size| TreeHead::new(size, Hash::leaf(b"a root")).expect("a tree");
        let error = recovery.plan(best(449), None).expect_err("tiles are lost");
        assert!(matches!(error, RecoverError::Short { base, .. } if base.size() == 450), "{error}");
        let plan = recovery.plan(best(450), None).expect("all tiles are there");
        assert!(matches!(plan, Plan::Fill(base) if base.size() == 450), "{plan:?}");
    });
}

/// What nobody signed is not brought back, be it as consistent as can be.
#[test]
fn the_tree_to_go_on_from_is_one_that_the_key_signed() {
    simulate(async {
        let world = World::after(Loss::All).await;
        let empty = world.mirror.copy();
        let name = path("checkpoint");
        let (_, version) = empty.read_version(&name).await.expect("memory").expect("a checkpoint");
        let forged = kiln_tiles::Checkpoint::new("example.com/simulated", TreeHead::empty()).expect("a text");
        empty.put(&name, forged.to_string().into(), Some(version)).await.expect("memory");
        let recovered = recover(world.store.clone(), world.guard.clone(), &empty, 1).await;
        recovered.expect_err("nobody signed this");
        assert_eq!(world.store.objects().len(), 0);
    });
}
