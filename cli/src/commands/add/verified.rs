//! That the log has what was sent, where the server said: its word alone is worth nothing.

use std::time::Duration;

use kiln_client::{AnySource, Client, ClientError};
use kiln_tiles::Hash;

use super::input::Item;
use crate::environment::Stopwatch;
use crate::failure::Failure;
use crate::progress::Progress;

/// An entry that the log has: verified.
pub(super) struct Added<'a> {
    pub(super) item: &'a Item,
    pub(super) index: u64,
    pub(super) leaf: Hash,
}

/// How long readers may be behind the log, as where a CDN keeps checkpoints for a while, or where the log publishes
/// before its witnesses have come.
const LAG: Duration = Duration::from_secs(5);

/// Verifies that the log has each of `items` at its index. Of items at the end, which have no index,
/// nothing is said.
pub(super) async fn verify<'a>(
    log: &Client<AnySource>,
    items: &'a [Item],
    indices: &[u64],
) -> Result<Vec<Added<'a>>, Failure> {
    let added = items.iter().zip(indices);
    let added = added.map(|(item, &index)| Added { item, index, leaf: Hash::leaf(item.as_ref()) });
    let added: Vec<Added<'a>> = added.collect();
    let since = Stopwatch::start();
    loop {
        let mut progress = Progress::of("entries verified");
        let leaves = added.iter().map(|one| (one.index, one.leaf));
        match log.verify_leaves(leaves, |now| progress.set(now.done, now.total)).await {
            Ok(()) => return Ok(added),
            Err(error) if is_early(&error) && since.elapsed() < LAG => {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(error) => return Err(refused(error)),
        }
    }
}

fn is_early(error: &ClientError) -> bool {
    matches!(error, ClientError::NoEntry { .. }) || error.lacks_cosignatures()
}

fn refused(error: ClientError) -> Failure {
    let said = |index| format!("the server answered that what it was sent is entry {index}, but");
    match error {
        ClientError::NoEntry { index, size } => {
            Failure::bad(format!("{} its published checkpoint has {size} entries", said(index)))
        }
        ClientError::OtherEntry { index } => {
            Failure::bad(format!("{} the log has another entry there", said(index)))
        }
        error => error.into(),
    }
}
