//! Following a log that another process writes: what is published, verified, and a dedup index that
//! keeps up with it.

use std::sync::Arc;

use kiln_storage::{Register, Store};
use kiln_tiles::{SignedCheckpoint, TreeHead};

use crate::alarm::{Alarm, Voice};
use crate::lineage::Lineage;
use crate::load::{LoadError, catch_up};
use crate::log::Log;
use crate::publish::read_checkpoint;
use crate::read::{self, Tiles};

/// Looks what is published now. Returns the newest checkpoint, which extends `known`; `None` where
/// nothing was ever published.
///
/// A smaller one that `known` extends is an old one that came late: `known` stays.
pub(crate) async fn follow<S: Store, G: Register>(
    log: &Log<S, G>,
    known: Option<Arc<SignedCheckpoint>>,
) -> Result<Option<Arc<SignedCheckpoint>>, LoadError> {
    let Some((found, _)) = read_checkpoint(log).await? else { return Ok(known) };
    match known {
        Some(known) if known.head() == found.head() => Ok(Some(known)),
        Some(known) if known.head().size() > found.head().size() => {
            check_extends(log, known.head(), found.head()).await?;
            Ok(Some(known))
        }
        known => {
            let earlier = known.map_or(TreeHead::empty(), |known| known.head());
            check_extends(log, found.head(), earlier).await?;
            let tree = read::load_tree(Tiles::new(&log.store, found.head()), found.head()).await?;
            let lineage = Lineage { store: &log.store, base: &tree, rounds: &[], head: found.head() };
            catch_up(log, &lineage, &|_| {}).await?;
            Ok(Some(Arc::new(found)))
        }
    }
}

async fn check_extends<S: Store, G: Register>(
    log: &Log<S, G>,
    larger: TreeHead,
    earlier: TreeHead,
) -> Result<(), LoadError> {
    let tree = read::load_tree(Tiles::new(&log.store, larger), larger).await?;
    let lineage = Lineage { store: &log.store, base: &tree, rounds: &[], head: larger };
    if lineage.extends(earlier).await? {
        return Ok(());
    }
    Err(Alarm::Fork { voice: Voice::Checkpoint, theirs: earlier, ours: larger }.into())
}
