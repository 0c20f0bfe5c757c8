//! What commands that submit have in common: they wait for a log, and tell the person who waits for them.

use std::pin::pin;
use std::time::Duration;

use kiln_client::{HttpOptions, Retry};
use tokio::time::timeout;

use crate::output::Output;
use crate::reading::http_options;

/// Longer than a server waits before it says that it does not know.
const PATIENCE: Duration = Duration::from_secs(120);

/// A round takes a second, and this is several.
const QUIET: Duration = Duration::from_secs(5);

/// How entries are submitted.
pub(crate) fn submission_options() -> HttpOptions {
    http_options().timeout(PATIENCE).on_retry(tell)
}

fn tell(retry: &Retry<'_>) {
    tracing::warn!("{}; trying again in {:.1} s", retry.error, retry.pause.as_secs_f64());
}

/// Waits for an answer, and says so where it takes longer than usual.
pub(crate) async fn patiently<T>(answer: impl Future<Output = T>, output: Output) -> T {
    let mut answer = pin!(answer);
    if let Ok(answered) = timeout(QUIET, &mut answer).await {
        return answered;
    }
    output.note(format_args!(
        "still waiting, after {} s: a log answers when a checkpoint that has the entry is published",
        QUIET.as_secs()
    ));
    answer.await
}
