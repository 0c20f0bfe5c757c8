//! The newest checkpoint that was served. A reader who is shown a smaller one afterwards must take that
//! for a rollback.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use kiln_tiles::TrustedLog;

/// Remembers the newest checkpoint that readers saw. Where it comes from changes with what the process
/// does: a standby shows the one that it has verified, everybody else what stands in the store, which
/// may be newer.
#[derive(Debug, Default)]
pub(super) struct Newest(Mutex<Option<(u64, Bytes)>>);

impl Newest {
    /// The checkpoint to serve instead of this one: itself, or the newest that was served where that is
    /// of a larger tree. What the log's key did not sign is served as it stands, and not remembered.
    pub(super) fn at_least(&self, checkpoint: Bytes, log: &TrustedLog) -> Bytes {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Most readers ask for what the last one got, and a signature takes a while to verify.
        if newest.as_ref().is_some_and(|(_, served)| *served == checkpoint) {
            return checkpoint;
        }
        let Ok(opened) = log.open(&checkpoint) else { return checkpoint };
        match &*newest {
            Some((size, served)) if *size > opened.head().size() => served.clone(),
            _ => {
                *newest = Some((opened.head().size(), checkpoint.clone()));
                checkpoint
            }
        }
    }

    /// The size of its tree.
    pub(super) fn size(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |(size, _)| *size)
    }
}

#[cfg(test)]
mod tests {
    use kiln_tiles::{Checkpoint, Hash, SigningKey, TreeHead};

    use super::*;

    fn checkpoint(key: &SigningKey, size: u64) -> Bytes {
        let head = TreeHead::new(size, Hash::leaf(&size.to_be_bytes())).expect("a tree");
        let text = Checkpoint::new("example.com/log", head).expect("an origin").to_string();
        key.sign(text).expect("a note").to_string().into()
    }

    /// A standby whose store had failed for a moment showed what stood in it, and then the older one
    /// that it had begun to verify before that. Its readers saw the log shrink.
    #[test]
    fn nobody_is_shown_a_smaller_checkpoint_than_before() {
        let key = |seed| SigningKey::from_seed("example.com/log".parse().expect("a name"), [seed; 32]);
        let (key, stranger) = (key(1), key(2));
        let (log, newest) = (TrustedLog::from(key.verifier_key()), Newest::default());
        for (stands, size, shown) in [(7, 7, 7), (9, 9, 9), (8, 9, 9), (9, 9, 9), (10, 10, 10), (1, 10, 10)] {
            assert_eq!(newest.at_least(checkpoint(&key, stands), &log), checkpoint(&key, shown), "{stands}");
            assert_eq!(newest.size(), size);
        }
        // What is damaged is shown to be so, and passes by.
        for damaged in [Bytes::from_static(b"damaged"), checkpoint(&stranger, 11)] {
            assert_eq!(newest.at_least(damaged.clone(), &log), damaged);
        }
        assert_eq!(newest.at_least(checkpoint(&key, 11), &log), checkpoint(&key, 11));
    }
}
