//! What a log is made of.

use std::sync::Arc;

use kiln_storage::{Register, Store};
use kiln_tiles::{
    Checkpoint, Cosigner, EndOfLog, Hash, Note, SignedCheckpoint, SignedEnd, Successor, TreeHead, TrustedLog,
    VerifierKey, Witness,
};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, debug_span};

use crate::dedup::{Dedup, DedupError};
use crate::description::WitnessDescription;
use crate::environment::Environment;
use crate::floors::PublicCheckpoint;
use crate::guard::Guard;
use crate::metrics::Sizes;
use crate::signer::{PATIENCE, SignError, Signer};
use crate::witnesses::{WitnessMode, WitnessOptions, Witnesses};

/// A log: its key, the store it lives in, the guard that stands outside, and its dedup index.
#[derive(Debug)]
pub struct Log<S, G> {
    signer: Arc<dyn Signer>,
    cosigner: Option<Arc<Cosigner>>,
    trusted: TrustedLog,
    fingerprint: Hash,
    pub(crate) store: S,
    pub(crate) guard: Guard<G>,
    pub(crate) dedup: Dedup,
    pub(crate) environment: EnvironmentHandle,
    pub(crate) public: Option<Arc<dyn PublicCheckpoint>>,
    pub(crate) witnesses: Option<Arc<Witnesses>>,
    /// What its key signed of its end, where somebody knows.
    pub(crate) end: Option<Arc<SignedEnd>>,
    /// For its metrics.
    pub(crate) sizes: Arc<Sizes>,
}

/// The environment, which has nothing worth printing.
#[derive(Clone)]
pub(crate) struct EnvironmentHandle(pub(crate) Arc<dyn Environment>);

impl std::fmt::Debug for EnvironmentHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

impl<S: Store, G: Register> Log<S, G> {
    /// Puts a log together. Its origin is the name of its key. `guard` is the register outside of
    /// the store; see [`Guard`].
    pub fn new(
        signer: impl Signer,
        store: S,
        guard: G,
        dedup: Dedup,
        environment: Arc<dyn Environment>,
    ) -> Self {
        let vkey = signer.verifier_key();
        Self {
            fingerprint: vkey.fingerprint(),
            trusted: TrustedLog::from(vkey),
            signer: Arc::new(signer),
            cosigner: None,
            store,
            guard: Guard::new(vec![guard]),
            dedup,
            environment: EnvironmentHandle(environment),
            public: None,
            witnesses: None,
            end: None,
            sizes: Arc::default(),
        }
    }

    /// The log with one more guard, each of which is raised in each round.
    #[must_use]
    pub fn with_guard(mut self, guard: G) -> Self {
        self.guard.add(guard);
        self
    }

    /// The log, with the place where its readers see it as one more voice that remembers.
    #[must_use]
    pub fn with_public(mut self, public: Arc<dyn PublicCheckpoint>) -> Self {
        self.public = Some(public);
        self
    }

    /// The log, with a second key of its own that cosigns each checkpoint: one of ML-DSA-44, say, which outlives what
    /// quantum computers do to the first. It has the name of the first.
    #[must_use]
    pub fn with_cosigner(mut self, cosigner: Cosigner) -> Self {
        self.cosigner = Some(Arc::new(cosigner));
        self
    }

    /// The log, with witnesses that cosign what it publishes, and that are voices which remember.
    #[must_use]
    pub fn with_witnesses(mut self, witnesses: Witnesses) -> Self {
        self.witnesses = Some(Arc::new(witnesses));
        self
    }

    /// The log, which has ended: its key signed this. It is one more voice, and takes no entries whatever its head says.
    #[must_use]
    pub fn with_end(mut self, end: SignedEnd) -> Self {
        self.end = Some(Arc::new(end));
        self
    }

    /// The log as its readers see it: origin and verifier key.
    pub const fn trusted(&self) -> &TrustedLog {
        &self.trusted
    }

    /// The keys that sign each checkpoint: the one that the log is known by, and the second one, if it has one.
    pub fn vkeys(&self) -> Vec<VerifierKey> {
        let second = self.cosigner.iter().map(|cosigner| cosigner.verifier_key());
        self.trusted.keys().iter().cloned().chain(second).collect()
    }

    /// The witnesses, as `log.json` names them.
    pub fn described_witnesses(&self) -> Vec<WitnessDescription> {
        let all = self.witnesses.iter().flat_map(|witnesses| witnesses.quorum.witnesses());
        let described = |witness: &Witness| WitnessDescription {
            name: witness.name.to_string(),
            vkey: witness.key.to_string(),
        };
        all.map(described).collect()
    }

    /// SHA-256 of the vkey, by which the head and the guard know the log.
    pub const fn fingerprint(&self) -> Hash {
        self.fingerprint
    }

    /// The store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Signs that the log has ended at this tree, which is its last: whoever calls this made sure that the head says so.
    ///
    /// # Errors
    /// Where its key does not sign now. The log has ended all the same.
    pub async fn sign_end(
        &self,
        head: TreeHead,
        successor: Option<Successor>,
    ) -> Result<SignedEnd, SignError> {
        let end = EndOfLog::new(self.trusted.origin(), head, successor).expect("a key name is an origin");
        let note = self.signed(end.to_string()).await?;
        self.trusted.open_end(note.to_string().as_bytes()).map_err(|_| SignError::Forged)
    }

    /// Has the log's key sign the checkpoint of a tree that is published, to see whether it signs: before a step that no other
    /// takes back.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn try_key(&self, published: TreeHead) -> Result<(), SignError> {
        let checkpoint = Checkpoint::new(self.trusted.origin(), published).expect("a key name is an origin");
        let note = self.signed(checkpoint.to_string()).await?;
        self.trusted.open_note(note).map(drop).map_err(|_| SignError::Forged)
    }

    /// Works with the dedup index where waiting for the disk disturbs nobody. One in memory keeps
    /// nobody waiting, and no thread but this one decides what comes next.
    pub(crate) async fn index<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Dedup) -> Result<T, DedupError> + Send + 'static,
    ) -> Result<T, DedupError> {
        if !self.dedup.is_on_disk() {
            return work(&self.dedup);
        }
        let dedup = self.dedup.clone();
        tokio::task::spawn_blocking(move || work(&dedup)).await.expect("the index does not panic")
    }

    /// Whether a published checkpoint is not cosigned as it must be: it is from a time of other witnesses, or of none.
    pub(crate) fn lacks_cosignatures(&self, published: &SignedCheckpoint) -> bool {
        self.witnesses.as_ref().is_some_and(|witnesses| !witnesses.are_met_by(published.note()))
    }

    /// Whether nothing is published that too few witnesses cosigned.
    pub(crate) fn requires_witnesses(&self) -> bool {
        self.witnesses.as_ref().is_some_and(|witnesses| witnesses.options.mode == WitnessMode::Require)
    }

    /// Returns when the published checkpoint, which witnesses were asked about at `since`, is to be cosigned anew; never
    /// without witnesses. One that lacks some cosignatures is so soon.
    pub(crate) async fn refresh_is_due(&self, lacks: bool, since: Instant) {
        let Some(witnesses) = &self.witnesses else { return std::future::pending().await };
        let WitnessOptions { patience, refresh, .. } = witnesses.options;
        // Who is late has answered by then, or never will.
        let soon = witnesses.options.longest() + patience;
        tokio::time::sleep_until(since + if lacks { soon } else { refresh }).await;
    }

    /// Signs a checkpoint for this tree, with the log's own cosignature at this time, in seconds since 1970, if it has a
    /// key for one. Whoever calls this made sure of the order of the round.
    pub(crate) async fn sign(&self, head: TreeHead, time: u64) -> Result<SignedCheckpoint, SignError> {
        let checkpoint = Checkpoint::new(self.trusted.origin(), head).expect("a key name is an origin");
        let mut note = self.signed(checkpoint.to_string()).await?;
        if let Some(cosigner) = self.cosigner.clone() {
            // Milliseconds of arithmetic, which would keep others waiting.
            let cosigning = tokio::task::spawn_blocking(move || cosigner.cosign(&checkpoint, time));
            let line = cosigning.await.expect("cosigning does not panic").expect("a key name is an origin");
            note = note.with(line).expect("two lines are not too many");
        }
        self.trusted.open_note(note).map_err(|_| SignError::Forged)
    }

    /// The text, and what is said to be the signature of the log's key under it. It has to be opened before it is used.
    async fn signed(&self, text: String) -> Result<Note, SignError> {
        let signing = timeout(PATIENCE, self.signer.sign(&text)).instrument(debug_span!("sign"));
        let line = signing.await;
        let line = line.map_err(|_| SignError::Late(PATIENCE))??;
        Ok(Note::new(text, vec![line]).expect("it is the text of a note"))
    }
}
