//! The guard: the highest committed tree, kept outside of the log's store, so that a store that
//! went back in time is noticed.
//!
//! It is raised after a commit is durable, and before any answer or signature. It holds:
//!
//! ```text
//! kiln-guard/v1
//! <SHA-256 of the log's vkey, hex>
//! <tree size> : <root hash, hex>
//! <the writer's id, hex>
//! ```

use bytes::Bytes;
use futures_util::future::try_join_all;
use kiln_storage::{Loaded, Register, StorageError, Store, SwapError};
use kiln_tiles::{Hash, TreeHead};

use crate::alarm::{Alarm, Voice};
use crate::failed_round::back_off;
use crate::lineage::Lineage;
use crate::read::ReadError;

const HEADER: &str = "kiln-guard/v1";

/// How often a swap that others won is tried again within one round.
const TRIES: u32 = 5;

/// The guard of a log, in one or more registers outside of its store. Each of them is raised in each
/// round.
#[derive(Debug)]
pub struct Guard<G> {
    registers: Vec<G>,
}

/// Why the guard could not be raised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// Another writer has committed more. Load again.
    #[error("another writer of this log is further: the guard stands at tree size {}", .0.size())]
    Ahead(TreeHead),
    /// The guard is gone, though this log is running.
    #[error("the guard is gone: somebody removed it while the log was running")]
    Gone,
    /// Nothing but an alarm may follow.
    #[error(transparent)]
    Alarm(#[from] Alarm),
    /// What stands in the guard is not a guard of this log.
    #[error("the guard is damaged, or is another log's")]
    Malformed,
    /// The guard's store did not answer. Try again.
    #[error("the guard: {0}")]
    Storage(#[from] StorageError),
    /// The log's own tiles could not be read back.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl<G: Register> Guard<G> {
    pub(crate) const fn new(registers: Vec<G>) -> Self {
        Self { registers }
    }

    pub(crate) fn add(&mut self, register: G) {
        self.registers.push(register);
    }

    /// The highest committed tree, as each register knows it; `None` where one is empty.
    pub(crate) async fn read(&self, log: Hash) -> Result<Vec<Option<TreeHead>>, GuardError> {
        try_join_all(self.registers.iter().map(|register| read(register, log))).await
    }

    /// Sets the guard up where there is none, at a tree that somebody vouches for. A register that
    /// knows a tree already must know this one.
    pub(crate) async fn establish(
        &self,
        log: Hash,
        writer: [u8; 16],
        tree: TreeHead,
    ) -> Result<(), GuardError> {
        let value = print(log, writer, tree);
        let all = self.registers.iter().map(|register| establish(register, log, &value, tree));
        try_join_all(all).await.map(drop)
    }

    /// Sets up those registers that are empty, at a tree that extends what the others know.
    pub(crate) async fn complete(
        &self,
        log: Hash,
        writer: [u8; 16],
        tree: TreeHead,
    ) -> Result<(), GuardError> {
        let value = print(log, writer, tree);
        for register in &self.registers {
            if read(register, log).await?.is_none() {
                tracing::info!(size = tree.size(), "a guard was missing; another vouches for the log");
                establish(register, log, &value, tree).await?;
            }
        }
        Ok(())
    }

    /// Raises the guard to the tree of `lineage`, which is committed and must extend what each
    /// register holds.
    pub(crate) async fn raise<S: Store>(
        &self,
        log: Hash,
        writer: [u8; 16],
        lineage: &Lineage<'_, S>,
    ) -> Result<(), GuardError> {
        let value = print(log, writer, lineage.head);
        let all = self.registers.iter().map(|register| raise(register, log, &value, lineage));
        try_join_all(all).await.map(drop)
    }
}

async fn read(register: &impl Register, log: Hash) -> Result<Option<TreeHead>, GuardError> {
    let Loaded { value, .. } = register.load().await?;
    value.map(|value| parse(&value, log).ok_or(GuardError::Malformed)).transpose()
}

async fn establish(
    register: &impl Register,
    log: Hash,
    value: &Bytes,
    tree: TreeHead,
) -> Result<(), GuardError> {
    let mut outcome = Err(GuardError::Ahead(tree));
    for attempt in 0..TRIES {
        let Loaded { held, value: found } = register.load().await?;
        if let Some(found) = found {
            let known = parse(&found, log).ok_or(GuardError::Malformed)?;
            return if known == tree { Ok(()) } else { Err(GuardError::Ahead(known)) };
        }
        // After anything but a clear yes only a read decides: somebody who knows the same tree may
        // have been first, or an earlier try of one's own.
        match register.swap(held, value.clone()).await {
            Ok(_) => return Ok(()),
            Err(SwapError::Conflict) => {}
            Err(SwapError::Storage(error)) => outcome = Err(error.into()),
        }
        back_off(attempt).await;
    }
    outcome
}

/// Reads under a lock, compares, writes, syncs.
async fn raise<S: Store>(
    register: &impl Register,
    log: Hash,
    value: &Bytes,
    lineage: &Lineage<'_, S>,
) -> Result<(), GuardError> {
    let mut outcome = Err(GuardError::Gone);
    for attempt in 0..TRIES {
        let Loaded { held, value: found } = register.load().await?;
        let guarded = parse(&found.ok_or(GuardError::Gone)?, log).ok_or(GuardError::Malformed)?;
        if guarded == lineage.head {
            return Ok(());
        }
        check_extends(lineage, guarded).await?;
        match register.swap(held, value.clone()).await {
            Ok(_) => return Ok(()),
            Err(SwapError::Conflict) => outcome = Err(GuardError::Ahead(guarded)),
            Err(SwapError::Storage(error)) => outcome = Err(error.into()),
        }
        back_off(attempt).await;
    }
    outcome
}

async fn check_extends<S: Store>(lineage: &Lineage<'_, S>, guarded: TreeHead) -> Result<(), GuardError> {
    if guarded.size() > lineage.head.size() {
        // A prefix or not: only a load, which reads the head anew, can tell.
        return Err(GuardError::Ahead(guarded));
    }
    if lineage.extends(guarded).await? {
        return Ok(());
    }
    Err(Alarm::Fork { voice: Voice::Guard, theirs: guarded, ours: lineage.head }.into())
}

fn print(log: Hash, writer: [u8; 16], tree: TreeHead) -> Bytes {
    let writer: String = writer.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{HEADER}\n{}\n{tree}\n{writer}\n", log.to_hex()).into()
}

fn parse(value: &[u8], log: Hash) -> Option<TreeHead> {
    let mut lines = std::str::from_utf8(value).ok()?.strip_suffix('\n')?.split('\n');
    let header = lines.next() == Some(HEADER) && lines.next() == Some(log.to_hex().as_str());
    let tree = lines.next()?.parse().ok()?;
    let writer = lines.next().is_some_and(|id| id.len() == 32);
    (header && writer && lines.next().is_none()).then_some(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_reads_what_it_prints_for_its_own_log() {
        let (log, tree) = (Hash::leaf(b"log"), TreeHead::new(9, Hash::leaf(b"root")).unwrap());
        let value = print(log, [7; 16], tree);
        assert_eq!(parse(&value, log), Some(tree));
        assert_eq!(parse(&value, Hash::leaf(b"other")), None);
        for end in 0..value.len() {
            assert_eq!(parse(&value[..end], log), None, "cut at {end}");
        }
    }
}
