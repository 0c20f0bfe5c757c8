//! A store that went back in time is noticed: nothing that contradicts what was said is signed.

use std::sync::Arc;
use std::time::Duration;

use kiln_sequencer::{
    Alarm, Dedup, Entry, LoadError, Log, Options, RoundError, Sequencer, Status, Voice, Wait,
};
use kiln_simulator::disk::SimulatedDisk;
use kiln_simulator::world::{Ledger, Patience, SeededEnvironment, entries, live, signing_key, simulate};
use kiln_storage::{Folder, FolderRegister, Memory, MemoryRegister, MutableObjects};
use tokio::sync::watch;

/// One life on a folder: as many rounds, of as many entries each.
async fn live_on(
    disk: &SimulatedDisk,
    ledger: &mut Ledger,
    label: &str,
    rounds: usize,
) -> Result<(), LoadError> {
    let rounds: Vec<_> = (0..rounds).map(|round| entries(&format!("{label}, round {round}"), 100)).collect();
    let store = Folder::on(Arc::new(disk.below("log")), "a test".into())?;
    let guard = Arc::new(disk.below("state"));
    let guard = FolderRegister::new(guard, "/state/guard".into(), "a test".into(), Duration::from_secs(1));
    live(store, guard, SeededEnvironment::new(1), ledger, &rounds, Patience::UntilAcknowledged).await
}

fn fork(error: &LoadError) -> (Voice, u64, u64) {
    match error {
        LoadError::Round(RoundError::Alarm(Alarm::Fork { voice, theirs, ours })) => {
            (*voice, theirs.size, ours.size)
        }
        other => panic!("not the alarm that was expected: {other}"),
    }
}

#[test]
fn a_folder_restored_wholly_is_refused_with_both_sizes() {
    simulate(async {
        let (disk, mut ledger) = (SimulatedDisk::new(1), Ledger::default());
        live_on(&disk, &mut ledger, "first", 2).await.expect("a new log");
        let backup = disk.snapshot("log");
        live_on(&disk, &mut ledger, "second", 2).await.expect("the same log");
        disk.put_back("log", &backup);
        let error = live_on(&disk, &mut ledger, "third", 1).await.expect_err("the store went back");
        assert_eq!(fork(&error), (Voice::Guard, 400, 200));
        assert!(error.to_string().contains("400") && error.to_string().contains("200"), "{error}");
        assert!(error.is_bad_log());
        assert_eq!(disk.snapshot("log/public"), public_half(&backup), "nothing was written");
    });
}

#[test]
fn a_private_half_restored_alone_is_refused_with_both_sizes() {
    simulate(async {
        let (disk, mut ledger) = (SimulatedDisk::new(2), Ledger::default());
        live_on(&disk, &mut ledger, "first", 2).await.expect("a new log");
        let backup = disk.snapshot("log/private");
        live_on(&disk, &mut ledger, "second", 2).await.expect("the same log");
        disk.put_back("log/private", &backup);
        let error = live_on(&disk, &mut ledger, "third", 1).await.expect_err("the head went back");
        assert_eq!(fork(&error), (Voice::Guard, 400, 200));
    });
}

#[test]
fn a_public_half_restored_alone_is_brought_up_to_what_was_acknowledged_or_refused() {
    simulate(async {
        for lost_rounds in [1, 2] {
            let (disk, mut ledger) = (SimulatedDisk::new(3), Ledger::default());
            live_on(&disk, &mut ledger, "first", 3).await.expect("a new log");
            let backup = disk.snapshot("log/public");
            live_on(&disk, &mut ledger, "second", lost_rounds).await.expect("the same log");
            disk.put_back("log/public", &backup);
            let lived = live_on(&disk, &mut ledger, "third", 1).await;
            if lost_rounds == 1 {
                // The head still holds the last round: nothing is lost.
                lived.expect("the round in the head is applied again");
                let store = Folder::on(Arc::new(disk.below("log")), "a test".into()).expect("a folder");
                assert_eq!(ledger.check_at_rest(&store).await, 500);
            } else {
                let error = lived.expect_err("tiles are missing");
                assert!(matches!(error, LoadError::Read(_)), "{error}");
                assert!(error.is_bad_log());
                assert!(error.to_string().contains("missing from the store"), "{error}");
            }
        }
    });
}

fn public_half(
    backup: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>,
) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    backup.clone().into_iter().filter(|(path, _)| path.starts_with("/log/public")).collect()
}

/// A writer loads; another commits and publishes more; the store goes back to what the first has
/// seen, so its swap wins. Sizes alone would not tell: the first commits just as much.
async fn fork_under_a_running_writer(count: usize) {
    let (memory, guard, mut ledger) = (Memory::new(), MemoryRegister::default(), Ledger::default());
    let environment = SeededEnvironment::new(4);
    let first = [entries("first", 10)];
    live(
        memory.clone(),
        guard.clone(),
        environment.clone(),
        &mut ledger,
        &first,
        Patience::UntilAcknowledged,
    )
    .await
    .expect("a new log");

    let log = Log::new(signing_key(), memory.clone(), guard.clone(), Dedup::in_memory(), environment.clone());
    let sequencer = Sequencer::new(log, Options::default());
    let shared = sequencer.shared();
    let writer = sequencer.load().await.expect("the log");
    let backup = memory.copy();

    let second = [entries("second", 10)];
    live(memory.clone(), guard, environment, &mut ledger, &second, Patience::UntilAcknowledged)
        .await
        .expect("the other writer");
    memory.go_back_to(&backup);

    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(sequencer.run(writer, stopped));
    tokio::task::yield_now().await;
    let batch = entries("on the fork", count).into_iter().map(|entry| Entry::new(entry).expect("an entry"));
    assert!(shared.pool.submit(batch.collect(), Wait::Sequenced).await.is_err(), "nothing is acknowledged");
    tokio::time::sleep(Duration::from_secs(10)).await; // for the load that follows
    assert!(matches!(shared.state().status, Status::Alarmed(_)), "{}", shared.state().status);
    let (checkpoint, _) =
        memory.read_version(&"checkpoint".parse().expect("a name")).await.expect("memory").expect("one");
    assert!(String::from_utf8_lossy(&checkpoint).contains("\n10\n"), "nothing more was signed");
    stop.send_replace(true);
    running.await.expect("no panic");
}

#[test]
fn a_store_that_goes_back_under_a_running_writer_raises_the_alarm_before_anything_is_signed() {
    // Fewer entries than the other writer committed, as many, and more.
    for count in [5, 10, 20] {
        simulate(fork_under_a_running_writer(count));
    }
}
