//! The commit: replaces the head, and decides what became of it.

use bytes::Bytes;
use kiln_storage::{Loaded, Register, SwapError};

use crate::failed_round::{RoundError, back_off};
use crate::record::HeadRecord;

/// The head as this writer saw it last, and leave to replace it.
pub(crate) struct Head<R: Register> {
    pub(crate) held: R::Held,
    /// The record that it holds; `None` before the first.
    pub(crate) bytes: Option<Bytes>,
}

/// How often a commit whose outcome is unknown is decided and sent again, before a new load has to
/// decide it.
const TRIES: u32 = 4;

impl<R: Register> Head<R> {
    /// Whether the log has ended.
    pub(crate) fn is_frozen(&self) -> bool {
        self.bytes.as_deref().is_some_and(HeadRecord::is_frozen)
    }

    /// Replaces the head if it is still the one seen last. The record is built once and sent again
    /// unchanged: "mine" means byte-equal to what was sent. After anything but a clear yes, a conflict
    /// included, only a read decides; until then nothing else happens.
    ///
    /// The head of a log that has ended is followed by none of a log that goes on, whoever holds it.
    pub(crate) async fn commit(self, register: &R, record: &HeadRecord) -> Result<Self, RoundError> {
        if !record.frozen && self.is_frozen() {
            return Err(RoundError::Frozen);
        }
        let (before, bytes) = (self.bytes, record.to_bytes());
        let (mut held, mut last_error) = (self.held, RoundError::Fenced);
        for attempt in 0..TRIES {
            match register.swap(held, bytes.clone()).await {
                Ok(held) => return Ok(Self { held, bytes: Some(bytes) }),
                Err(SwapError::Storage(error)) => last_error = error.into(),
                Err(SwapError::Conflict) => {}
            }
            back_off(attempt).await;
            let Loaded { held: again, value } = register.load().await?;
            held = match value {
                Some(value) if value == bytes => return Ok(Self { held: again, bytes: Some(bytes) }),
                value if value == before => again,
                _ => return Err(RoundError::Fenced),
            };
        }
        Err(last_error)
    }
}

#[cfg(test)]
mod tests {
    use kiln_storage::MemoryRegister;
    use kiln_tiles::Hash;

    use super::*;

    /// Whoever holds the head of a log that has ended, for whatever reason, has no leave to go on from it.
    #[tokio::test]
    async fn a_log_that_has_ended_does_not_go_on() {
        let register = MemoryRegister::default();
        let head = async || {
            let Loaded { held, value } = register.load().await.unwrap();
            Head::<MemoryRegister> { held, bytes: value }
        };
        let new = HeadRecord::new_log(Hash::leaf(b"key"), [1; 16]);
        let frozen = HeadRecord { frozen: true, number: 1, ..new.clone() };
        head().await.commit(&register, &frozen).await.unwrap();
        let refused = head().await.commit(&register, &HeadRecord { number: 2, ..new }).await.err();
        assert!(matches!(refused, Some(RoundError::Frozen)), "{refused:?}");
        assert_eq!(register.load().await.unwrap().value, Some(frozen.to_bytes()));
    }
}
