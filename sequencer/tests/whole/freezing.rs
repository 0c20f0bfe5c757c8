//! The end of a log: one swap, which nothing follows.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{self, add, entries};
use bytes::Bytes;
use kiln_sequencer::{
    Alarm, CopyHead, Dedup, Entry, HeadRecord, LoadError, Log, Options, Plan, RecoverError, Recovery,
    Refusal, RoundError, Sequencer, Shared, Status, Wait, Writer,
};
use kiln_storage::{Loaded, Memory, MemoryRegister, Register, Store};
use kiln_tiles::{SignedCheckpoint, Successor, TreeHead};
use tokio::sync::watch;
use tokio::time::timeout;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);

fn log(memory: &Memory, guard: &MemoryRegister) -> Log<Memory, MemoryRegister> {
    common::log(1, memory, guard, &Dedup::in_memory())
}

/// A log of so many entries.
async fn log_of(count: usize) -> (Memory, MemoryRegister) {
    let (memory, guard) = (Memory::new(), MemoryRegister::default());
    add(&memory, &guard, &Dedup::in_memory(), &entries("first", count)).await;
    (memory, guard)
}

async fn load(log: Log<Memory, MemoryRegister>) -> Result<Writer<Memory, MemoryRegister>, LoadError> {
    Writer::load(Arc::new(log), None, |_| {}).await
}

/// Ends the log, as `kiln freeze` does once it may write.
async fn freeze(memory: &Memory, guard: &MemoryRegister) -> Result<TreeHead, LoadError> {
    let sequencer = Sequencer::new(log(memory, guard), Options::default());
    let writer = load(log(memory, guard)).await?;
    Ok(sequencer.freeze(writer).await?.head())
}

async fn record(memory: &Memory) -> HeadRecord {
    HeadRecord::parse(&memory.head().load().await.unwrap().value.unwrap()).unwrap()
}

async fn put_head(memory: &Memory, record: &HeadRecord) {
    let Loaded { held, .. } = memory.head().load().await.unwrap();
    memory.head().swap(held, record.to_bytes()).await.unwrap();
}

/// A log that runs.
struct Running(Arc<Shared<Memory, MemoryRegister>>, watch::Sender<bool>);

impl Running {
    async fn start(log: Log<Memory, MemoryRegister>) -> Self {
        let sequencer =
            Sequencer::new(log, Options { interval: Duration::from_millis(5), ..Options::default() });
        let (shared, (stop, stopped)) = (sequencer.shared(), watch::channel(false));
        let writer = sequencer.load().await.unwrap();
        tokio::spawn(sequencer.run(writer, stopped));
        Self(shared, stop)
    }

    async fn reaches(&self, what: fn(&Status) -> bool) {
        let mut states = self.0.watch();
        let reached = states.wait_for(|state| what(&state.status));
        drop(timeout(PATIENCE, reached).await.expect("it comes to that").unwrap());
    }

    async fn add(&self, entry: &'static str) -> Result<u64, Refusal> {
        let entry = Entry::new(Bytes::from_static(entry.as_bytes())).unwrap();
        self.0.pool.submit(vec![entry], Wait::Published).await.map(|answer| answer.indices[0])
    }
}

const READY: fn(&Status) -> bool = |status| matches!(status, Status::Ready);
const FROZEN: fn(&Status) -> bool = |status| matches!(status, Status::Frozen(_));

#[tokio::test]
async fn a_log_that_has_ended_loads_and_takes_nothing() {
    for count in [0, 1, 300] {
        let (memory, guard) = (Memory::new(), MemoryRegister::default());
        kiln_sequencer::create_log(&log(&memory, &guard)).await.unwrap();
        if count > 0 {
            add(&memory, &guard, &Dedup::in_memory(), &entries("first", count)).await;
        }
        let head = freeze(&memory, &guard).await.unwrap();
        assert_eq!(head.size(), count as u64);
        let ended = record(&memory).await;
        assert!(ended.frozen && ended.base == head && ended.head == head && ended.rounds.is_empty());

        assert_eq!(freeze(&memory, &guard).await.unwrap(), head, "once more, to no effect");
        assert_eq!(record(&memory).await, ended);
        let running = Running::start(log(&memory, &guard)).await;
        running.reaches(FROZEN).await;
        assert_eq!(running.add("late").await, Err(Refusal::Closed));
        assert_eq!(running.0.end().unwrap().head(), head);
        assert_eq!(running.0.state().published.unwrap().head(), head);
        running.1.send_replace(true);
        running.reaches(|status| matches!(status, Status::Stopped)).await;
        assert_eq!(record(&memory).await, ended);
    }
}

/// It was paused, and the log was ended without it: its next swap fails, and it finds why.
#[tokio::test]
async fn a_writer_that_goes_on_is_fenced_by_the_end() {
    let (memory, guard) = log_of(3).await;
    let running = Running::start(log(&memory, &guard)).await;
    running.reaches(READY).await;
    assert_eq!(running.add("fourth").await, Ok(3));
    let head = freeze(&memory, &guard).await.unwrap();
    assert_eq!(head.size(), 4);
    assert!(running.add("fifth").await.is_err());
    running.reaches(FROZEN).await;
    assert_eq!(running.add("fifth").await, Err(Refusal::Closed));
    assert_eq!(record(&memory).await.head, head);
}

/// The other way round: the writer was faster, so that the log goes on.
#[tokio::test]
async fn a_log_that_grew_meanwhile_is_not_ended() {
    let (memory, guard) = log_of(3).await;
    let sequencer = Sequencer::new(log(&memory, &guard), Options::default());
    let writer = load(log(&memory, &guard)).await.unwrap();
    add(&memory, &guard, &Dedup::in_memory(), &entries("second", 2)).await;
    let error = sequencer.freeze(writer).await.err().unwrap();
    assert!(matches!(error, LoadError::Round(RoundError::Fenced)), "{error}");
    assert!(!record(&memory).await.frozen);
    assert_eq!(freeze(&memory, &guard).await.unwrap().size(), 5);
}

/// The head was lost with its disk's last write, or is a copy's. The note that the log's key signed stands for it.
#[tokio::test]
async fn the_note_of_its_end_stands_for_a_head_that_went_back() {
    let (memory, guard) = log_of(300).await;
    let before = record(&memory).await;
    let head = freeze(&memory, &guard).await.unwrap();
    let end = log(&memory, &guard).sign_end(head, None).await.unwrap();
    put_head(&memory, &before).await;
    let known = || log(&memory, &guard).with_end(end.clone());
    assert!(load(known()).await.unwrap().is_frozen());
    let running = Running::start(known()).await;
    running.reaches(FROZEN).await;
    assert_eq!(running.add("late").await, Err(Refusal::Closed));
    let sequencer = Sequencer::new(known(), Options::default());
    sequencer.freeze(load(known()).await.unwrap()).await.unwrap();
    assert!(record(&memory).await.frozen, "freezing it again mends the head");
}

/// A copy that knew nothing of the end took entries. Whoever knows both neither signs nor accepts.
#[tokio::test]
async fn a_log_that_went_on_after_its_end_is_an_alarm() {
    let (memory, guard) = log_of(3).await;
    let head = record(&memory).await.head;
    let end = log(&memory, &guard).sign_end(head, None).await.unwrap();
    add(&memory, &guard, &Dedup::in_memory(), &entries("second", 2)).await;
    let error = load(log(&memory, &guard).with_end(end)).await.err().unwrap();
    let went_on = matches!(error, LoadError::Round(RoundError::Alarm(Alarm::WentOn { .. })));
    assert!(went_on && error.is_bad_log(), "{error}");
}

/// And one that ended further than the store is was put back in time.
#[tokio::test]
async fn a_store_that_is_behind_the_end_is_refused() {
    let (memory, guard) = log_of(3).await;
    let (store, older_guard) = (Memory::new(), MemoryRegister::default());
    add(&store, &older_guard, &Dedup::in_memory(), &entries("first", 2)).await;
    let head = record(&memory).await.head;
    let end = log(&memory, &guard).sign_end(head, None).await.unwrap();
    let error = load(log(&store, &older_guard).with_end(end)).await.err().unwrap();
    assert!(matches!(error, LoadError::Round(RoundError::Alarm(Alarm::Fork { .. }))), "{error}");
}

#[tokio::test]
async fn log_json_has_the_end_and_nothing_else_is_believed() {
    let (memory, guard) = log_of(3).await;
    let own = log(&memory, &guard);
    let next = common::log(2, &Memory::new(), &MemoryRegister::default(), &Dedup::off());
    let vkey = next.vkeys().remove(0);
    let successor = Successor::new(vkey, "https://next.example").unwrap();
    let head = record(&memory).await.head;
    let end = own.sign_end(head, Some(successor)).await.unwrap();
    let other = next.sign_end(head, None).await.unwrap();
    let describe = |note: &str| serde_json::json!({ "frozen": true, "end": note }).to_string();
    for (body, believed) in [
        (describe(&end.note().to_string()), true),
        (describe(&other.note().to_string()), false),
        (describe(&end.note().to_string().replace("next.example", "evil.example")), false),
        (describe(&load(log(&memory, &guard)).await.unwrap().published().note().to_string()), false),
        (r#"{"frozen": true}"#.into(), false),
        ("{".into(), false),
    ] {
        memory.tamper(&"log.json".parse().unwrap(), Some(body.into()));
        let read = own.read_end().await.unwrap();
        assert_eq!(read, believed.then(|| end.clone()));
    }
}

/// Nobody knew what would come next when the log ended; servers that run learn it later.
#[tokio::test(start_paused = true)]
async fn a_successor_that_is_named_later_is_found() {
    let (memory, guard) = log_of(3).await;
    let head = freeze(&memory, &guard).await.unwrap();
    let running = Running::start(log(&memory, &guard)).await;
    running.reaches(FROZEN).await;
    assert_eq!(running.0.end().unwrap().successor(), None);
    let next = common::log(2, &Memory::new(), &MemoryRegister::default(), &Dedup::off());
    let successor = Successor::new(next.vkeys().remove(0), "https://next.example").unwrap();
    let end = log(&memory, &guard).sign_end(head, Some(successor.clone())).await.unwrap();
    let body = serde_json::json!({ "end": end.note().to_string() }).to_string();
    memory.tamper(&"log.json".parse().unwrap(), Some(body.into()));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(running.0.end().unwrap().successor(), Some(&successor));
    assert!(running.0.state().status.public().contains("https://next.example"));
    // What was known stays known when it is gone.
    memory.tamper(&"log.json".parse().unwrap(), None);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(running.0.end().unwrap().successor(), Some(&successor));
}

async fn published(memory: &Memory, guard: &MemoryRegister) -> SignedCheckpoint {
    SignedCheckpoint::clone(load(log(memory, guard)).await.unwrap().published())
}

/// None of the ways back makes a log go on that has ended.
#[tokio::test]
async fn a_log_that_is_recovered_has_ended_still() {
    let (memory, guard) = log_of(300).await;
    let head = freeze(&memory, &guard).await.unwrap();
    let (ended, best) = (record(&memory).await, published(&memory, &guard).await);

    // All is there: the head stays.
    let log_here = log(&memory, &guard);
    let recovery = Recovery::begin(&log_here).await.unwrap();
    let plan = recovery.plan(best.head(), None).unwrap();
    assert_eq!(plan, Plan::Fill(head));
    recovery.finish(plan, &best).await.unwrap();
    assert_eq!(record(&memory).await, ended);

    // The head is damaged, and what is left of it says that the log has ended.
    let Loaded { held, .. } = memory.head().load().await.unwrap();
    memory.head().swap(held, ended.to_bytes().slice(..50)).await.unwrap();
    let recovery = Recovery::begin(&log_here).await.unwrap();
    let plan = recovery.plan(best.head(), None).unwrap();
    assert_eq!(plan, Plan::Replace(head));
    recovery.finish(plan, &best).await.unwrap();
    assert!(record(&memory).await.frozen);

    // The head says nothing of it: the note does.
    let Loaded { held, .. } = memory.head().load().await.unwrap();
    memory.head().swap(held, Bytes::from_static(b"nonsense")).await.unwrap();
    let end = log_here.sign_end(head, None).await.unwrap();
    let known = log(&memory, &guard).with_end(end);
    let recovery = Recovery::begin(&known).await.unwrap();
    let plan = recovery.plan(best.head(), None).unwrap();
    recovery.finish(plan, &best).await.unwrap();
    assert!(record(&memory).await.frozen);
    assert!(load(log(&memory, &guard)).await.unwrap().is_frozen());
}

/// A copy of the log went on. There is no tree that both could go on from.
#[tokio::test]
async fn an_ended_log_does_not_become_a_larger_one() {
    let (memory, guard) = log_of(300).await;
    let before = record(&memory).await;
    let end = freeze(&memory, &guard).await.unwrap();
    let ended = record(&memory).await;
    put_head(&memory, &before).await;
    add(&memory, &guard, &Dedup::in_memory(), &entries("second", 5)).await;
    let larger = record(&memory).await.head;
    put_head(&memory, &ended).await;
    let log_here = log(&memory, &guard);
    let recovery = Recovery::begin(&log_here).await.unwrap();
    let error = recovery.plan(larger, None).unwrap_err();
    assert!(
        matches!(error, RecoverError::WentOn { end: at, theirs } if at == end && theirs == larger),
        "{error}"
    );
    assert!(error.is_bad_log());
    let copy = CopyHead::load(memory.head(), log_here.fingerprint()).await.unwrap();
    assert_eq!(copy.end(), Some(end));
    assert!(copy.advance(larger, [3; 16]).await.is_err());
    assert_eq!(record(&memory).await, ended);
}
