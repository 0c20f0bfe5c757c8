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
    /// Replaces the head if it is still the one seen last. The record is built once and sent again
    /// unchanged: "mine" means byte-equal to what was sent. After anything but a clear yes, a conflict
    /// included, only a read decides; until then nothing else happens.
    pub(crate) async fn commit(self, register: &R, record: &HeadRecord) -> Result<Self, RoundError> {
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
