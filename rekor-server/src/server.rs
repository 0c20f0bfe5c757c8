//! The routes, and the way of a submission.

use std::sync::Arc;
use std::time::Instant as Clock;

use bytes::Bytes;
use kiln_http::{
    Client, Handler, Incoming, Method, NotReady, Parts, Probe, Request, Response, StatusCode, Uri, cors,
    discard, read_body, reply,
};
use kiln_rekor::{InclusionProof, LogId, Policy, RekorLog};
use kiln_sequencer::{Answer, LogServer, Refusal, Submissions, Wait, exposition};
use kiln_storage::{Register, Store};
use kiln_tiles::{Note, SignedCheckpoint};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::answer::Logged;
use crate::checks::{Checked, Checker, ChecksAtOnce};
use crate::error::ApiError;
use crate::metrics::RekorMetrics;

/// What is answered to who submits an entry that the log has already.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnDuplicate {
    /// The same as to the first: 201, with a fresh proof.
    #[default]
    Return,
    /// 409, with the index: what rekor-tiles does, and what no client can handle.
    Conflict,
}

/// How the API behaves.
#[derive(Clone, Debug)]
pub struct RekorOptions {
    /// Which entries are taken.
    pub policy: Policy,
    /// What is answered where an entry is there already.
    pub on_duplicate: OnDuplicate,
    /// Whether errors say in `details` what was wrong; rekor-tiles leaves it empty.
    pub reasons: bool,
    /// Whether answers have the log's own signature alone under the checkpoint: one line of ML-DSA-44 is 3.3 KB in each
    /// bundle.
    pub slim_checkpoint: bool,
    /// The longest body of a request, in bytes.
    pub body_bytes: usize,
    /// How many requests are checked at once.
    pub checks_at_once: ChecksAtOnce,
}

impl Default for RekorOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            on_duplicate: OnDuplicate::Return,
            reasons: true,
            slim_checkpoint: false,
            body_bytes: 4 << 20,
            checks_at_once: ChecksAtOnce::default(),
        }
    }
}

/// Answers the requests for one Rekor log: those of its API, and all that its server answers.
#[derive(Debug)]
pub struct RekorServer<S, G> {
    log: Arc<LogServer<S, G>>,
    log_id: LogId,
    options: RekorOptions,
    checker: Checker,
    metrics: RekorMetrics,
}

/// Where the API is.
pub const API: &str = "/api/v2";
/// Where entries are submitted.
pub const ENTRIES: &str = "/api/v2/log/entries";

/// What a log says that takes no more entries.
const FROZEN: &str = "This log has been frozen, please switch to the latest log.\n";

impl<S: Store, G: Register> RekorServer<S, G> {
    /// The API of a log that this server serves.
    #[must_use]
    pub fn new(log: Arc<LogServer<S, G>>, options: RekorOptions) -> Self {
        let trusted = log.shared().log.trusted();
        let vkey = trusted.keys().first().expect("a log that is run has a key");
        Self {
            log_id: RekorLog::of(vkey).expect("each key that a log can have is one of Rekor's").id(),
            checker: Checker::new(options.policy.clone(), options.checks_at_once),
            metrics: RekorMetrics::default(),
            options,
            log,
        }
    }

    /// Whether it takes no entries ever, as its operator says or its head does.
    fn takes_none(&self) -> bool {
        self.log.options().submissions == Submissions::None || self.log.shared().end().is_some()
    }

    async fn route(&self, request: Request<Incoming>, client: Client) -> Response {
        let path = request.uri().path();
        match (path, request.method()) {
            (ENTRIES, &Method::OPTIONS) => cors::preflight(&Method::OPTIONS, "POST"),
            (ENTRIES, &Method::POST) if self.takes_none() => {
                discard(request.version(), request.into_body()).await;
                cors::open(reply::text(StatusCode::METHOD_NOT_ALLOWED, FROZEN))
            }
            (ENTRIES, &Method::POST) => {
                let (parts, body) = request.into_parts();
                let added = self.add(parts, body, client).await;
                added.unwrap_or_else(|error| error.into_response(self.options.reasons))
            }
            (ENTRIES, _) => ApiError::Method.into_response(self.options.reasons),
            _ => match below_root(path) {
                Some(uri) => {
                    let (mut parts, body) = request.into_parts();
                    parts.uri = uri;
                    self.log.handle(Request::from_parts(parts, body), client).await
                }
                None => ApiError::NotFound.into_response(self.options.reasons),
            },
        }
    }

    /// Adds an entry. In this order: a body that is not read, or not right, costs no more than that.
    async fn add(&self, parts: Parts, body: Incoming, client: Client) -> Result<Response, ApiError> {
        if let Err(refused) = self.log.gate().admit(client, &parts.headers) {
            discard(parts.version, body).await;
            return Err(refused.into());
        }
        let options = self.log.options();
        let mut share = self.log.bodies().empty_share();
        let body =
            read_body(parts.version, body, self.options.body_bytes, options.body_timeout, &mut share).await?;
        if let Some(response) = self.log.hand_on(&parts, body.clone()).await {
            return Ok(response);
        }
        drop(parts);
        let started = Clock::now();
        let checked = self.checker.check(body).await;
        self.metrics.count_check(started.elapsed());
        let Checked { kind, entry } = checked?;
        drop(share); // from here on the pool counts the bytes
        let body = entry.bytes().clone();
        let deadline = Instant::now() + options.answer_timeout;
        let submitted = self.log.submit_entries(vec![entry], Wait::Published, deadline).await;
        let answer = submitted.map_err(|refusal| self.refused(refusal))?;
        self.metrics.count_entry(answer.duplicates > 0);
        if answer.duplicates > 0 && self.options.on_duplicate == OnDuplicate::Conflict {
            return Err(ApiError::Duplicate(answer.indices[0]));
        }
        let proof = self.prove(&answer, deadline).await?;
        let (log_id, known) = (self.log_id, answer.duplicates > 0);
        Ok(Logged { kind, body: Bytes::into(body), log_id, proof, known }.into_response())
    }

    fn refused(&self, refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::Full => ApiError::Pushback,
            _ => ApiError::Unavailable(self.log.explained(refusal)),
        }
    }

    async fn prove(&self, answer: &Answer, deadline: Instant) -> Result<InclusionProof, ApiError> {
        let (index, checkpoint) = (answer.indices[0], &answer.checkpoint);
        let proof = self.log.prove(index, checkpoint, deadline).await.map_err(|error| {
            tracing::error!(%error, index, "no proof could be made");
            ApiError::NoProof { index }
        })?;
        let (head, hashes) = (checkpoint.head(), proof.inclusion().clone());
        Ok(InclusionProof { log_index: index, head, hashes, checkpoint: Some(self.shown(checkpoint)) })
    }

    /// The checkpoint as answers have it.
    fn shown(&self, checkpoint: &SignedCheckpoint) -> String {
        let note = checkpoint.note();
        if !self.options.slim_checkpoint {
            return note.to_string();
        }
        let keys = self.log.shared().log.trusted().keys();
        let own = note.signatures().iter().filter(|line| keys.iter().any(|key| line.is_by(key)));
        let slim = Note::new(note.unverified_text().to_owned(), own.cloned().collect());
        slim.expect("the log signed it").to_string()
    }
}

/// The path below `/` of what can be read below the API too.
fn below_root(path: &str) -> Option<Uri> {
    let rest = path.strip_prefix(API)?;
    let read = rest == "/checkpoint" || rest.starts_with("/tile/");
    read.then(|| rest.parse().ok())?
}

impl<S: Store, G: Register> Handler for RekorServer<S, G> {
    async fn handle(&self, request: Request<Incoming>, client: Client) -> Response {
        if !request.uri().path().starts_with("/api/") {
            return self.log.handle(request, client).await;
        }
        let (method, started) = (request.method().clone(), Clock::now());
        let response = self.route(request, client).await;
        self.metrics.count_answer(&method, response.status().as_u16(), started.elapsed());
        response
    }
}

impl<S: Store, G: Register> Probe for RekorServer<S, G> {
    fn ready(&self) -> Result<(), NotReady> {
        self.log.ready()
    }

    fn metrics(&self) -> String {
        let mut registry = Registry::default();
        self.log.register(&mut registry);
        self.metrics.register(&mut registry);
        exposition(&registry)
    }
}
