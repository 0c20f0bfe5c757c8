//! Replacing the head outside of a round: of a copy that was brought up to date, and of a log that is
//! brought back.
//!
//! Such a head holds no rounds: everything below its tree was written before, and is durable. It is a
//! log at rest, from which a load goes on.

use bytes::Bytes;
use kiln_storage::{Loaded, Register};
use kiln_tiles::{Hash, TreeHead};

use crate::commit::Head;
use crate::failed_round::RoundError;
use crate::load::LoadError;
use crate::record::HeadRecord;

/// The head of a log at rest, after `before`. Where that is lost, the number of rounds is counted
/// on from the number of leaves: no log ever had more rounds.
///
/// `frozen`: whether the log has ended.
pub(crate) fn at_rest(
    log: Hash,
    writer: [u8; 16],
    before: Option<&HeadRecord>,
    tree: TreeHead,
    frozen: bool,
) -> HeadRecord {
    let number = before.map_or(tree.size(), |record| record.number).saturating_add(1);
    HeadRecord { log, writer, number, base: tree, head: tree, rounds: Vec::new(), frozen }
}

/// Replaces the head if it still is `before`, as a round does.
pub(crate) async fn replace<R: Register>(
    register: &R,
    held: R::Held,
    before: Option<&Bytes>,
    record: &HeadRecord,
) -> Result<(), RoundError> {
    Head { held, bytes: before.cloned() }.commit(register, record).await.map(drop)
}

/// The head of a copy of a log: it says which tree the copy has whole, and lets a log start from the
/// copy. While this exists on a folder, nobody else writes there.
pub struct CopyHead<'a, R: Register> {
    register: &'a R,
    log: Hash,
    held: R::Held,
    before: Option<Bytes>,
    record: Option<HeadRecord>,
}

impl<'a, R: Register> CopyHead<'a, R> {
    /// Reads the head of a copy of the log whose vkey has the SHA-256 `log`, and takes leave to
    /// replace it.
    ///
    /// # Errors
    /// [`LoadError::OtherLog`] and [`LoadError::Head`] where it is another log's or no head at all:
    /// then nothing here may be replaced. Else the store did not answer, or another process holds it.
    pub async fn load(register: &'a R, log: Hash) -> Result<Self, LoadError> {
        let Loaded { held, value: before } = register.load().await?;
        let record = before.as_ref().map(HeadRecord::parse).transpose()?;
        match record.as_ref().filter(|record| record.log != log) {
            Some(other) => Err(LoadError::OtherLog { expected: log, found: other.log }),
            None => Ok(Self { register, log, held, before, record }),
        }
    }

    /// The tree that the head commits to; `None` where there is no head yet.
    #[must_use]
    pub fn tree(&self) -> Option<TreeHead> {
        self.record.as_ref().map(|record| record.head)
    }

    /// Where the log ended, if this copy of it knows that it has.
    #[must_use]
    pub fn end(&self) -> Option<TreeHead> {
        self.record.as_ref().filter(|record| record.frozen).map(|record| record.head)
    }

    /// Makes it the head of a log at rest at `tree`, all of which is in the store, durably, and which
    /// extends the one before. `writer` is random. Nothing is written where it says so already.
    ///
    /// # Errors
    /// Where the store fails, somebody else replaced the head, or the log ended at another tree.
    pub async fn advance(self, tree: TreeHead, writer: [u8; 16]) -> Result<(), LoadError> {
        let rests = |record: &HeadRecord| record.base == tree && record.head == tree;
        if self.record.as_ref().is_some_and(rests) {
            return Ok(());
        }
        let next = at_rest(self.log, writer, self.record.as_ref(), tree, false);
        Ok(replace(self.register, self.held, self.before.as_ref(), &next).await?)
    }
}

impl<R: Register> std::fmt::Debug for CopyHead<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyHead").field("record", &self.record).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kiln_storage::{MemoryRegister, StorageError, StorageErrorKind, SwapError};

    use super::*;
    use crate::entry::Entry;
    use crate::record::Round;

    fn tree(size: u64) -> TreeHead {
        TreeHead::new(size, Hash::leaf(&size.to_be_bytes())).unwrap()
    }

    const LOG: Hash = Hash::from_bytes([9; 32]);

    async fn advance(register: &MemoryRegister, size: u64, writer: u8) {
        CopyHead::load(register, LOG).await.unwrap().advance(tree(size), [writer; 16]).await.unwrap();
    }

    async fn record(register: &MemoryRegister) -> HeadRecord {
        HeadRecord::parse(&register.load().await.unwrap().value.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_copy_has_the_head_of_a_log_at_rest() {
        let register = MemoryRegister::default();
        assert_eq!(CopyHead::load(&register, LOG).await.unwrap().tree(), None);
        advance(&register, 5, 1).await;
        let first = record(&register).await;
        assert_eq!((first.base, first.head, first.rounds.len()), (tree(5), tree(5), 0));
        advance(&register, 5, 2).await;
        assert_eq!(record(&register).await, first, "it said so already");
        advance(&register, 7, 3).await;
        assert_eq!(record(&register).await.number, first.number + 1);
        assert_eq!(CopyHead::load(&register, LOG).await.unwrap().tree(), Some(tree(7)));
    }

    /// A log was started from a copy, and its head holds a round: the next copy is one without.
    #[tokio::test]
    async fn a_copy_that_a_log_ran_from_is_at_rest_again() {
        let register = MemoryRegister::default();
        advance(&register, 3, 1).await;
        let entries = ["a", "b"].map(|text| Entry::new(Bytes::from(text)).unwrap());
        let round = Arc::new(Round { time: 1, entries: entries.into() });
        let running = HeadRecord { head: tree(5), rounds: vec![round], ..record(&register).await };
        let Loaded { held, .. } = register.load().await.unwrap();
        register.swap(held, running.to_bytes()).await.unwrap();
        advance(&register, 5, 2).await;
        let copy = record(&register).await;
        assert_eq!((copy.base, copy.head, copy.rounds.len()), (tree(5), tree(5), 0));
    }

    #[tokio::test]
    async fn the_head_of_another_log_and_what_is_no_head_are_refused() {
        let register = MemoryRegister::default();
        advance(&register, 5, 1).await;
        let other = CopyHead::load(&register, Hash::from_bytes([8; 32])).await;
        assert!(matches!(other, Err(LoadError::OtherLog { .. })), "{other:?}");
        let Loaded { held, .. } = register.load().await.unwrap();
        register.swap(held, Bytes::from_static(b"?")).await.unwrap();
        let none = CopyHead::load(&register, LOG).await;
        assert!(matches!(none, Err(LoadError::Head(_))), "{none:?}");
    }

    /// A register whose first swaps report an error: `persist` says whether they were done.
    struct Failing {
        memory: MemoryRegister,
        left: AtomicUsize,
        persist: bool,
    }

    impl Register for Failing {
        type Held = u64;

        async fn load(&self) -> Result<Loaded<u64>, StorageError> {
            self.memory.load().await
        }

        async fn swap(&self, held: u64, value: Bytes) -> Result<u64, SwapError> {
            if self.left.load(Ordering::SeqCst) == 0 {
                return self.memory.swap(held, value).await;
            }
            self.left.fetch_sub(1, Ordering::SeqCst);
            if self.persist {
                self.memory.swap(held, value).await?;
            }
            Err(StorageError::new(StorageErrorKind::Transient, "swap", &"a test", None).into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_swap_without_a_clear_yes_is_decided_by_a_read() {
        for (left, persist, done) in [(1, true, true), (3, false, true), (4, false, false)] {
            let memory = MemoryRegister::default();
            let failing = Failing { memory: memory.clone(), left: left.into(), persist };
            let Loaded { held, .. } = failing.load().await.unwrap();
            let replaced = replace(&failing, held, None, &at_rest(LOG, [1; 16], None, tree(5), false)).await;
            assert_eq!(replaced.is_ok(), done, "{left} {persist}");
            assert_eq!(memory.load().await.unwrap().value.is_some(), done);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_somebody_else_replaced_stays() {
        let register = MemoryRegister::default();
        let slow = CopyHead::load(&register, LOG).await.unwrap();
        advance(&register, 7, 2).await;
        let fenced = slow.advance(tree(5), [1; 16]).await;
        assert!(matches!(fenced, Err(LoadError::Round(RoundError::Fenced))), "{fenced:?}");
        assert_eq!(record(&register).await.head, tree(7));
    }

    /// A log that had ended was copied again, and its copy took entries afterwards.
    #[tokio::test]
    async fn the_copy_of_a_log_that_has_ended_has_ended() {
        let register = MemoryRegister::default();
        let Loaded { held, .. } = register.load().await.unwrap();
        let ended = at_rest(LOG, [1; 16], None, tree(5), true);
        replace(&register, held, None, &ended).await.unwrap();
        advance(&register, 5, 2).await;
        assert_eq!(record(&register).await, ended);
        let copy = CopyHead::load(&register, LOG).await.unwrap();
        let refused = copy.advance(tree(7), [2; 16]).await;
        assert!(matches!(refused, Err(LoadError::Round(RoundError::Frozen))), "{refused:?}");
    }
}
