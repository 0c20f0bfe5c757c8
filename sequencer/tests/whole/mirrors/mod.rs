//! A log and its mirrors: what they are sent, whose lines are published, and that no round waits for any of it.

pub(crate) mod fake;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_sequencer::{
    Dedup, Entry, LoadError, Mirror, Options, Sequencer, Shared, State, Status, Wait, create_log,
};
use kiln_storage::{Memory, MemoryRegister, MutableObjects};
use kiln_tiles::{SignedCheckpoint, SigningKey, TrustedLog};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::common::{self, entries};
use fake::{BAD_WAYS, Fake, Way};

/// Longer than any of these logs is without its mirror.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long the same tree is not signed anew.
const REFRESH: Duration = Duration::from_secs(3600);

struct World {
    memory: Memory,
    guard: MemoryRegister,
    mirror: Fake,
}

struct Running {
    shared: Arc<Shared<Memory, MemoryRegister>>,
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), Arc<LoadError>>>,
}

impl World {
    fn new() -> Self {
        let key = SigningKey::from_seed("example.com/log".parse().unwrap(), [1; 32]);
        let mirror = Fake::new(TrustedLog::from(key.verifier_key()));
        Self { memory: Memory::default(), guard: MemoryRegister::default(), mirror }
    }

    async fn sequencer(&self) -> Sequencer<Memory, MemoryRegister> {
        let log = common::log(1, &self.memory, &self.guard, &Dedup::in_memory());
        create_log(&log).await.unwrap();
        Sequencer::new(log, Options::default())
    }

    async fn run(&self) -> Running {
        self.start(|state| matches!(state.status, Status::Ready)).await
    }

    /// Runs the log until it is so.
    async fn start(&self, until: fn(&State) -> bool) -> Running {
        let sequencer = self.sequencer().await;
        let shared = sequencer.shared();
        let writer = sequencer.load().await.expect("the log loads");
        let (stop, stopped) = watch::channel(false);
        let keys = vec![self.mirror.cosigner().verifier_key()];
        let mirror = Mirror::new("m".to_owned(), keys, Box::new(self.mirror.clone()));
        tokio::spawn(sequencer.pusher(vec![mirror], REFRESH).run(stopped.clone()));
        let running = tokio::spawn(sequencer.run(writer, stopped));
        let reached = timeout(PATIENCE, async { drop(shared.watch().wait_for(until).await.unwrap()) }).await;
        reached.expect("it becomes so");
        Running { shared, stop, running }
    }

    async fn published(&self) -> SignedCheckpoint {
        let path = "checkpoint".parse().unwrap();
        let (body, _) = self.memory.read_version(&path).await.unwrap().unwrap();
        let key = SigningKey::from_seed("example.com/log".parse().unwrap(), [1; 32]);
        TrustedLog::from(key.verifier_key()).open(&body).unwrap()
    }

    async fn is_cosigned(&self) -> bool {
        let published = self.published().await;
        let keys = [self.mirror.cosigner().verifier_key()];
        published.note().signed_by(&keys).expect("no line is wrong").len() == 1
    }

    /// Waits until the mirror has all, and its line is published.
    async fn is_mirrored(&self) {
        let mirrored = async {
            while self.mirror.tree() != self.published().await.head() || !self.is_cosigned().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, mirrored).await.expect("it is mirrored in the end");
    }
}

impl Running {
    async fn add(&self, label: &str, count: usize) {
        let batch = entries(label, count).into_iter().map(|entry| Entry::new(Bytes::from(entry)).unwrap());
        let submitted = timeout(PATIENCE, self.shared.pool.submit(batch.collect(), Wait::Published)).await;
        submitted.expect("it does not hang").expect("it is published");
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.running.await.unwrap().expect("all is published");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_pushed_and_the_line_of_the_mirror_is_published() {
    let world = World::new();
    let running = world.run().await;
    for count in [1, 255, 1, 700, 4000] {
        running.add(&format!("{count} at {:?}", world.mirror.size()), count).await;
        world.is_mirrored().await;
    }
    assert_eq!(world.mirror.size(), 4957);
    running.stop().await;
}

/// A log ended while its mirror was down: nobody writes any more, and the mirror gets all of it. Its line is
/// published as ever.
#[tokio::test(start_paused = true)]
async fn a_mirror_gets_all_of_a_log_that_has_ended() {
    let world = World::new();
    world.mirror.does(Way::Down);
    let running = world.run().await;
    running.add("the last", 300).await;
    running.stop().await;
    let sequencer = world.sequencer().await;
    let writer = sequencer.load().await.unwrap();
    drop(sequencer.freeze(writer).await.unwrap());
    world.mirror.does(Way::Honest);
    let running = world.start(|state| matches!(state.status, Status::Frozen(_))).await;
    world.is_mirrored().await; // its line too
    running.stop().await;
}

/// A log had a million entries when it got its first mirror: they are sent in requests of 32 packages, each on its way
/// behind the last.
#[tokio::test(start_paused = true)]
async fn a_mirror_that_is_new_gets_everything_from_the_beginning() {
    let world = World::new();
    world.mirror.does(Way::Down);
    let running = world.run().await;
    for round in 0..10 {
        running.add(&format!("round {round}"), 2000).await;
    }
    world.mirror.does(Way::Honest);
    world.is_mirrored().await;
    assert_eq!(world.mirror.size(), 20_000);
    assert!(world.mirror.requests() <= 6, "{} requests", world.mirror.requests());
    running.stop().await;
}

/// Interrupted in every way: the answers are lost, a package of a request is taken, the mirror loses its disk.
#[tokio::test(start_paused = true)]
async fn an_upload_that_is_interrupted_is_resumed() {
    let world = World::new();
    let running = world.run().await;
    for (number, way) in [Way::OnePackage, Way::LosesAnswers, Way::Down, Way::Garbage].into_iter().enumerate()
    {
        world.mirror.does(way);
        running.add(&format!("{way:?}"), 3000).await;
        sleep(Duration::from_secs(10)).await;
        world.mirror.does(Way::Honest);
        world.is_mirrored().await;
        assert_eq!(world.mirror.size(), 3000 * (number + 1), "{way:?}");
    }
    world.mirror.forgets();
    running.add("after it forgot", 1).await;
    world.is_mirrored().await;
    assert_eq!(world.mirror.size(), 12_001);
    running.stop().await;
}

/// One that said by turns that it had nothing and one entry, within one push, was sent the same without a pause for ever.
#[tokio::test(start_paused = true)]
async fn a_bad_mirror_delays_no_round_and_nothing_of_it_is_published() {
    for way in BAD_WAYS {
        let world = World::new();
        world.mirror.does(way);
        let running = world.run().await;
        for round in 0..10 {
            let begun = Instant::now();
            running.add(&format!("round {round}"), 3).await;
            assert!(begun.elapsed() < Duration::from_millis(1_100), "{way:?}: {:?}", begun.elapsed());
        }
        sleep(Duration::from_secs(300)).await;
        assert!(!world.is_cosigned().await, "{way:?}");
        assert!(world.mirror.requests() < 60, "{way:?}: {} requests", world.mirror.requests());
        if way != Way::Stalls {
            // It comes to its senses, and is tried within two minutes.
            world.mirror.does(Way::Honest);
            world.is_mirrored().await;
        }
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tree_that_stays_the_same_is_signed_anew_after_a_while() {
    let world = World::new();
    let running = world.run().await;
    running.add("a few", 3).await;
    world.is_mirrored().await;
    let requests = world.mirror.requests();
    sleep(REFRESH * 2 + Duration::from_secs(5)).await;
    assert_eq!(world.mirror.requests(), requests + 2);
    running.stop().await;
}

/// A mirror was away for the minute in which its line was to be made anew: it was asked again an hour later, and monitors
/// called it dead.
#[tokio::test(start_paused = true)]
async fn a_line_that_could_not_be_made_anew_is_asked_for_again_soon() {
    let world = World::new();
    let running = world.run().await;
    running.add("a few", 3).await;
    world.is_mirrored().await;
    sleep(REFRESH - Duration::from_secs(60)).await;
    world.mirror.does(Way::Down);
    sleep(Duration::from_secs(120)).await;
    world.mirror.does(Way::Honest);
    let requests = world.mirror.requests();
    sleep(Duration::from_secs(130)).await;
    assert!(world.mirror.requests() > requests, "it is tried within two minutes");
    running.stop().await;
}
