//! Who signs for the log: a service that keeps the key, and now and then does not sign, not in time, or not what it was
//! asked.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kiln_sequencer::{SignError, Signer};
use kiln_tiles::{Checkpoint, NoteSignature, SigningKey, VerifierKey};
use tokio::time::sleep;

use super::world::World;
use crate::world::signing_key;

/// The key of the log, as one process has it signed with.
pub(crate) struct Hand {
    world: Arc<World>,
    process: usize,
    key: SigningKey,
}

/// What becomes of a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Made,
    Refused,
    /// It is made so much later, if anybody waits so long.
    Slow(Duration),
    /// Another text is signed.
    Forged,
}

impl Hand {
    pub(crate) fn new(world: Arc<World>, process: usize) -> Self {
        Self { world, process, key: signing_key() }
    }

    fn fate(&self) -> Fate {
        let faults = self.world.weather().signer;
        if faults == 0.0 {
            return Fate::Made;
        }
        let mut dice = self.world.signer_dice();
        if dice.f64() >= faults {
            return Fate::Made;
        }
        match dice.u8(..4) {
            0 => Fate::Refused,
            1 => Fate::Forged,
            _ => Fate::Slow(Duration::from_millis(dice.u64(..9_000))),
        }
    }

    /// A tree that it signs is promised, whether anybody sees it or not.
    fn sign_now(&self, text: &str) -> NoteSignature {
        let note = self.key.sign(text.to_owned()).expect("the text of a note");
        if text.parse::<Checkpoint>().is_ok() {
            self.world.check(|checker| checker.signed(note.to_string().as_bytes()));
        }
        note.signatures()[0].clone()
    }
}

impl std::fmt::Debug for Hand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hand").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Signer for Hand {
    fn verifier_key(&self) -> VerifierKey {
        self.key.verifier_key()
    }

    fn sign<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<NoteSignature, SignError>> {
        async move {
            let fate = self.fate();
            if fate != Fate::Made {
                self.world.count("faults of the signer");
                self.world.note(Some(self.process), format_args!("sign: {fate:?}"));
            }
            match fate {
                Fate::Made => Ok(self.sign_now(text)),
                Fate::Refused => Err(SignError::Unsigned("a simulated fault of the signer".into())),
                Fate::Slow(late) => {
                    // A service signs whether or not anybody still waits for it.
                    let signature = self.sign_now(text);
                    sleep(late).await;
                    Ok(signature)
                }
                Fate::Forged => {
                    let forged = self.key.sign("something else\n".to_owned()).expect("the text of a note");
                    Ok(forged.signatures()[0].clone())
                }
            }
        }
        .boxed()
    }
}
