//! The next round is committed while the last is settled: a slow store costs latency, and neither
//! throughput nor correctness.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_sequencer::{
    Answer, Dedup, Entry, HeadRecord, LoadError, Log, MAX_ROUNDS, Options, Refusal, Sequencer, Shared, Wait,
    create_log,
};
use kiln_simulator::faulty::{Fate, Faults, FaultyRegister, FaultyStore};
use kiln_simulator::world::{Ledger, Patience, SeededEnvironment, entries, live, signing_key, simulate};
use kiln_storage::{Loaded, Memory, MemoryRegister, Register, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// A log on a store that can be slow.
struct World {
    memory: Memory,
    guard: MemoryRegister,
    faults: Faults,
    shared: Arc<Shared<FaultyStore, FaultyRegister>>,
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), Arc<LoadError>>>,
}

type Submitted = JoinHandle<Result<(Answer, Duration), Refusal>>;

impl World {
    async fn start(latency: Duration) -> Self {
        let (memory, guard, faults) = (Memory::new(), MemoryRegister::default(), Faults::default());
        let store = FaultyStore::new(memory.clone(), faults.clone());
        let guarded = FaultyRegister::new(guard.clone(), faults.clone());
        let environment = SeededEnvironment::new(1);
        let log = Log::new(signing_key(), store, guarded, Dedup::in_memory(), environment);
        create_log(&log).await.expect("a log");
        let sequencer = Sequencer::new(log, Options::default());
        let shared = sequencer.shared();
        let writer = sequencer.load().await.expect("it loads");
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(sequencer.run(writer, stopped));
        faults.set_latency(latency);
        tokio::task::yield_now().await;
        Self { memory, guard, faults, shared, stop, running }
    }

    /// Submits an entry; the answer comes with how long it took.
    fn submit(&self, entry: &Bytes, wait: Wait) -> Submitted {
        let (shared, entry) = (self.shared.clone(), Entry::new(entry.clone()).expect("an entry"));
        tokio::spawn(async move {
            let start = Instant::now();
            let answer = shared.pool.submit(vec![entry], wait).await?;
            Ok((answer, start.elapsed()))
        })
    }

    /// What the head holds.
    async fn head(&self) -> HeadRecord {
        let Loaded { value, .. } = self.memory.head().load().await.expect("memory");
        HeadRecord::parse(&value.expect("a head")).expect("a record")
    }

    async fn stop(self) -> Memory {
        self.stop.send_replace(true);
        self.running.await.expect("no panic").expect("all is published");
        self.memory
    }
}

async fn answered(submitted: Submitted) -> (Answer, Duration) {
    submitted.await.expect("no panic").expect("an answer")
}

/// A request takes 600 ms, so a round takes three seconds and more, and yet one is committed each second.
#[test]
fn rounds_go_on_each_second_on_a_store_that_is_slower_than_that() {
    simulate(async {
        let world = World::start(Duration::from_millis(600)).await;
        let (mut submitted, mut most_rounds) = (Vec::new(), 0);
        for entry in &entries("slow", 20) {
            submitted.push(world.submit(entry, Wait::Published));
            sleep(Duration::from_secs(1)).await;
            most_rounds = most_rounds.max(world.head().await.rounds.len());
        }
        for (index, submitted) in (0..).zip(submitted) {
            let (answer, took) = answered(submitted).await;
            assert_eq!(answer.indices, [index]);
            assert!(answer.checkpoint.head().size() > index, "it was answered before it was published");
            assert!(took < Duration::from_secs(7), "{took:?}");
        }
        assert!((2..=MAX_ROUNDS).contains(&most_rounds), "{most_rounds} rounds in the head at most");
        assert_eq!(world.head().await.number, 20, "a round a second");
        assert_eq!(Ledger::default().check_at_rest(&world.stop().await).await, 20);
    });
}

#[test]
fn what_comes_within_an_interval_shares_a_round() {
    simulate(async {
        let world = World::start(Duration::ZERO).await;
        let mut submitted = Vec::new();
        for entry in &entries("within", 10) {
            submitted.push(world.submit(entry, Wait::Published));
            sleep(Duration::from_millis(100)).await;
        }
        for submitted in submitted {
            answered(submitted).await;
        }
        assert_eq!(world.head().await.number, 2, "one at once, one a second later");
        assert_eq!(Ledger::default().check_at_rest(&world.stop().await).await, 10);
    });
}

/// A write that failed was given up with its round: the submitters were told that nobody knows.
#[test]
fn a_write_that_fails_is_tried_again_and_everybody_is_answered() {
    for fate in Fate::ALL {
        let mut answered = 0;
        // The head, the guard read and swapped, the tiles, the checkpoint read and put.
        for call in 0..6 {
            answered += simulate(async {
                let world = World::start(Duration::ZERO).await;
                world.faults.fail_after(call, fate);
                let submitted = world.submit(&entries("once", 1)[0], Wait::Published).await;
                usize::from(submitted.expect("no panic").is_ok())
            });
        }
        assert_eq!(answered, 4, "{fate:?}: a read that fails ends the round");
    }
}

/// What comes while the store hangs waits in the pool, once the head has no more room.
#[test]
fn a_stall_of_seconds_ends_with_everybody_answered() {
    simulate(async {
        let world = World::start(Duration::from_millis(200)).await;
        let mut submitted = Vec::new();
        for (number, entry) in entries("stalled", 60).iter().enumerate() {
            world.faults.set_latency(Duration::from_millis(if number % 20 == 7 { 5000 } else { 200 }));
            submitted.push(world.submit(entry, Wait::Published));
            sleep(Duration::from_millis(500)).await;
            assert!(world.head().await.rounds.len() <= MAX_ROUNDS);
        }
        for submitted in submitted {
            let (_, took) = answered(submitted).await;
            assert!(took < Duration::from_secs(30), "{took:?}");
        }
        assert_eq!(Ledger::default().check_at_rest(&world.stop().await).await, 60);
    });
}

/// The dedup index does not know an entry yet whose round is being settled.
#[test]
fn a_duplicate_of_an_entry_on_its_way_gets_its_index_and_waits_for_it() {
    simulate(async {
        let world = World::start(Duration::from_secs(2)).await;
        let entry = &entries("twice", 1)[0];
        let first = world.submit(entry, Wait::Published);
        while world.head().await.rounds.is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_millis(1500)).await; // the commit is known, the guard is not raised
        let (sequenced, second) =
            (world.submit(entry, Wait::Sequenced), world.submit(entry, Wait::Published));
        sleep(Duration::from_millis(1)).await;
        assert!(!sequenced.is_finished() && !second.is_finished());
        let (sequenced, second) = (answered(sequenced).await, answered(second).await);
        for (answer, _) in [&sequenced, &second, &answered(first).await] {
            assert_eq!(answer.indices, [0]);
        }
        assert!(sequenced.1 < second.1, "{:?} and {:?}", sequenced.1, second.1);
        assert_eq!(second.0.checkpoint.head().size(), 1);
        assert_eq!(Ledger::default().check_at_rest(&world.stop().await).await, 1);
    });
}

/// A process ends, or a call fails, at any moment of a run whose head holds several rounds.
#[test]
fn rounds_in_flight_survive_an_end_at_any_moment() {
    for moment in 0..60 {
        simulate(async {
            let world = World::start(Duration::from_millis(700)).await;
            let mut submitted = Vec::new();
            for number in 0..=moment / 10 {
                submitted.push(world.submit(&entries("kill", 10)[number], Wait::Sequenced));
                let rest = (moment % 10) as u64 * 100;
                sleep(Duration::from_millis(if number == moment / 10 { rest } else { 1000 })).await;
            }
            world.running.abort(); // as a crash does, while calls are on their way
            let (memory, guard) = (world.memory, world.guard);
            let mut acknowledged = Vec::new();
            for submitted in submitted {
                submitted.abort(); // unless it has its answer
                acknowledged.extend(submitted.await.ok().and_then(Result::ok).map(|(a, _)| a.indices[0]));
            }
            let (mut ledger, rounds) = (Ledger::default(), [entries("kill", 10)]);
            let environment = SeededEnvironment::new(2);
            live(memory.clone(), guard, environment, &mut ledger, &rounds, Patience::UntilAcknowledged)
                .await
                .expect("it loads");
            assert_eq!(ledger.check_at_rest(&memory).await, 10, "no entry is lost or doubled");
            assert!(acknowledged.iter().copied().eq(0..acknowledged.len() as u64), "{acknowledged:?}");
        });
    }
}

/// A fault while rounds are in flight loses no acknowledged entry.
#[test]
fn a_fault_at_any_call_of_rounds_in_flight_loses_nothing() {
    for call in 0..60 {
        for fate in Fate::ALL {
            simulate(async {
                let world = World::start(Duration::from_millis(700)).await;
                let all = entries("fault", 12);
                world.faults.fail_after(call, fate);
                let mut submitted = Vec::new();
                for entry in &all {
                    submitted.push(world.submit(entry, Wait::Sequenced));
                    sleep(Duration::from_millis(500)).await;
                }
                let mut acknowledged = Vec::new();
                for (entry, submitted) in all.iter().zip(submitted) {
                    if let Ok((answer, _)) = submitted.await.expect("no panic") {
                        acknowledged.push((entry, answer.indices[0]));
                    }
                }
                let (mut ledger, rounds) = (Ledger::default(), [all.clone()]);
                let (memory, guard) = (world.memory.clone(), world.guard.clone());
                world.stop.send_replace(true);
                drop(world.running.await.expect("no panic"));
                let environment = SeededEnvironment::new(2);
                live(memory.clone(), guard, environment, &mut ledger, &rounds, Patience::UntilAcknowledged)
                    .await
                    .expect("it loads");
                assert_eq!(ledger.check_at_rest(&memory).await, 12, "call {call}, {fate:?}");
                for (entry, index) in acknowledged {
                    assert_eq!(ledger.index_of(entry), Some(index), "call {call}, {fate:?}");
                }
            });
        }
    }
}
