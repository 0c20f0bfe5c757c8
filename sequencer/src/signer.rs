//! Who signs for a log: a key in this process, or a service that keeps one and signs when it is asked.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kiln_tiles::{NoteSignature, SigningKey, VerifierKey};

/// The first key of a log: the one that it is known by, wherever that is kept.
///
/// What to sign is decided before it is asked, by the order of the round, and what it answers is verified before it is
/// used: it need not be trusted, nor be there all the time.
pub trait Signer: Debug + Send + Sync + 'static {
    /// The public half, which is the same for ever.
    fn verifier_key(&self) -> VerifierKey;

    /// Signs the text of a note. It may be given up at any time, and be asked for the same text again: two signatures
    /// under one text say no more than one.
    fn sign<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<NoteSignature, SignError>>;
}

/// Why there is no signature. It says nothing of the log, and what was to be signed is to be signed later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// Who keeps the key could not be asked, or did not sign.
    #[error("the log's key did not sign: {0}")]
    Unsigned(#[source] Box<dyn Error + Send + Sync>),
    /// It did not answer in time.
    #[error("the log's key did not sign within {0:?}")]
    Late(Duration),
    /// It answered with what this key did not sign, or not for this text.
    #[error("what was returned for a signature is none by the log's key: is it another key by now?")]
    Forged,
}

/// How long a log waits for a signature: a round waits with it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A key at hand signs at once.
impl Signer for SigningKey {
    fn verifier_key(&self) -> VerifierKey {
        self.verifier_key()
    }

    fn sign<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<NoteSignature, SignError>> {
        let signed = self.sign(text.to_owned()).map_err(|error| SignError::Unsigned(error.into()));
        let line = signed.map(|note| note.signatures()[0].clone());
        std::future::ready(line).boxed()
    }
}
