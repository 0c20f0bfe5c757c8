//! What another API on the same log needs of its server.

use bytes::Bytes;
use kiln_http::{ByteBudget, Gate, Parts, Relay, Response};
use kiln_storage::{Register, Store};
use kiln_tiles::{SignedCheckpoint, TlogProof};
use prometheus_client::registry::Registry;
use tokio::time::{Instant, timeout_at};

use super::prover::ProveError;
use super::{LogServer, ServerOptions};
use crate::entry::Entry;
use crate::pool::{Answer, Refusal, Wait};
use crate::sequencer::Shared;
use crate::state::Status;

impl<S: Store, G: Register> LogServer<S, G> {
    /// What the log shares with those who feed and watch it.
    #[must_use]
    pub fn shared(&self) -> &Shared<S, G> {
        &self.shared
    }

    /// How long requests may take, and what they may use up.
    #[must_use]
    pub const fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// The bytes of bodies that are being read, of all APIs together.
    #[must_use]
    pub const fn bodies(&self) -> &ByteBudget {
        &self.bodies
    }

    /// What submissions pass, of all APIs together.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Registers what the log counts, as it is now, by names that begin with `kiln`.
    pub fn register(&self, registry: &mut Registry) {
        self.count_now();
        let registry = registry.sub_registry_with_prefix("kiln");
        self.shared.metrics.register(registry);
        self.shared.log.store().register_metrics(registry);
    }

    /// Hands a submission on to the process that writes the log; `None` where it is for this one to
    /// answer: it writes the log itself, or was not told to hand on.
    pub async fn hand_on(&self, parts: &Parts, body: Bytes) -> Option<Response> {
        let (relay, writer) = self.relay_to_writer()?;
        if Relay::was_relayed(&parts.headers) {
            return None;
        }
        Some(relay.send(&writer, parts, body).await)
    }

    /// Submits entries, which get into one round together, and waits for the answer until `deadline`.
    ///
    /// # Errors
    /// Where they were not taken, or nobody knows what became of them.
    pub async fn submit_entries(
        &self,
        entries: Vec<Entry>,
        wait: Wait,
        deadline: Instant,
    ) -> Result<Answer, Refusal> {
        let answered = timeout_at(deadline, self.shared.pool.submit(entries, wait)).await;
        let answer = answered.unwrap_or(Err(Refusal::Unknown))?;
        if answer.duplicates > 0 {
            self.shared.metrics.count_duplicates(answer.duplicates);
        }
        Ok(answer)
    }

    /// Why a submission was not taken or not answered, for who sent it, with what is the matter with the log, if something is.
    #[must_use]
    pub fn explained(&self, refusal: Refusal) -> String {
        match self.shared.state().status {
            Status::Ready => refusal.to_string(),
            status => format!("{refusal} ({})", status.public()),
        }
    }

    /// The proof that the entry at `index` is in the tree of `checkpoint`, which covers it.
    ///
    /// # Errors
    /// Where the tiles for it could not be read by `deadline`. The entry is logged all the same.
    pub async fn prove(
        &self,
        index: u64,
        checkpoint: &SignedCheckpoint,
        deadline: Instant,
    ) -> Result<TlogProof, ProveError> {
        self.prover.prove(&self.reads, index, checkpoint, deadline).await
    }
}
