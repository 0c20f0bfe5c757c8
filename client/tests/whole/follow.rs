//! A tail: what is there, what comes, and what happens when it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{TestLog, entry, head, trusted};
use bytes::Bytes;
use kiln_client::{Client, Entries, MemorySource, Source, SourceError};

async fn reads(entries: &mut Entries, range: std::ops::Range<u64>) {
    for index in range {
        let item = tokio::time::timeout(Duration::from_secs(20), entries.next()).await.expect("in time");
        assert_eq!(item.unwrap().unwrap(), (index, Bytes::from(entry(index))));
    }
}

/// Fails while it is told to, and counts.
#[derive(Clone)]
struct Flaky(MemorySource, Arc<AtomicBool>, Arc<AtomicUsize>);

impl Source for Flaky {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        self.2.fetch_add(1, Ordering::SeqCst);
        if self.1.load(Ordering::SeqCst) {
            return Err(SourceError::Unavailable("the cable is out".into()));
        }
        self.0.fetch(path, limit).await
    }
}

fn flaky(log: &TestLog) -> Flaky {
    Flaky(log.source.clone(), Arc::default(), Arc::default())
}

fn follow<S: Source + 'static>(source: S, from: u64) -> Entries {
    Client::builder(source, trusted()).poll_interval(Duration::from_millis(5)).build().follow(from)
}

#[tokio::test]
async fn a_tail_yields_what_is_there_and_what_comes() {
    let mut log = TestLog::of(300);
    let mut entries = follow(log.source.clone(), 290);
    reads(&mut entries, 290..300).await;
    for size in [301, 512, 513, 2_000] {
        let before = log.head().size();
        log.grow_to(size);
        reads(&mut entries, before..size).await;
    }
}

#[tokio::test]
async fn a_tail_may_begin_in_the_future() {
    let mut log = TestLog::empty();
    let mut entries = follow(log.source.clone(), 5);
    let silence = tokio::time::timeout(Duration::from_millis(50), entries.next()).await;
    assert!(silence.is_err());
    log.grow_to(3);
    let silence = tokio::time::timeout(Duration::from_millis(50), entries.next()).await;
    assert!(silence.is_err());
    log.grow_to(8);
    reads(&mut entries, 5..8).await;
}

/// An outage is told, and the tail goes on where it was.
#[tokio::test]
async fn a_tail_outlives_an_outage() {
    let mut log = TestLog::of(3);
    let source = flaky(&log);
    let mut entries = follow(source.clone(), 0);
    reads(&mut entries, 0..3).await;
    source.1.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(entries.next().await.unwrap().unwrap_err().is_retryable());
    }
    log.grow_to(600);
    source.1.store(false, Ordering::SeqCst);
    reads(&mut entries, 3..600).await;
}

/// While the log is away the pauses grow: 5, 10, 20, ... ms.
#[tokio::test(start_paused = true)]
async fn a_log_that_is_away_is_not_hammered() {
    let log = TestLog::of(3);
    let source = flaky(&log);
    source.1.store(true, Ordering::SeqCst);
    let mut entries = follow(source.clone(), 0);
    let hour = tokio::time::sleep(Duration::from_secs(3_600));
    tokio::pin!(hour);
    loop {
        tokio::select! {
            () = &mut hour => break,
            item = entries.next() => assert!(item.unwrap().is_err()),
        }
    }
    let asked = source.2.load(Ordering::SeqCst);
    assert!((60..90).contains(&asked), "{asked} requests in an hour");
}

#[tokio::test]
async fn a_tail_ends_at_a_bad_log() {
    let log = TestLog::of(300);
    let mut entries = follow(log.source.clone(), 298);
    reads(&mut entries, 298..300).await;
    log.serve(kiln_client::tiles::TreeHead::new(300, head(299).root()).unwrap());
    assert!(entries.next().await.unwrap().unwrap_err().is_bad_log());
    assert!(entries.next().await.is_none());
    assert!(entries.next().await.is_none());
}

/// A stale CDN does not make a tail repeat itself or end.
#[tokio::test]
async fn a_tail_waits_out_a_stale_checkpoint() {
    let mut log = TestLog::of(300);
    let mut entries = follow(log.source.clone(), 0);
    reads(&mut entries, 0..300).await;
    log.serve(head(200));
    let silence = tokio::time::timeout(Duration::from_millis(50), entries.next()).await;
    assert!(silence.is_err());
    log.grow_to(310);
    reads(&mut entries, 300..310).await;
}

#[tokio::test]
async fn a_tail_that_is_dropped_asks_no_more() {
    let log = TestLog::of(3);
    let source = flaky(&log);
    let mut entries = follow(source.clone(), 0);
    reads(&mut entries, 0..3).await;
    drop(entries);
    let asked = source.2.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(source.2.load(Ordering::SeqCst), asked);
}
