//! The routes, and the way of a checkpoint.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kiln_http::{
    ByteBudget, Client, Handler, Incoming, Method, NotReady, Probe, Request, Response, StaticResource,
    StatusCode, Turns, cors, etag_of, read_body, reply, respond,
};
use kiln_tiles::{Cosignatures, Hash};

use crate::clock::Clock;
use crate::cosigners::Cosigners;
use crate::evidence::{Evidence, EvidenceError};
use crate::listing::Listing;
use crate::logs::KnownLogs;
use crate::metrics::Metrics;
use crate::page::{Words, page};
use crate::recent::Recent;
use crate::refusal::Refusal;
use crate::store::{Granted, Store, StoreError};
use crate::submission::Submission;
use crate::subtree::SubtreeRequest;
use crate::writer::{Grant, Writer};

/// The longest request, in bytes. A checkpoint with a dozen ML-DSA-44 cosignatures has 40 KiB.
pub const MAX_BODY: usize = 64 << 10;

/// The most bytes of requests that are being read and checked, all together.
const BODIES: usize = 64 << 20;

/// How long a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

const TEXT: &str = "text/plain; charset=utf-8";

/// A checkpoint may be kept, but must be asked for anew.
const REVALIDATE: &str = "no-cache";

/// Where others reach the witness: URLs without a slash at their end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prefixes {
    /// Below it are `add-checkpoint` and `sign-subtree`.
    pub submission: String,
    /// Below it are the checkpoints.
    pub monitoring: String,
}

/// A witness. Clones share it.
#[derive(Clone, Debug)]
pub struct Witness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cosigners: Cosigners,
    logs: Arc<KnownLogs>,
    store: Arc<Store>,
    writer: Writer,
    prefixes: Prefixes,
    metrics: Metrics,
    bodies: ByteBudget,
    checks: Turns,
    reads: Turns,
    recent: Recent,
}

impl Witness {
    /// A witness with these keys, for these logs, whose state is in `store`. What speaks against logs is kept in the
    /// folder `evidence`.
    ///
    /// # Errors
    /// Where the folder cannot be made or read.
    pub fn new(
        cosigners: Cosigners,
        logs: KnownLogs,
        store: Store,
        evidence: &Path,
        prefixes: Prefixes,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EvidenceError> {
        let (store, metrics) = (Arc::new(store), Metrics::default());
        let kept = Evidence::start(evidence, metrics.clone())?;
        let writer = Writer::start(store.clone(), clock, kept, metrics.clone())
            .map_err(|error| EvidenceError { path: evidence.to_owned(), error })?;
        let (bodies, checks, reads) = (ByteBudget::new(BODIES), Turns::default(), Turns::default());
        Ok(Self(Arc::new(Inner {
            cosigners,
            logs: Arc::new(logs),
            store,
            writer,
            prefixes,
            metrics,
            bodies,
            checks,
            reads,
            recent: Recent::default(),
        })))
    }

    /// Signs what was granted when the process ended before it was kept. A grant has its time, so that the signatures
    /// are [the same bytes](kiln_tiles::Cosigner::cosign) as those that may have been returned. Returns how many
    /// checkpoints there were; call it before the first request.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let not_kept = self.0.store.not_kept(Granted::Latest)?;
        let mut cosigned = Vec::new();
        for (origin_hash, record) in &not_kept {
            let Some(grant) = Grant::again(*origin_hash, record) else { continue };
            let lines = self.0.cosigners.cosign(grant.checkpoint.clone(), grant.time).await;
            cosigned.extend(grant.cosigned(&lines).map(|record| (*origin_hash, record)));
        }
        let store = self.0.store.clone();
        let keep = move || {
            store.write(|tables| {
                cosigned.iter().try_for_each(|(origin_hash, record)| tables.keep(*origin_hash, record))
            })
        };
        self.0.reads.run(keep).await?;
        Ok(not_kept.len())
    }

    /// The logs that are witnessed.
    #[must_use]
    pub fn logs(&self) -> &KnownLogs {
        &self.0.logs
    }

    /// What lists of logs are taken into.
    #[must_use]
    pub fn listing(&self) -> Listing {
        Listing::new(self.0.logs.clone(), self.0.metrics.clone())
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    async fn route(&self, request: Request<Incoming>) -> (&'static str, Response) {
        if let Some(response) = kiln_http::health(&request, self) {
            return ("health", response);
        }
        let path = request.uri().path();
        match (path, request.method()) {
            ("/add-checkpoint", &Method::POST) => {
                ("/add-checkpoint", self.answer("add-checkpoint", request).await)
            }
            ("/sign-subtree", &Method::POST) => ("/sign-subtree", self.answer("sign-subtree", request).await),
            ("/add-checkpoint" | "/sign-subtree", _) => ("other", reply::method_not_allowed("POST")),
            (_, &Method::OPTIONS) => ("other", cors::preflight(&Method::OPTIONS, "GET, HEAD")),
            ("/", _) => {
                let text =
                    page(&Words::WITNESS, self.0.cosigners.vkeys(), &self.0.prefixes, &self.0.logs.now());
                ("/", read_text(&request, text))
            }
            ("/logs", _) => ("/logs", read_text(&request, self.0.logs.to_list().to_string())),
            _ => match origin_hash_in(path) {
                Some(origin_hash) => ("checkpoint", self.checkpoint(&request, origin_hash).await),
                None => ("other", cors::open(reply::not_found())),
            },
        }
    }

    /// Answers what a log asks for.
    async fn answer(&self, call: &'static str, request: Request<Incoming>) -> Response {
        let witness = self.clone();
        let work = move |body| async move {
            let lines = match call {
                "add-checkpoint" => witness.add_checkpoint(body).await?,
                _ => sign_subtree(body, &witness.0.logs, &witness.0.cosigners, &witness.0.checks).await?,
            };
            Ok(lines.to_string())
        };
        answer_small(call, "cosigned", request, (&self.0.bodies, &self.0.metrics), work).await
    }

    /// [add-checkpoint]. This process may end after any line:
    ///
    /// | last line done | the record is | the log has no answer, asks again, and | the next start |
    /// |---|---|---|---|
    /// | open | the old one | gets the same | finds nothing to do |
    /// | decide | the new one, durably | gets 409 with the new size, and from there a cosignature | signs it, for monitors: see [`recover`](Self::recover) |
    /// | cosign, keep | the new one | the same, if it has no answer | the same, or finds it kept |
    ///
    /// So nothing is signed that is not recorded, and nothing is shown that is not signed; a size that was signed is
    /// never followed by a smaller one.
    ///
    /// [add-checkpoint]: https://c2sp.org/tlog-witness#add-checkpoint
    async fn add_checkpoint(&self, request: Bytes) -> Result<Cosignatures, Refusal> {
        let logs = self.0.logs.now();
        let submission = self.0.checks.run(move || Submission::open(&request, &logs)).await?;
        let grant = self.0.writer.decide(submission).await?;
        if let Some(lines) = self.0.recent.answer(&grant) {
            return Ok(lines);
        }
        let lines = self.cosign(&grant).await?;
        self.0.recent.remember(&grant, &lines);
        if let Some(record) = grant.cosigned(lines.lines()) {
            self.0.writer.keep(grant.origin_hash, record).await;
        }
        Ok(lines)
    }

    async fn cosign(&self, grant: &Grant) -> Result<Cosignatures, Refusal> {
        let started = Instant::now();
        let lines = self.0.cosigners.cosign(grant.checkpoint.clone(), grant.time).await;
        self.0.metrics.count_signing(started.elapsed());
        Cosignatures::new(lines).ok_or(Refusal::Unavailable)
    }

    /// The [monitor retrieval mechanism](https://c2sp.org/tlog-witness#monitor-retrieval-mechanism).
    async fn checkpoint(&self, request: &Request<Incoming>, origin_hash: Hash) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return cors::open(reply::method_not_allowed("GET, HEAD"));
        }
        let store = self.0.store.clone();
        match self.0.reads.run(move || store.cosigned(origin_hash)).await {
            Ok(Some(record)) => {
                let body = Bytes::from(record.note().to_string());
                let etag = etag_of(&body);
                respond(
                    request,
                    &StaticResource { body, content_type: TEXT, cache_control: REVALIDATE, etag },
                )
            }
            Ok(None) => {
                let message = "this witness has cosigned no checkpoint of such a log\n";
                cors::open(reply::text(StatusCode::NOT_FOUND, message))
            }
            Err(error) => {
                tracing::error!(%error, "a checkpoint could not be read");
                cors::open(reply::unavailable(1, "the store does not answer at the moment\n"))
            }
        }
    }
}

/// Reads a small request, and does its `work` in a task of its own: who has begun to grant signs, whether or not the
/// client waits for it. `granted` is what metrics call a request that got what it asked for.
pub(crate) async fn answer_small<W>(
    call: &'static str,
    granted: &'static str,
    request: Request<Incoming>,
    (bodies, metrics): (&ByteBudget, &Metrics),
    work: impl FnOnce(Bytes) -> W,
) -> Response
where
    W: Future<Output = Result<String, Refusal>> + Send + 'static,
{
    let mut share = bodies.empty_share();
    let version = request.version();
    let body = match read_body(version, request.into_body(), MAX_BODY, BODY_TIMEOUT, &mut share).await {
        Ok(body) => body,
        Err(error) => {
            metrics.count_outcome(call, "unread");
            return error.into_response();
        }
    };
    let work = work(body);
    let working = tokio::spawn(async move {
        let done = work.await;
        drop(share);
        done
    });
    let done = working.await.unwrap_or_else(|error| {
        tracing::error!(%error, call, "a request was not answered");
        Err(Refusal::Unavailable)
    });
    metrics.count_outcome(call, done.as_ref().map_or_else(Refusal::outcome, |_| granted));
    done.map_or_else(Refusal::into_response, |body| reply::text(StatusCode::OK, body))
}

/// [sign-subtree](https://c2sp.org/tlog-witness#sign-subtree): needs no state, since a cosignature of one's own says that
/// the checkpoint was granted.
pub(crate) async fn sign_subtree(
    request: Bytes,
    logs: &KnownLogs,
    cosigners: &Cosigners,
    checks: &Turns,
) -> Result<Cosignatures, Refusal> {
    let (logs, own) = (logs.now(), cosigners.clone());
    let open = move || SubtreeRequest::open(&request, &logs, own.vkeys());
    let SubtreeRequest { origin, subtree, hash } = checks.run(open).await?;
    let lines = cosigners.cosign_subtree(origin, subtree, hash).await;
    Cosignatures::new(lines).ok_or(Refusal::NoSubtreeKey)
}

/// `/<64 hex digits>/checkpoint`.
fn origin_hash_in(path: &str) -> Option<Hash> {
    Hash::from_hex(path.strip_prefix('/')?.strip_suffix("/checkpoint")?)
}

pub(crate) fn read_text(request: &Request<Incoming>, text: String) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => reply::text(StatusCode::OK, text),
        _ => reply::method_not_allowed("GET, HEAD"),
    }
}

impl Handler for Witness {
    async fn handle(&self, request: Request<Incoming>, _client: Client) -> Response {
        let (route, response) = self.route(request).await;
        self.0.metrics.count_answer(route, response.status().as_u16());
        response
    }
}

impl Probe for Witness {
    fn ready(&self) -> Result<(), NotReady> {
        if self.0.writer.is_failing() {
            return Err(NotReady::because("the store fails"));
        }
        Ok(())
    }

    fn metrics(&self) -> String {
        self.0.metrics.encode("kiln_witness", self.0.logs.now().len(), self.ready().is_ok(), |_| {})
    }
}
