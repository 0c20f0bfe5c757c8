//! A signer that is not always there: nothing is published without it, and nothing is lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::common::Still;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_sequencer::{
    Dedup, Entry, HeadRecord, LoadError, Log, Options, Refusal, RoundError, Sequencer, Shared, SignError,
    Signer, Status, Wait, create_log,
};
use kiln_storage::{Memory, MemoryRegister, Register, Store};
use kiln_tiles::{Checkpoint, Hash, NoteSignature, SigningKey, TreeHead, TrustedLog, VerifierKey};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// How the signer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Well,
    Refuses,
    Stalls,
    /// It signs another tree of the same size.
    Forges,
    /// It signs with another key.
    Forgets,
}

/// A signer, and all that its key ever signed.
#[derive(Clone, Debug)]
struct Moody {
    mood: Arc<Mutex<Mood>>,
    signed: Arc<Mutex<Vec<String>>>,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("example.com/log".parse().unwrap(), [seed; 32])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Moody {
    fn well() -> Self {
        Self { mood: Arc::new(Mutex::new(Mood::Well)), signed: Arc::default() }
    }

    fn is(&self, mood: Mood) {
        *lock(&self.mood) = mood;
    }

    fn sign_by(&self, key: &SigningKey, text: &str) -> NoteSignature {
        lock(&self.signed).push(text.to_owned());
        key.sign(text.to_owned()).unwrap().signatures()[0].clone()
    }

    /// Each tree that was signed, which must be one for each size.
    fn trees(&self) -> BTreeMap<u64, TreeHead> {
        let mut trees = BTreeMap::new();
        for head in lock(&self.signed).iter().map(|text| text.parse::<Checkpoint>().unwrap().head()) {
            assert_eq!(*trees.entry(head.size()).or_insert(head), head, "one tree has one version");
        }
        trees
    }
}

impl Signer for Moody {
    fn verifier_key(&self) -> VerifierKey {
        key(1).verifier_key()
    }

    fn sign<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<NoteSignature, SignError>> {
        Box::pin(async move {
            let mood = *lock(&self.mood);
            match mood {
                Mood::Well => Ok(self.sign_by(&key(1), text)),
                Mood::Refuses => Err(SignError::Unsigned("not today".into())),
                Mood::Stalls => std::future::pending().await,
                Mood::Forges => {
                    let other = Hash::leaf(b"another tree").to_string();
                    let lines: Vec<&str> = text.lines().collect();
                    let forged = format!("{}\n{}\n{other}\n", lines[0], lines[1]);
                    Ok(key(1).sign(forged).unwrap().signatures()[0].clone())
                }
                Mood::Forgets => Ok(key(2).sign(text.to_owned()).unwrap().signatures()[0].clone()),
            }
        })
    }
}

/// A log whose key is kept by somebody moody.
struct World {
    memory: Memory,
    guard: MemoryRegister,
    signer: Moody,
}

/// A process that runs it.
struct Running {
    shared: Arc<Shared<Memory, MemoryRegister>>,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<Result<(), Arc<LoadError>>>,
}

impl World {
    fn new() -> Self {
        Self { memory: Memory::new(), guard: MemoryRegister::default(), signer: Moody::well() }
    }

    fn log(&self) -> Log<Memory, MemoryRegister> {
        let (memory, guard) = (self.memory.clone(), self.guard.clone());
        Log::new(self.signer.clone(), memory, guard, Dedup::in_memory(), Arc::new(Still))
    }

    async fn start(&self) -> Result<Running, LoadError> {
        create_log(&self.log()).await?;
        let sequencer = Sequencer::new(self.log(), Options::default());
        let (shared, (stop, stopped)) = (sequencer.shared(), watch::channel(false));
        let writer = sequencer.load().await?;
        Ok(Running { shared, stop, ended: tokio::spawn(sequencer.run(writer, stopped)) })
    }

    /// What readers see.
    fn published(&self) -> TreeHead {
        let body = self.memory.objects()[&"checkpoint".parse().unwrap()].clone();
        TrustedLog::from(key(1).verifier_key()).open(&body).unwrap().head()
    }

    async fn committed(&self) -> TreeHead {
        HeadRecord::parse(&self.memory.head().load().await.unwrap().value.unwrap()).unwrap().head
    }
}

impl Running {
    async fn add(&self, entry: &'static str, wait: Wait) -> Result<u64, Refusal> {
        let entry = Entry::new(Bytes::from_static(entry.as_bytes())).unwrap();
        self.shared.pool.submit(vec![entry], wait).await.map(|answer| answer.indices[0])
    }

    async fn is(&self, what: fn(&Status) -> bool) {
        let mut states = self.shared.watch();
        let reached = states.wait_for(|state| what(&state.status));
        drop(timeout(Duration::from_secs(3600), reached).await.expect("within an hour").unwrap());
    }
}

const READY: fn(&Status) -> bool = |status| matches!(status, Status::Ready);
const UNSIGNED: fn(&Status) -> bool =
    |status| matches!(status, Status::Failing(error) if error.is_unsigned());

const MOODS: [Mood; 4] = [Mood::Refuses, Mood::Stalls, Mood::Forges, Mood::Forgets];

/// For a minute there is no signature. What was sequenced stays, what was not is refused, readers see what they saw; and
/// afterwards the log goes on by itself.
#[tokio::test(start_paused = true)]
async fn a_log_waits_for_its_key_and_loses_nothing() {
    for mood in MOODS {
        let world = World::new();
        let running = world.start().await.unwrap();
        running.is(READY).await;
        assert_eq!(running.add("first", Wait::Published).await, Ok(0));
        let before = world.published();

        world.signer.is(mood);
        assert_eq!(
            running.add("second", Wait::Sequenced).await,
            Ok(1),
            "{mood:?}: it is committed and guarded"
        );
        running.is(UNSIGNED).await;
        for _ in 0..60 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(running.add("third", Wait::Published).await, Err(Refusal::Closed), "{mood:?}");
            assert_eq!(world.published(), before, "{mood:?}: nothing is published unsigned");
        }
        assert_eq!(running.shared.state().status.public(), "its key does not sign");
        assert_eq!(world.signer.trees().into_keys().collect::<Vec<_>>(), [0, 1]);

        world.signer.is(Mood::Well);
        running.is(READY).await;
        assert_eq!(world.published(), world.committed().await, "the retry published it");
        assert_eq!(running.add("second", Wait::Published).await, Ok(1), "{mood:?}: its index is for ever");
        assert_eq!(running.add("third", Wait::Published).await, Ok(2), "{mood:?}");
        assert_eq!(world.signer.trees().into_keys().collect::<Vec<_>>(), [0, 1, 2, 3]);
        running.stop.send_replace(true);
        running.ended.await.unwrap().unwrap();
    }
}

/// Who waits for a checkpoint is not answered by a commit alone.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_checkpoint_is_refused_without_one() {
    for mood in MOODS {
        let world = World::new();
        let running = world.start().await.unwrap();
        running.is(READY).await;
        world.signer.is(mood);
        let since = Instant::now();
        assert!(running.add("first", Wait::Published).await.is_err(), "{mood:?}");
        assert!(since.elapsed() < Duration::from_secs(10), "{mood:?}: it is told in time");
    }
}

/// The process ends meanwhile. Another finds the round in the head, and publishes it.
#[tokio::test(start_paused = true)]
async fn what_one_process_could_not_sign_the_next_one_does() {
    for mood in MOODS {
        let world = World::new();
        let running = world.start().await.unwrap();
        running.is(READY).await;
        world.signer.is(mood);
        assert_eq!(running.add("first", Wait::Sequenced).await, Ok(0));
        running.is(UNSIGNED).await;
        running.stop.send_replace(true);
        let error = running.ended.await.unwrap().unwrap_err();
        assert!(error.is_unsigned(), "{error}");
        let again = world.start().await.err().unwrap();
        assert!(matches!(&again, LoadError::Round(RoundError::Signer(_))) && !again.is_bad_log(), "{again}");

        world.signer.is(Mood::Well);
        let running = world.start().await.unwrap();
        assert_eq!((world.published().size(), world.published()), (1, world.committed().await));
        running.is(READY).await;
        assert_eq!(running.add("first", Wait::Published).await, Ok(0));
    }
}

/// A log that has ended, and whose `log.json` says nothing of it, says so itself as soon as its key signs.
#[tokio::test(start_paused = true)]
async fn the_end_is_told_when_its_key_signs() {
    let world = World::new();
    create_log(&world.log()).await.unwrap();
    let sequencer = Sequencer::new(world.log(), Options::default());
    let writer = sequencer.load().await.unwrap();
    sequencer.freeze(writer).await.unwrap();
    world.signer.is(Mood::Refuses);
    let running = world.start().await.unwrap();
    sleep(Duration::from_secs(60)).await;
    assert!(running.shared.end().is_none());
    assert_eq!(running.shared.state().status.public(), "its key does not sign");
    assert!(running.add("late", Wait::Published).await.is_err());
    world.signer.is(Mood::Well);
    running.is(|status| matches!(status, Status::Frozen(_))).await;
    assert_eq!(running.shared.end().unwrap().head().size(), 0);
}
