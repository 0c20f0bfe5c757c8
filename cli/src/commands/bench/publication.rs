//! How long it takes until others see an entry: from its submission to a checkpoint that has it.

use std::time::Duration;

use kiln_client::{AnySource, Source, Submitter, Wait};
use kiln_tiles::{Checkpoint, Note, TrustedLog};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use super::histogram::Histogram;
use crate::environment;
use crate::failure::Failure;
use crate::reading::{http_options, source};

/// From one probe to the next: no divisor of a round, so that they fall into all parts of it.
const PROBES: Duration = Duration::from_millis(23);

/// The pause between two looks at the checkpoint: the error of the measure.
const LOOKS: Duration = Duration::from_millis(4);

/// How long the last probes are looked for.
const LAST_PROBES: Duration = Duration::from_secs(10);

/// The size that the checkpoint states, once there is one.
type Size = watch::Receiver<Option<u64>>;

/// Sends probes while the load runs, and waits until each can be seen. The log's word is taken for it.
pub(super) async fn watch(url: String, duration: Duration) -> Result<Histogram, Failure> {
    let until = Instant::now() + duration;
    let nobody = TrustedLog::new(String::new(), Vec::new());
    let submitter =
        Submitter::with_options(&url, nobody, http_options().retries(0))?.wait_for(Wait::Sequenced);
    let (tell, size) = watch::channel(None);
    let looking = tokio::spawn(look(source(&url)?, tell));
    let (mut due, mut probes) = (interval(PROBES), JoinSet::new());
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while due.tick().await < until {
        let entry: [u8; 16] = environment::random()?;
        probes.spawn(probe(submitter.clone(), entry, size.clone(), until + LAST_PROBES));
    }
    let mut seen = Histogram::new();
    // Where nothing is published there is nothing to wait for.
    while size.borrow().is_some() {
        let Some(ended) = probes.join_next().await else { break };
        ended.map_err(Failure::undone)?.into_iter().for_each(|took| seen.record(took));
    }
    looking.abort();
    Ok(seen)
}

/// How long it took until a checkpoint had the entry, or until it was given up. What is refused under load is
/// counted by those who make the load.
async fn probe(submitter: Submitter, entry: [u8; 16], mut size: Size, until: Instant) -> Option<Duration> {
    let since = Instant::now();
    let index = submitter.submit(entry.to_vec()).await.ok()?;
    let _ = timeout_at(until, size.wait_for(|size| size.is_some_and(|size| size > index))).await;
    Some(since.elapsed())
}

/// Reads the checkpoint again and again.
async fn look(source: AnySource, tell: watch::Sender<Option<u64>>) {
    loop {
        if let Some(size) = size(&source).await {
            tell.send_if_modified(|last| last.replace(size) != Some(size));
        }
        sleep(LOOKS).await;
    }
}

async fn size(source: &AnySource) -> Option<u64> {
    let note = source.fetch("checkpoint", Note::MAX_SIZE).await.ok()??;
    let checkpoint: Checkpoint = Note::parse(&note).ok()?.unverified_text().parse().ok()?;
    Some(checkpoint.head().size())
}
