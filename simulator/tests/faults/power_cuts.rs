//! The folder, the real code, on a disk whose power is cut after every operation of several rounds.

use std::time::Duration;

use kiln_sequencer::LoadError;
use kiln_simulator::disk::{SimulatedDisk, Trouble};
use kiln_simulator::world::{Ledger, Patience, SeededEnvironment, entries, live, simulate};
use kiln_storage::{Folder, FolderRegister, Loaded, Register, contract};

const ROUNDS: usize = 3;

async fn three_rounds(
    disk: &SimulatedDisk,
    ledger: &mut Ledger,
    label: &str,
    patience: Patience,
) -> Result<(), LoadError> {
    let rounds: Vec<_> = (0..ROUNDS).map(|round| entries(&format!("{label}, round {round}"), 100)).collect();
    let store = Folder::on(std::sync::Arc::new(disk.below("log")), "a test".into())?;
    let guard = std::sync::Arc::new(disk.below("state"));
    let guard = FolderRegister::new(guard, "/state/guard".into(), "a test".into(), Duration::from_secs(1));
    live(store, guard, SeededEnvironment::new(1), ledger, &rounds, patience).await
}

async fn check_at_rest(disk: &SimulatedDisk, ledger: &mut Ledger) -> u64 {
    let store = Folder::on(std::sync::Arc::new(disk.below("log")), "a test".into()).expect("a folder");
    ledger.check_at_rest(&store).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_simulated_disk_is_a_disk() {
    let number = std::sync::atomic::AtomicU64::new(0);
    contract::check(|| async {
        let disk = SimulatedDisk::new(number.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        Folder::on(std::sync::Arc::new(disk), "a test".into()).expect("a folder")
    })
    .await;
}

/// A process that loads the log, finishes what the one before left unfinished, and ends.
fn load_only(disk: &SimulatedDisk) {
    load(disk).expect("a sound log");
}

fn load(disk: &SimulatedDisk) -> Result<(), LoadError> {
    let store = Folder::on(std::sync::Arc::new(disk.below("log")), "a test".into())?;
    let guard = std::sync::Arc::new(disk.below("state"));
    let guard = FolderRegister::new(guard, "/state/guard".into(), "a test".into(), Duration::from_secs(1));
    let (environment, mut ledger) = (SeededEnvironment::new(1), Ledger::default());
    simulate(live(store, guard, environment, &mut ledger, &[], Patience::Once))
}

/// What is durable and published gives way to nothing that is not: each restart wrote the round that
/// the head still holds anew, in place of tiles that readers were using, and a power cut before the
/// sync left a published log torn until a process came back to repair it.
#[test]
fn no_power_cut_in_a_restart_takes_away_what_is_published() {
    for number in 0.. {
        let mut pending = false;
        for seed in 0..8 {
            let disk = SimulatedDisk::new(seed * 1_000 + number as u64);
            let mut ledger = Ledger::default();
            let size = simulate(async {
                three_rounds(&disk, &mut ledger, "first", Patience::UntilAcknowledged).await.expect("a log");
                lose_power(&disk);
                check_at_rest(&disk, &mut ledger).await
            });
            disk.trouble_at(number, Trouble::PowerCut);
            let _ = load(&disk); // ends with the power
            pending = disk.trouble_is_pending();
            lose_power(&disk);
            let left = simulate(check_at_rest(&disk, &mut ledger));
            assert_eq!(left, size, "operation {number}, seed {seed}");
        }
        if pending {
            return;
        }
    }
}

fn lose_power(disk: &SimulatedDisk) {
    disk.cut_power();
    disk.restore_power();
}

/// Makes trouble at every operation in turn, lets `afterwards` bring the disk back, and goes on.
/// In the end the power is cut between two operations: what was answered stands, and can be read
/// before any process has come back to repair it.
fn at_every_operation(trouble: Trouble, seeds: u64, afterwards: fn(&SimulatedDisk)) -> usize {
    for number in 0.. {
        let mut pending = false;
        for seed in 0..seeds {
            let disk = SimulatedDisk::new(seed * 1_000 + number as u64);
            disk.trouble_at(number, trouble);
            let mut ledger = Ledger::default();
            let context = format!("operation {number}, seed {seed}, {trouble:?}");
            // A life ends with the trouble; then nobody answers any more.
            let _ = simulate(three_rounds(&disk, &mut ledger, "first", Patience::Once));
            pending = disk.trouble_is_pending();
            afterwards(&disk);
            let size = simulate(async {
                let lived = three_rounds(&disk, &mut ledger, "second", Patience::Once).await;
                lived.unwrap_or_else(|error| panic!("{context}: {error}"));
                check_at_rest(&disk, &mut ledger).await;
                lose_power(&disk);
                check_at_rest(&disk, &mut ledger).await
            });
            assert!((300..=600).contains(&size), "{context}: {size}");
        }
        if pending {
            return number;
        }
    }
    unreachable!("a run has an end");
}

#[test]
fn no_power_cut_loses_what_was_acknowledged() {
    let operations = at_every_operation(Trouble::PowerCut, 12, SimulatedDisk::restore_power);
    assert!(operations > 50, "only {operations} operations");
}

#[test]
fn no_kill_loses_what_was_acknowledged() {
    at_every_operation(Trouble::PowerCut, 3, SimulatedDisk::revive);
}

/// What a killed process wrote can be seen, and yet be lost: whoever goes on from it has to make it
/// durable first.
#[test]
fn no_kill_and_later_power_cut_loses_what_was_acknowledged() {
    at_every_operation(Trouble::PowerCut, 6, |disk| {
        disk.revive();
        load_only(disk);
        lose_power(disk);
    });
}

#[test]
fn no_failed_sync_is_believed_when_it_claims_success_later() {
    // The operation fails, the process goes on or comes again, and then the power is cut.
    at_every_operation(Trouble::FailsSeen, 6, lose_power);
    at_every_operation(Trouble::FailsTorn, 6, lose_power);
}

#[test]
fn no_failed_write_loses_what_was_acknowledged() {
    at_every_operation(Trouble::FailsUndone, 3, lose_power);
}

/// A process that stands by looked at the guard, which writes it anew, and was killed, or its sync failed,
/// between the rename and the sync of the folder. The writer found the value that it knew, took the
/// file for its own, and overwrote it in place: a power cut brought the older file back under that name.
#[test]
fn who_only_looks_at_a_register_and_dies_takes_nothing_from_who_writes_it() {
    for (operation, seed) in (0..12).flat_map(|operation| (0..16).map(move |seed| (operation, seed))) {
        for (more, killed) in [(1, true), (2, true), (3, true), (1, false), (2, false), (3, false)] {
            let disk = SimulatedDisk::new(seed);
            let (writer, looker) = (disk.for_another_process(), disk.for_another_process());
            let left = simulate(async {
                let written = register(&writer);
                swap_in(&written, 0..3).await;
                if killed {
                    looker.kill_after(operation);
                } else {
                    disk.trouble_at(operation, Trouble::FailsSeen);
                }
                drop(register(&looker).load().await);
                disk.stop_trouble();
                swap_in(&written, 3..3 + more).await;
                lose_power(&disk);
                register(&disk).load().await.expect("the power is back").value
            });
            let context = format!("operation {operation}, seed {seed}, killed: {killed}, {more} more");
            assert_eq!(left, Some((2 + more).to_string().into()), "{context}");
        }
    }
}

fn register(disk: &SimulatedDisk) -> FolderRegister<SimulatedDisk> {
    FolderRegister::new(disk.clone().into(), "/guard".into(), "a test".into(), Duration::ZERO)
}

async fn swap_in(register: &FolderRegister<SimulatedDisk>, values: std::ops::Range<u32>) {
    for value in values {
        let Loaded { held, .. } = register.load().await.expect("nobody else holds it");
        drop(register.swap(held, value.to_string().into()).await.expect("it is durable"));
    }
}
