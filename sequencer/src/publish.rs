//! Publishing: the checkpoint is read before it is written, each time.

use std::sync::Arc;

use bytes::Bytes;
use kiln_storage::{ObjectPath, PutError, Register, Store};
use kiln_tiles::{NoteSignature, SignedCheckpoint, TreeHead};

use crate::alarm::{Alarm, Voice};
use crate::failed_round::{RoundError, back_off};
use crate::lineage::Lineage;
use crate::log::Log;
use crate::witnesses::merge;

const PUBLISH_TRIES: u32 = 6;

/// The name of the checkpoint.
pub(crate) fn checkpoint_path() -> ObjectPath {
    "checkpoint".parse().expect("an object name")
}

/// Reads the checkpoint that stands in the store, which the log's key must have signed.
pub(crate) async fn read_checkpoint<S: Store, G: Register>(
    log: &Log<S, G>,
) -> Result<Option<(SignedCheckpoint, S::Version)>, RoundError> {
    let found = log.store.read_version(&checkpoint_path()).await?;
    let open = |(body, version): (Bytes, _)| match log.trusted().open(&body) {
        Ok(checkpoint) => Ok((checkpoint, version)),
        Err(error) => Err(Alarm::Checkpoint(error).into()),
    };
    found.map(open).transpose()
}

/// Makes a checkpoint visible, unless one that covers as much is visible already. Returns the one
/// that is.
///
/// | what stands there            | what is done                              |
/// |------------------------------|-------------------------------------------|
/// | nothing                      | create                                    |
/// | a smaller tree, a prefix     | replace, if it still is that one          |
/// | a smaller tree, no prefix    | alarm                                     |
/// | the same tree                | add the lines that it lacks               |
/// | the same size, another root  | alarm                                     |
/// | a larger tree                | nothing: another writer is further        |
pub(crate) async fn publish<S: Store, G: Register>(
    log: &Log<S, G>,
    lineage: &Lineage<'_, S>,
    checkpoint: SignedCheckpoint,
) -> Result<Arc<SignedCheckpoint>, RoundError> {
    let body = Bytes::from(checkpoint.note().to_string());
    let mut attempt = 0;
    loop {
        let version = match read_checkpoint(log).await? {
            None => None,
            Some((standing, _)) if standing.head().size() > lineage.head.size() => {
                return Ok(Arc::new(standing));
            }
            Some((standing, version)) => {
                check_prefix(lineage, standing.head()).await?;
                if standing.head() == lineage.head {
                    let lines = checkpoint.note().signatures();
                    let merged = republish(log, lineage.head, lines).await?;
                    return Ok(merged.unwrap_or_else(|| Arc::new(standing)));
                }
                Some(version)
            }
        };
        match log.store.put(&checkpoint_path(), body.clone(), version).await {
            Ok(_) => return Ok(Arc::new(checkpoint)),
            Err(PutError::Storage(error)) if attempt == PUBLISH_TRIES => return Err(error.into()),
            Err(_) => back_off(attempt).await,
        }
        attempt += 1;
    }
}

/// Adds lines to the published checkpoint, as long as it is still that of the tree they were made for. A line that
/// stands there stays, unless one of these is a later one by the same key.
///
/// Returns what is published then; `None` where nothing had to be written, or another tree is published.
pub(crate) async fn republish<S: Store, G: Register>(
    log: &Log<S, G>,
    head: TreeHead,
    lines: &[NoteSignature],
) -> Result<Option<Arc<SignedCheckpoint>>, RoundError> {
    let mut attempt = 0;
    loop {
        let Some((standing, version)) = read_checkpoint(log).await? else { return Ok(None) };
        let merged = merge(standing.note(), lines);
        if standing.head() != head || merged == *standing.note() {
            return Ok(None);
        }
        let merged = log.trusted().open_note(merged).map_err(Alarm::Checkpoint)?;
        let body = Bytes::from(merged.note().to_string());
        match log.store.put(&checkpoint_path(), body, Some(version)).await {
            Ok(_) => return Ok(Some(Arc::new(merged))),
            Err(PutError::Storage(error)) if attempt == PUBLISH_TRIES => return Err(error.into()),
            Err(_) => back_off(attempt).await,
        }
        attempt += 1;
    }
}

async fn check_prefix<S: Store>(lineage: &Lineage<'_, S>, theirs: TreeHead) -> Result<(), RoundError> {
    if lineage.extends(theirs).await? {
        return Ok(());
    }
    Err(Alarm::Fork { voice: Voice::Checkpoint, theirs, ours: lineage.head }.into())
}
