//! What was signed this second: whoever asks for the same again gets the same bytes, for no work.
//!
//! The public checkpoint of a log, with its size before it, is a request that anybody can repeat. Each would cost a
//! signature by each key, which are most of what a witness does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_tiles::{Cosignatures, Hash};

use crate::writer::Grant;

/// The answers of one second, by origin hash. More than can be signed in a second they are not.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Second>);

#[derive(Debug, Default)]
struct Second {
    time: u64,
    answers: HashMap<Hash, (String, Cosignatures)>,
}

impl Recent {
    /// The answer to a grant of the same text and time.
    pub(crate) fn answer(&self, grant: &Grant) -> Option<Cosignatures> {
        let second = self.lock();
        let (text, answer) = second.answers.get(&grant.origin_hash).filter(|_| second.time == grant.time)?;
        (text == grant.note.unverified_text()).then(|| answer.clone())
    }

    /// Remembers an answer, and forgets those of other seconds.
    pub(crate) fn remember(&self, grant: &Grant, answer: &Cosignatures) {
        let mut second = self.lock();
        if second.time != grant.time {
            *second = Second { time: grant.time, answers: HashMap::new() };
        }
        let text = grant.note.unverified_text().to_owned();
        second.answers.insert(grant.origin_hash, (text, answer.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, Second> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use kiln_tiles::Cosigner;

    use super::*;
    use crate::testing::TestLog;

    #[test]
    fn only_the_same_text_of_the_same_second_has_an_answer() {
        let (recent, log) = (Recent::default(), TestLog::new("example.com/log"));
        let cosigner = Cosigner::ed25519_from_seed("w".parse().unwrap(), [1; 32]);
        let grant = |size, time| Grant {
            origin_hash: log.log().origin_hash(),
            checkpoint: log.checkpoint(size),
            note: log.note(size),
            time,
        };
        let first = grant(5, 100);
        let answer = Cosignatures::new(vec![cosigner.cosign(&first.checkpoint, 100).unwrap()]).unwrap();
        recent.remember(&first, &answer);
        assert_eq!(recent.answer(&grant(5, 100)), Some(answer.clone()));
        assert_eq!(recent.answer(&grant(6, 100)), None);
        assert_eq!(recent.answer(&grant(5, 101)), None);
        recent.remember(&grant(6, 101), &answer);
        assert_eq!(recent.answer(&first), None);
    }
}
