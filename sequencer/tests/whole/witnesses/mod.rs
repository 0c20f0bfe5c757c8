//! A log and its witnesses: what is published, with whose lines, and what stops it.

mod fake;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_sequencer::{
    Dedup, Entry, LoadError, Log, Options, Sequencer, Shared, SignError, Signer, State, Status, Wait,
    WitnessMode, WitnessOptions, WitnessSetupError, Witnesses, create_log,
};
use kiln_storage::{Memory, MemoryRegister, MutableObjects};
use kiln_tiles::{
    Cosigner, NoteSignature, OpenCheckpointError, Policy, SignedCheckpoint, SigningKey, TreeHead, TrustedLog,
    VerifierKey,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::common::{self, Still, entries};
use fake::{BAD_WAYS, Fake, Way};

/// Longer than any of these logs is without its witnesses.
const PATIENCE: Duration = Duration::from_secs(300);

/// A log with three witnesses, two of which must cosign.
struct World {
    memory: Memory,
    guard: MemoryRegister,
    witnesses: Vec<Fake>,
    policy: Policy,
}

type Running =
    (Arc<Shared<Memory, MemoryRegister>>, watch::Sender<bool>, JoinHandle<Result<(), Arc<LoadError>>>);

fn key() -> SigningKey {
    SigningKey::from_seed("example.com/log".parse().unwrap(), [1; 32])
}

impl World {
    fn new() -> Self {
        let log = TrustedLog::from(key().verifier_key());
        let cosigners = (1..4u8).map(|number| {
            Cosigner::ed25519_from_seed(format!("witness.example/{number}").parse().unwrap(), [number; 32])
        });
        let mut policy = format!("log {}\n", key().verifier_key());
        let mut witnesses = Vec::new();
        for (cosigner, number) in cosigners.zip(1..) {
            policy += &format!("witness w{number} {} {}\n", cosigner.verifier_key(), number - 1);
            witnesses.push(Fake::new(cosigner, log.clone()));
        }
        let policy = (policy + "group g 2 w1 w2 w3\nquorum g\n").parse().unwrap();
        Self { memory: Memory::default(), guard: MemoryRegister::default(), witnesses, policy }
    }

    fn log(&self, mode: WitnessMode) -> Log<Memory, MemoryRegister> {
        self.log_signed_by(key(), mode)
    }

    fn log_signed_by(&self, signer: impl Signer, mode: WitnessMode) -> Log<Memory, MemoryRegister> {
        let options = WitnessOptions { mode, ..WitnessOptions::default() };
        let connect = |url: &str| {
            Ok::<_, WitnessSetupError>(Box::new(self.witnesses[url.parse::<usize>().unwrap()].clone()) as _)
        };
        let witnesses = Witnesses::new(self.policy.quorum().clone(), options, connect).unwrap();
        let (memory, guard) = (self.memory.clone(), self.guard.clone());
        Log::new(signer, memory, guard, Dedup::in_memory(), Arc::new(Still)).with_witnesses(witnesses)
    }

    async fn run(&self, mode: WitnessMode) -> Running {
        let log = self.log(mode);
        create_log(&log).await.unwrap();
        let sequencer = Sequencer::new(log, Options::default());
        let shared = sequencer.shared();
        let writer = sequencer.load().await.expect("the log loads");
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(sequencer.run(writer, stopped));
        let runs = |state: &State| matches!(state.status, Status::Ready | Status::Unwitnessed);
        shared.watch().wait_for(runs).await.unwrap();
        (shared, stop, running)
    }

    async fn published(&self) -> SignedCheckpoint {
        let (body, _) = self.memory.read_version(&"checkpoint".parse().unwrap()).await.unwrap().unwrap();
        TrustedLog::from(key().verifier_key()).open(&body).unwrap()
    }

    /// The published checkpoint as somebody sees it who wants the quorum.
    async fn cosigned(&self) -> Result<SignedCheckpoint, OpenCheckpointError> {
        let log = self.policy.trusted_log("example.com/log").unwrap();
        log.open_note(self.published().await.note().clone())
    }

    /// Who cosigned what is published.
    async fn cosigned_by(&self) -> Vec<bool> {
        let verdict = self.policy.quorum().judge(self.published().await.note()).expect("no line is wrong");
        verdict.witnesses.iter().map(Option::is_some).collect()
    }
}

async fn add(shared: &Shared<Memory, MemoryRegister>, label: &str) -> u64 {
    let batch = entries(label, 3).into_iter().map(|entry| Entry::new(Bytes::from(entry)).unwrap()).collect();
    let submitted = timeout(PATIENCE, shared.pool.submit(batch, Wait::Published)).await;
    submitted.expect("it does not hang").expect("it is published").checkpoint.head().size()
}

async fn stop((_, stop, running): Running) {
    stop.send_replace(true);
    running.await.unwrap().expect("all is published");
}

#[tokio::test(start_paused = true)]
async fn what_is_published_has_its_quorum_and_who_is_late_is_added() {
    let world = World::new();
    world.witnesses[2].does(Way::Slow(Duration::from_millis(300)));
    let running = world.run(WitnessMode::Require).await;
    for round in 0..5 {
        add(&running.0, &format!("round {round}")).await;
        world.cosigned().await.expect("two cosigned");
    }
    assert_eq!(world.cosigned_by().await, [true, true, false]);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.cosigned_by().await, [true; 3]);
    stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn one_bad_witness_of_three_neither_stops_the_log_nor_is_its_line_published() {
    for way in BAD_WAYS {
        let world = World::new();
        let running = world.run(WitnessMode::Require).await;
        for round in 0..10 {
            world.witnesses[0].does(if round < 3 { Way::Honest } else { way });
            let begun = Instant::now();
            let size = add(&running.0, &format!("round {round}")).await;
            assert_eq!(size, 3 * (round + 1), "{way:?}");
            assert!(begun.elapsed() < Duration::from_millis(1_100), "{way:?}: {:?}", begun.elapsed());
            world.cosigned().await.unwrap_or_else(|error| panic!("{way:?}: {error}"));
        }
        assert_eq!(world.cosigned_by().await, [false, true, true], "{way:?}");
        assert!(matches!(running.0.state().status, Status::Ready), "{way:?}");
        // It mends its ways, and is caught up with from wherever it is.
        world.witnesses[0].does(Way::Honest);
        add(&running.0, "afterwards").await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(world.cosigned_by().await, [true; 3], "{way:?}");
        stop(running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_quorum_nothing_is_published_until_there_is_one() {
    let world = World::new();
    let running = world.run(WitnessMode::Require).await;
    let before = add(&running.0, "before").await;
    world.witnesses[0].does(Way::Down);
    world.witnesses[1].does(Way::Stalls);
    let shared = running.0.clone();
    let waiting = tokio::spawn(async move { add(&shared, "meanwhile").await });
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.published().await.head().size(), before);
    assert!(matches!(running.0.state().status, Status::Unwitnessed));
    world.witnesses[0].does(Way::Honest);
    assert_eq!(waiting.await.unwrap(), before + 3);
    world.cosigned().await.unwrap();
    assert!(matches!(running.0.state().status, Status::Ready));
    stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn while_none_cosign_memory_is_bounded_and_nothing_that_was_taken_is_lost() {
    let world = World::new();
    let running = world.run(WitnessMode::Require).await;
    world.witnesses.iter().for_each(|witness| witness.does(Way::Down));
    let mut taken = 0;
    for round in 0..40 {
        let batch = vec![Entry::new(Bytes::from(format!("round {round}"))).unwrap()];
        let sequenced = timeout(Duration::from_secs(3), running.0.pool.submit(batch, Wait::Sequenced)).await;
        taken += u64::from(matches!(sequenced, Ok(Ok(_))));
    }
    // Rounds that wait to be published, and those on their way to them; not all forty.
    assert!((4..20).contains(&taken), "{taken}");
    world.witnesses.iter().for_each(|witness| witness.does(Way::Honest));
    add(&running.0, "afterwards").await;
    assert!(world.cosigned().await.unwrap().head().size() >= taken + 3);
    stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn who_only_prefers_witnesses_publishes_without_them_and_adds_their_lines() {
    let world = World::new();
    let running = world.run(WitnessMode::Prefer).await;
    world.witnesses.iter().for_each(|witness| witness.does(Way::Slow(Duration::from_secs(4))));
    let begun = Instant::now();
    let size = add(&running.0, "one").await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(world.cosigned_by().await, [false; 3]);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.cosigned().await.unwrap().head().size(), size);
    assert_eq!(world.cosigned_by().await, [true; 3]);
    stop(running).await;
}

/// A mirror signs anew every so often, and each of its lines set the clock back by which witnesses are asked: they were
/// never asked again, and their cosignatures grew old.
#[tokio::test(start_paused = true)]
async fn witnesses_are_asked_anew_however_often_a_mirror_signs() {
    let world = World::new();
    let log = world.log(WitnessMode::Require);
    create_log(&log).await.unwrap();
    let sequencer = Sequencer::new(log, Options::default());
    let shared = sequencer.shared();
    let writer = sequencer.load().await.expect("the log loads");
    let (stop, stopped) = watch::channel(false);
    let mirror = crate::mirrors::fake::Fake::new(TrustedLog::from(key().verifier_key()));
    let keys = vec![mirror.cosigner().verifier_key()];
    let mirrors = vec![kiln_sequencer::Mirror::new("m".to_owned(), keys, Box::new(mirror.clone()))];
    tokio::spawn(sequencer.pusher(mirrors, Duration::from_secs(600)).run(stopped.clone()));
    let running = tokio::spawn(sequencer.run(writer, stopped));
    let ready = |state: &State| matches!(state.status, Status::Ready);
    shared.watch().wait_for(ready).await.unwrap();
    add(&shared, "a few").await;
    sleep(Duration::from_secs(60)).await;
    let asked = world.witnesses[0].asked();
    sleep(Duration::from_secs(3 * 3_600)).await;
    assert!(mirror.requests() >= 15, "{}", mirror.requests());
    let again = world.witnesses[0].asked() - asked;
    assert!((2..=4).contains(&again), "{again} times in three hours");
    self::stop((shared, stop, running)).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_goes_on_has_its_checkpoint_cosigned_anew() {
    let world = World::new();
    let running = world.run(WitnessMode::Require).await;
    add(&running.0, "one").await;
    let times = |note: &SignedCheckpoint| world.policy.quorum().judge(note.note()).unwrap().witnesses;
    let before = times(&world.published().await);
    sleep(Duration::from_secs(3_700)).await;
    let after = times(&world.published().await);
    assert!(
        before.iter().zip(&after).filter(|(before, after)| after > before).count() >= 2,
        "{before:?} {after:?}"
    );
    stop(running).await;
}

/// The store and the guard went back in time together, which the guard cannot notice.
#[tokio::test(start_paused = true)]
async fn a_log_that_went_back_is_refused_by_its_witnesses_alone() {
    let mut world = World::new();
    let running = world.run(WitnessMode::Require).await;
    add(&running.0, "kept").await;
    let size = add(&running.0, "lost").await;
    stop(running).await;
    let modes = [WitnessMode::Prefer, WitnessMode::Require];
    let refused = async |world: &World, mode| {
        let log = world.log(mode);
        create_log(&log).await.unwrap();
        let refused = Sequencer::new(log, Options::default()).load().await.err().expect("refused");
        assert!(refused.is_bad_log(), "{refused}");
        let words = refused.to_string();
        assert!(words.contains("the witness w1") && words.contains(&format!("size {size}")), "{words}");
    };
    // Nothing is left at all: witnesses show what they saw.
    (world.memory, world.guard) = (Memory::default(), MemoryRegister::default());
    for mode in modes {
        refused(&world, mode).await;
    }
    // An older tree is left, and witnesses show nothing: their word is enough, for it is that of all.
    (world.memory, world.guard) = (Memory::default(), MemoryRegister::default());
    common::add(&world.memory, &world.guard, &Dedup::in_memory(), &entries("kept", 3)).await;
    world.witnesses.iter().for_each(Fake::shows_nothing);
    for mode in modes {
        refused(&world, mode).await;
    }
}

/// It waited for a quorum that never came, and so did whoever wanted to stop it.
#[tokio::test(start_paused = true)]
async fn a_log_without_its_quorum_can_be_stopped_and_goes_on_later() {
    let world = World::new();
    let running = world.run(WitnessMode::Require).await;
    let before = add(&running.0, "before").await;
    world.witnesses.iter().for_each(|witness| witness.does(Way::Down));
    let shared = running.0.clone();
    let submitting = tokio::spawn(async move {
        let mut taken = 0;
        loop {
            let batch = vec![Entry::new(Bytes::from(format!("entry {taken}"))).unwrap()];
            match timeout(Duration::from_secs(3), shared.pool.submit(batch, Wait::Sequenced)).await {
                Ok(Ok(_)) => taken += 1,
                _ if taken > 0 => return taken,
                _ => {}
            }
        }
    });
    let taken: u64 = timeout(PATIENCE, submitting).await.unwrap().unwrap();
    running.1.send_replace(true);
    let ended = timeout(PATIENCE, running.2).await.expect("it ends").unwrap();
    assert!(ended.is_err_and(|error| error.is_unwitnessed()));
    let unwitnessed = Sequencer::new(world.log(WitnessMode::Require), Options::default()).load().await.err();
    assert!(unwitnessed.is_some_and(|error| error.is_unwitnessed()));
    world.witnesses.iter().for_each(|witness| witness.does(Way::Honest));
    let running = world.run(WitnessMode::Require).await;
    assert!(world.cosigned().await.unwrap().head().size() >= before + taken);
    stop(running).await;
}

/// Two others had cosigned already, and what the third one showed was not looked at: this log would have signed a fork.
#[tokio::test(start_paused = true)]
async fn a_larger_tree_that_a_late_witness_shows_stops_the_log() {
    let (world, other) = (World::new(), World::new());
    let running = other.run(WitnessMode::Require).await;
    for round in 0..5 {
        add(&running.0, &format!("fork {round}")).await;
    }
    stop(running).await;
    let running = world.run(WitnessMode::Require).await;
    add(&running.0, "one").await;
    world.witnesses[2].becomes(&other.witnesses[2]);
    world.witnesses[2].does(Way::Slow(Duration::from_millis(200)));
    add(&running.0, "two").await;
    let alarmed = |state: &State| matches!(state.status, Status::Alarmed(_));
    timeout(PATIENCE, running.0.watch().wait_for(alarmed)).await.expect("an alarm").unwrap();
}

/// The first who asked for the quorum were refused until the log had an entry.
#[tokio::test(start_paused = true)]
async fn a_log_from_before_its_witnesses_is_cosigned_when_it_is_ready() {
    let world = World::new();
    common::add(&world.memory, &world.guard, &Dedup::in_memory(), &entries("before", 3)).await;
    assert_eq!(world.cosigned_by().await, [false; 3]);
    let running = world.run(WitnessMode::Require).await;
    world.cosigned().await.unwrap();
    stop(running).await;
}

/// A log that was made before its witnesses were given was ready until its first entry, though nobody who asks for the
/// quorum could take what it published.
#[tokio::test(start_paused = true)]
async fn a_log_whose_witnesses_are_away_from_the_start_says_so() {
    let world = World::new();
    common::add(&world.memory, &world.guard, &Dedup::in_memory(), &entries("before", 3)).await;
    world.witnesses.iter().for_each(|witness| witness.does(Way::Down));
    for (mode, ready) in [(WitnessMode::Prefer, true), (WitnessMode::Require, false)] {
        let running = world.run(mode).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(matches!(running.0.state().status, Status::Ready), ready, "{mode:?}");
        stop(running).await;
    }
    let running = world.run(WitnessMode::Require).await;
    world.witnesses.iter().for_each(|witness| witness.does(Way::Honest));
    let ready = |state: &State| matches!(state.status, Status::Ready);
    sleep(Duration::from_secs(1)).await;
    timeout(PATIENCE, running.0.watch().wait_for(ready)).await.expect("they are back").unwrap();
    world.cosigned().await.unwrap();
    stop(running).await;
}

/// The guard was lost with its machine; what witnesses show stands in for it.
#[tokio::test(start_paused = true)]
async fn a_witness_is_voice_enough_where_the_guard_is_lost() {
    let mut world = World::new();
    let running = world.run(WitnessMode::Require).await;
    let size = add(&running.0, "one").await;
    stop(running).await;
    world.guard = MemoryRegister::default();
    let running = world.run(WitnessMode::Require).await;
    assert_eq!(add(&running.0, "two").await, size + 3);
    stop(running).await;
    world.guard = MemoryRegister::default();
    world.witnesses.iter().for_each(|witness| witness.does(Way::Down));
    let refused = Sequencer::new(world.log(WitnessMode::Require), Options::default()).load().await;
    assert!(matches!(refused.err(), Some(LoadError::NoVoice { .. })));
}

#[tokio::test(start_paused = true)]
async fn one_witness_that_claims_to_know_more_does_not_stop_a_load() {
    let world = World::new();
    let running = world.run(WitnessMode::Require).await;
    let size = add(&running.0, "one").await;
    stop(running).await;
    world.witnesses[1].does(Way::Claims(1_000));
    let running = world.run(WitnessMode::Require).await;
    assert_eq!(add(&running.0, "two").await, size + 3);
    stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_needs_no_witness_for_what_is_published_already() {
    let world = World::new();
    let running = world.run(WitnessMode::Require).await;
    add(&running.0, "one").await;
    stop(running).await;
    world.witnesses.iter().for_each(|witness| witness.does(Way::Down));
    let running = world.run(WitnessMode::Require).await;
    assert_ne!(running.0.state().published.unwrap().head(), TreeHead::empty());
    stop(running).await;
}

/// A proof from one round to the next is made of tiles that the rounds wrote: nothing is read.
#[tokio::test(start_paused = true)]
async fn witnesses_verify_every_proof_through_many_sizes() {
    let world = World::new();
    let running = world.run(WitnessMode::Require).await;
    let mut size = 0;
    for count in [1, 254, 1, 1, 255, 256, 700, 3, 5_000] {
        let batch = entries(&format!("at {size}"), count);
        let batch = batch.into_iter().map(|entry| Entry::new(Bytes::from(entry)).unwrap()).collect();
        running.0.pool.submit(batch, Wait::Published).await.unwrap();
        size += count as u64;
        assert_eq!(world.cosigned().await.unwrap().head().size(), size);
    }
    sleep(Duration::from_secs(1)).await;
    assert!(world.witnesses.iter().all(|witness| witness.knows().size() == size));
    stop(running).await;
}

/// A key that signs nothing now.
#[derive(Debug)]
struct Silent;

impl Signer for Silent {
    fn verifier_key(&self) -> VerifierKey {
        key().verifier_key()
    }

    fn sign<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<NoteSignature, SignError>> {
        Box::pin(std::future::ready(Err(SignError::Unsigned("not today".into()))))
    }
}

/// It was not loaded, since what is published should have been signed anew for its witnesses: a log with nothing to publish
/// did not even serve reads while its KMS was away.
#[tokio::test(start_paused = true)]
async fn a_log_that_lacks_cosignatures_is_loaded_though_its_key_does_not_sign() {
    let world = World::new();
    let (memory, guard) = (world.memory.clone(), world.guard.clone());
    let alone = Log::new(key(), memory, guard, Dedup::in_memory(), Arc::new(Still));
    create_log(&alone).await.unwrap();
    drop(Sequencer::new(alone, Options::default()).load().await.expect("it publishes"));
    let sequencer = Sequencer::new(world.log_signed_by(Silent, WitnessMode::Prefer), Options::default());
    assert!(sequencer.load().await.is_ok());
    assert!(world.cosigned().await.is_err());
}
