//! How long it takes until others see an entry: from its submission to a checkpoint that has it.

use std::time::Duration;

use kiln_client::{AnySource, Source, Submitter, Wait};
use kiln_tiles::{Checkpoint, Note, TrustedLog};
use tokio::time::{Instant, sleep};

use super::histogram::Histogram;
use crate::environment;
use crate::failure::Failure;
use crate::reading::{http_options, source};

/// The pause between two probes.
const PROBES: Duration = Duration::from_millis(100);

/// The pause between two looks at the checkpoint: the error of the measure.
const LOOKS: Duration = Duration::from_millis(2);

/// Sends a probe now and then, and waits until it can be seen. The log's word is taken for it.
pub(super) async fn watch(url: String, duration: Duration) -> Result<Histogram, Failure> {
    let (until, source) = (Instant::now() + duration, source(&url)?);
    let nobody = TrustedLog::new(String::new(), Vec::new());
    let submitter =
        Submitter::with_options(&url, nobody, http_options().retries(0))?.wait_for(Wait::Sequenced);
    let mut seen = Histogram::new();
    while Instant::now() < until {
        let (probe, since): ([u8; 16], _) = (environment::random()?, Instant::now());
        // What fails under load is counted by those who make it.
        if let Ok(index) = submitter.submit(probe.to_vec()).await {
            while size(&source).await.is_none_or(|size| size <= index) {
                if since.elapsed() > duration {
                    return Ok(seen); // it publishes nothing that can be read
                }
                sleep(LOOKS).await;
            }
            seen.record(since.elapsed());
        }
        sleep(PROBES).await;
    }
    Ok(seen)
}

/// The size that the checkpoint states.
async fn size(source: &AnySource) -> Option<u64> {
    let note = source.fetch("checkpoint", Note::MAX_SIZE).await.ok()??;
    let checkpoint: Checkpoint = Note::parse(&note).ok()?.unverified_text().parse().ok()?;
    Some(checkpoint.head().size())
}
