//! The keys of the witness.

use std::sync::Arc;

use kiln_http::Turns;
use kiln_tiles::{Checkpoint, Cosigner, Hash, NoteSignature, Subtree, VerifierKey};

/// The keys that cosign, all of them whatever is cosigned: two of different kinds, and more while keys are rotated.
#[derive(Clone, Debug)]
pub struct Cosigners {
    keys: Arc<[Cosigner]>,
    vkeys: Arc<[VerifierKey]>,
    turns: Turns,
}

/// Why keys are not those of a witness.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignersError {
    /// There is none.
    #[error("a witness needs a key")]
    None,
    /// One is there twice, or under two names. An Ed25519 cosignature does not say the name of who made it, so
    /// [each has a key of its own](https://c2sp.org/tlog-cosignature#ed25519-signed-message).
    #[error("a key is there twice, as {0} and as {1}")]
    Twice(String, String),
}

impl Cosigners {
    /// A witness with these keys.
    ///
    /// # Errors
    /// Where there is none, or one twice.
    pub fn new(keys: Vec<Cosigner>) -> Result<Self, CosignersError> {
        let vkeys: Vec<VerifierKey> = keys.iter().map(Cosigner::verifier_key).collect();
        for (i, vkey) in vkeys.iter().enumerate() {
            if let Some(other) = vkeys[..i].iter().find(|other| other.wraps_key_of(vkey)) {
                let named = |vkey: &VerifierKey| format!("{}+{}", vkey.name(), vkey.key_id());
                return Err(CosignersError::Twice(named(other), named(vkey)));
            }
        }
        if keys.is_empty() {
            return Err(CosignersError::None);
        }
        Ok(Self { keys: keys.into(), vkeys: vkeys.into(), turns: Turns::default() })
    }

    /// What others verify the cosignatures by.
    #[must_use]
    pub fn vkeys(&self) -> &[VerifierKey] {
        &self.vkeys
    }

    /// Cosigns a checkpoint at a time in seconds since 1970, by each key. Nothing is checked here.
    pub(crate) async fn cosign(&self, checkpoint: Checkpoint, time: u64) -> Vec<NoteSignature> {
        let keys = self.keys.clone();
        self.turns.run(move || keys.iter().filter_map(|key| key.cosign(&checkpoint, time)).collect()).await
    }

    /// Cosigns a subtree of a log, by each key that can.
    pub(crate) async fn cosign_subtree(
        &self,
        origin: String,
        subtree: Subtree,
        hash: Hash,
    ) -> Vec<NoteSignature> {
        let keys = self.keys.clone();
        let sign = move || keys.iter().filter_map(|key| key.cosign_subtree(&origin, subtree, hash)).collect();
        self.turns.run(sign).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_there_twice() {
        let ed25519 = |name: &str, seed| Cosigner::ed25519_from_seed(name.parse().unwrap(), [seed; 32]);
        let ml_dsa = Cosigner::ml_dsa_44_from_seed("w".parse().unwrap(), [1; 32]);
        assert_eq!(Cosigners::new(vec![]).map(drop), Err(CosignersError::None));
        assert!(Cosigners::new(vec![ed25519("w", 1), ml_dsa, ed25519("w", 2)]).is_ok());
        for name in ["w", "v"] {
            let twice = Cosigners::new(vec![ed25519("w", 1), ed25519(name, 1)]);
            assert!(matches!(twice, Err(CosignersError::Twice(..))), "{name}");
        }
    }
}
