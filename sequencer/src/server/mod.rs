//! The HTTP side of a log: submissions and reads.
//!
//! | request | answer |
//! |---|---|
//! | `POST /add` | the index of the entry in the body, in decimal |
//! | `POST /add`, `Accept: text/x.tlog-proof` | a [tlog-proof](https://c2sp.org/tlog-proof) of it |
//! | `POST /add-batch` | one index a line, for entries framed as in an entry bundle |
//! | `?wait=sequenced` | answered once the index is durable, not only when it is published |
//! | `GET /checkpoint`, `/tile/...` | the log, as [tlog-tiles](https://c2sp.org/tlog-tiles) says |
//! | `GET /log.json` | what a person or a tool needs to start; how the log ended, if it has |
//! | `GET /healthz`, `/readyz` | whether the process lives; whether the log takes entries |
//!
//! A log that has ended answers submissions with 410 and the name of its successor, and reads as ever.

mod bundles;
mod prover;
mod read;
mod reads;
mod service;
mod submit;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Either;
use kiln_http::{
    ByteBudget, Client, Gate, Handler, Incoming, Method, NotReady, Probe, Relay, Request, Response, cors,
    reply,
};
use kiln_storage::{Register, Store};
use prometheus_client::registry::Registry;
use serde::Serialize;

use crate::description::Description;
use crate::lease::Holder;
use crate::metrics::exposition;
use crate::sequencer::Shared;
use crate::state::Status;
use bundles::Bundles;
pub use prover::ProveError;
use prover::Prover;
use reads::Reads;

/// What a submission may be.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SubmissionLimits {
    /// The longest entry, in bytes.
    pub entry_bytes: usize,
    /// The most entries of a batch.
    pub batch_entries: usize,
    /// The longest batch, in bytes of its framed form.
    pub batch_bytes: usize,
}

impl Default for SubmissionLimits {
    fn default() -> Self {
        Self { entry_bytes: kiln_tiles::MAX_ENTRY_SIZE, batch_entries: 4096, batch_bytes: 4 << 20 }
    }
}

/// Which submissions a server takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Submissions {
    /// Any bytes, by `/add` and `/add-batch`.
    #[default]
    Raw,
    /// Those of another API alone, of which this sentence tells.
    Elsewhere(&'static str),
    /// None: the log is read-only.
    None,
}

/// How long requests may take, and what they may use up.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// Which submissions are taken.
    pub submissions: Submissions,
    /// What a submission may be.
    pub limits: SubmissionLimits,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long a submission waits for its answer before it is told that its outcome is unknown.
    pub answer_timeout: Duration,
    /// The most bytes of bodies that are being read, all together. What is read whole goes to the pool,
    /// which has limits of its own.
    pub body_bytes: usize,
    /// The most bytes of entry bundles that are being sent, all together. Readers of the same one
    /// share it.
    pub answer_bytes: usize,
    /// How many reads the store gets from readers at once. The rounds do not wait behind more.
    pub reads_at_once: usize,
    /// How long a reader waits for a turn and for the store.
    pub read_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            submissions: Submissions::Raw,
            limits: SubmissionLimits::default(),
            body_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(30),
            body_bytes: 64 << 20,
            answer_bytes: 256 << 20,
            reads_at_once: 32,
            read_timeout: Duration::from_secs(10),
        }
    }
}

/// Answers the requests for one log.
#[derive(Debug)]
pub struct LogServer<S, G> {
    shared: Arc<Shared<S, G>>,
    options: ServerOptions,
    described: Description,
    description: String,
    bodies: ByteBudget,
    bundles: Bundles,
    reads: Reads<S, G>,
    prover: Prover,
    relay: Option<Relay>,
    gate: Arc<Gate>,
}

impl<S: Store, G: Register> LogServer<S, G> {
    /// Serves a log that `shared` belongs to, and describes it so.
    pub fn new(shared: Arc<Shared<S, G>>, description: &Description, options: ServerOptions) -> Self {
        Self {
            described: description.clone(),
            description: description.to_json(),
            bodies: ByteBudget::new(options.body_bytes),
            bundles: Bundles::new(options.answer_bytes, options.read_timeout),
            reads: Reads::new(shared.log.clone(), options.reads_at_once, options.read_timeout),
            prover: Prover::default(),
            relay: None,
            gate: Arc::default(),
            shared,
            options,
        }
    }

    /// The same, which hands submissions on to the process that writes the log, while it stands by.
    #[must_use]
    pub fn with_relay(self, relay: Relay) -> Self {
        Self { relay: Some(relay), ..self }
    }

    /// The same, which takes the submissions that this gate lets in. Without one it takes all.
    #[must_use]
    pub fn with_gate(self, gate: Arc<Gate>) -> Self {
        Self { gate, ..self }
    }

    /// Where submissions go while another process writes, if they are to be handed on.
    fn relay_to_writer(&self) -> Option<(&Relay, String)> {
        let relay = self.relay.as_ref()?;
        let Status::StandingBy(Holder { url, .. }) = self.shared.state().status else { return None };
        Some((relay, url?))
    }

    /// Everything but submissions.
    async fn route(&self, request: Request<Incoming>) -> (&'static str, Response) {
        if let Some(response) = kiln_http::health(&request, self) {
            return ("health", response);
        }
        match (request.uri().path(), request.method()) {
            ("/add", &Method::OPTIONS) | ("/add-batch", &Method::OPTIONS) => {
                ("preflight", cors::preflight(request.method(), "POST"))
            }
            (_, &Method::OPTIONS) => ("preflight", cors::preflight(request.method(), "GET, HEAD")),
            ("/", _) => ("/", self.front_page(&request)),
            ("/log.json", _) => ("/log.json", self.log_json(&request)),
            _ => ("read", self.read(&request).await),
        }
    }

    /// A few lines for a person who opens the log in a browser.
    fn front_page(&self, request: &Request<Incoming>) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return reply::method_not_allowed("GET, HEAD");
        }
        let (state, trusted) = (self.shared.state(), self.shared.log.trusted());
        let size = state.published.as_ref().map_or(0, |checkpoint| checkpoint.head().size());
        let vkeys: String = trusted.keys().iter().map(|vkey| format!("vkey    {vkey}\n")).collect();
        let submit = match &state.status {
            frozen @ Status::Frozen(_) => format!("frozen  {frozen}; /log.json has its signed end\n"),
            _ => "submit  POST /add with the bytes of an entry; /log.json has the limits\n".into(),
        };
        let text = format!(
            "A transparency log, run by Kiln.\n\norigin  {}\n{vkeys}size    {size}\n\n\
             read    /checkpoint, /tile/<level>/<index>, /tile/entries/<index> (c2sp.org/tlog-tiles)\n\
             {submit}",
            trusted.origin()
        );
        reply::text(kiln_http::StatusCode::OK, text)
    }
}

impl<S: Store, G: Register> LogServer<S, G> {
    fn count_now(&self) {
        self.shared.metrics.set_now(
            self.shared.pool.waiting(),
            self.ready().is_ok(),
            self.shared.end().is_some(),
        );
    }
}

impl<S: Store, G: Register> Handler for LogServer<S, G> {
    /// Submissions wait long, and many at once: what they wait with is small. The rest is apart.
    fn handle(&self, request: Request<Incoming>, client: Client) -> impl Future<Output = Response> + Send {
        let submitted = match request.uri().path() {
            _ if request.method() == Method::OPTIONS => None,
            "/add" => Some(("/add", false)),
            "/add-batch" => Some(("/add-batch", true)),
            _ => None,
        };
        let answered = match submitted {
            Some((route, batch)) => {
                // No `async` block: what is moved into one has its room there twice.
                Either::Left(
                    self.submit(request, client, batch).map(move |response| (route, cors::open(response))),
                )
            }
            None => Either::Right(Box::pin(self.route(request))),
        };
        answered.map(|(route, response)| {
            self.shared.metrics.count_request(route, response.status().as_u16());
            response
        })
    }
}

impl<S: Store, G: Register> Probe for LogServer<S, G> {
    fn ready(&self) -> Result<(), NotReady> {
        match self.shared.state().status {
            Status::Ready | Status::Frozen(_) => Ok(()),
            Status::StandingBy(_) if self.relay_to_writer().is_some() => Ok(()),
            status => Err(NotReady::because(status.public())),
        }
    }

    fn metrics(&self) -> String {
        let mut registry = Registry::default();
        self.register(&mut registry);
        exposition(&registry)
    }
}
