//! The end of a log: how it is frozen, what its key signs of that, and what is left to do.
//!
//! The head says that a log has ended: one swap makes it so, after which no other is possible. The note of its end, in
//! `log.json`, tells everybody, and outlives the head: a log whose head went back, or was lost, stays frozen by it.

use std::sync::Arc;
use std::time::Duration;

use kiln_storage::{Register, Store};
use kiln_tiles::{SignedEnd, TreeHead};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::failed_round::RoundError;
use crate::load::LoadError;
use crate::log::Log;
use crate::round::Writer;
use crate::sequencer::{Sequencer, stopped};
use crate::signer::SignError;
use crate::state::Status;

/// How often it is looked whether a log that has ended names another successor.
const LOOK: Duration = Duration::from_secs(60);

/// How soon its key is asked again that did not sign the note of its end.
const SOON: Duration = Duration::from_secs(5);

impl<S: Store, G: Register> Log<S, G> {
    /// What the log's key signed of its end, in the `log.json` of its store; `None` where nothing is there that
    /// verifies.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn read_end(&self) -> Result<Option<SignedEnd>, LoadError> {
        let path = "log.json".parse().expect("an object name");
        let Some((body, _)) = self.store.read_version(&path).await? else { return Ok(None) };
        let described: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let note = described.as_ref().and_then(|described| described["end"].as_str());
        let unsigned = |error: &_| tracing::warn!(%error, "log.json names an end that this log did not sign");
        Ok(note.and_then(|note| self.trusted().open_end(note.as_bytes()).inspect_err(unsigned).ok()))
    }

    /// The log, with what is known of its end, if it has ended.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn with_known_end(self) -> Result<Self, LoadError> {
        let end = self.read_end().await?;
        Ok(end.into_iter().fold(self, Self::with_end))
    }
}

impl<S: Store, G: Register> Sequencer<S, G> {
    /// Ends a log for good, which was loaded and so is whole and published. Does nothing where it has ended already.
    ///
    /// # Errors
    /// Where the store does not answer, or another process committed meanwhile: the log goes on then, or has ended,
    /// which a new load tells.
    pub async fn freeze(&self, writer: Writer<S, G>) -> Result<Writer<S, G>, LoadError> {
        let Writer { committer, settler, publisher, published } = writer;
        let committer = committer.freeze().await?;
        self.release_the_lease().await;
        Ok(Writer { committer, settler, publisher, published })
    }

    /// Serves a log that has ended, until `stop` says so. Nobody needs leave to write it any more, so it is given back;
    /// what is published stays as it is, but for cosignatures that come late or are to be renewed.
    pub(crate) async fn rest(
        &self,
        writer: Writer<S, G>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), RoundError> {
        let head = writer.head();
        tracing::info!(size = head.size(), "the log is frozen: it is read, and takes no entries");
        let Writer { committer, publisher, .. } = writer;
        drop(committer);
        self.release_the_lease().await;
        let ((_no_more_rounds, none), stopping) = (mpsc::channel(1), stop.clone());
        tokio::select! {
            biased; // no dice but those that were handed in
            () = stopped(stop) => Ok(()),
            () = self.tell_end_again(head) => Ok(()),
            failed = self.publish_rounds(publisher, none, stopping) => failed,
        }
    }

    /// Says it as long as it is served.
    async fn tell_end_again(&self, head: TreeHead) {
        loop {
            let told = self.tell_end(head).await.map_err(|error| {
                tracing::warn!(%error, "nobody is told yet that the log has ended");
                let failing = LoadError::from(RoundError::from(error));
                self.shared.set_status(Status::Failing(Arc::new(failing)));
            });
            sleep(told.map_or(SOON, |()| LOOK)).await;
        }
    }

    /// Says how the log ended: as its note says, or where that is missing, alone.
    async fn tell_end(&self, head: TreeHead) -> Result<(), SignError> {
        let (log, known) = (&self.shared.log, self.shared.end());
        let read = log.read_end().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the note of the log's end could not be read");
            None
        });
        let read = read.filter(|end| end.head() == head).map(Arc::new);
        let end = match read.or(known) {
            Some(end) => end,
            None => Arc::new(log.sign_end(head, None).await?),
        };
        self.shared.set_status(Status::Frozen(end));
        Ok(())
    }
}
