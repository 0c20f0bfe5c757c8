//! The listeners, and what each of them answers.

use std::sync::Arc;

use futures_util::future::{Either, ready};
use kiln_http::{Handler, Incoming, Limits, Request, Response, StatusCode, cors, reply};
use kiln_sequencer::{Description, Log, SubmissionLimits};
use kiln_storage::{Register, Store};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::front::Front;
use crate::failure::Failure;
use crate::listeners::{bind, bind_some, connections_within, serve_admin, url_of, without_slash};
use crate::signals::{Stop, stopped};

/// Where a log answers.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DoorArgs {
    /// Where submissions are taken and reads served; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Serve reads here, and no longer at --listen.
    #[arg(long, value_name = "ADDRESS")]
    read_listen: Option<String>,
    /// Serve /metrics here, with /healthz and /readyz.
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// The URL under which others reach --listen, for log.json [default: that of --listen].
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// The URL under which others reach the reads, for log.json [default: --url or that of --read-listen].
    /// What is read there at a start is one more voice that tells of a store that went back in time.
    #[arg(long, value_name = "URL")]
    pub(super) read_url: Option<String>,
}

/// Listeners that are bound.
pub(super) struct Doors {
    front: TcpListener,
    reads: Option<TcpListener>,
    admin: Option<TcpListener>,
    submission_url: String,
    read_url: String,
}

/// Listeners that are served, until their last connection is closed.
pub(super) struct Served(JoinSet<()>);

impl Doors {
    pub(super) async fn bind(args: &DoorArgs) -> Result<Self, Failure> {
        let front = bind("--listen", &args.listen).await?;
        let reads = bind_some("--read-listen", args.read_listen.as_deref()).await?;
        let admin = bind_some("--admin-listen", args.admin_listen.as_deref()).await?;
        let own_url = url_of(&front)?;
        let submission_url = args.url.as_deref().map_or(own_url, without_slash);
        let read_url = match (&args.read_url, &reads) {
            (Some(url), _) => without_slash(url),
            (None, Some(reads)) => url_of(reads)?,
            (None, None) => submission_url.clone(),
        };
        Ok(Self { front, reads, admin, submission_url, read_url })
    }

    /// Where others submit.
    pub(super) fn submission_url(&self) -> &str {
        &self.submission_url
    }

    /// What `log.json` says.
    pub(super) fn describe<S: Store, G: Register>(
        &self,
        log: &Log<S, G>,
        limits: SubmissionLimits,
    ) -> Description {
        Description {
            origin: log.trusted().origin().to_owned(),
            vkeys: log.vkeys().iter().map(ToString::to_string).collect(),
            witnesses: log.described_witnesses(),
            submission_url: Some(self.submission_url.clone()),
            read_url: Some(self.read_url.clone()),
            limits,
        }
    }

    /// Answers from now on, until `stop` says so.
    pub(super) fn serve(self, server: &Front, connections: usize, files: Option<u64>, stop: &Stop) -> Served {
        let listeners = 1 + usize::from(self.reads.is_some());
        let connections = connections_within(files, OWN_FILES, listeners, connections);
        let limits = Limits { max_connections: connections, ..Limits::default() };
        let mut served = JoinSet::new();
        let door = |role| Arc::new(Door { server: server.clone(), role });
        let front = if self.reads.is_some() { Role::Submissions(self.read_url) } else { Role::All };
        served.spawn(kiln_http::serve(self.front, limits, door(front), stopped(stop.clone())));
        if let Some(reads) = self.reads {
            served.spawn(kiln_http::serve(reads, limits, door(Role::Reads), stopped(stop.clone())));
        }
        if let Some(admin) = self.admin {
            serve_admin(&mut served, admin, limits, server.clone(), stop);
        }
        Served(served)
    }
}

/// The most files that the log keeps for itself: those of its store, its dedup index and its guard,
/// connections to a bucket, and the prober's.
const OWN_FILES: u64 = 512;

impl Served {
    /// Waits until everybody has their answer.
    pub(super) async fn finish(self) {
        self.0.join_all().await;
    }
}

/// What a listener answers, besides health, `log.json` and the front page.
enum Role {
    All,
    /// Submissions; the reads are at this URL.
    Submissions(String),
    Reads,
}

/// A listener's view of the log.
struct Door {
    server: Front,
    role: Role,
}

impl Handler for Door {
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response> + Send {
        let path = request.uri().path();
        match &self.role {
            Role::Reads if matches!(path, "/add" | "/add-batch" | kiln_rekor_server::ENTRIES) => {
                Either::Left(ready(cors::open(reply::not_found())))
            }
            Role::Submissions(url) if is_read(path) => {
                let message = format!("this log is read at {url}\n");
                Either::Left(ready(cors::open(reply::text(StatusCode::NOT_FOUND, message))))
            }
            _ => Either::Right(self.server.handle(request)),
        }
    }
}

/// Whether a path is one of the log that readers see, below `/` or below Rekor's API.
fn is_read(path: &str) -> bool {
    let path = path.strip_prefix(kiln_rekor_server::API).unwrap_or(path);
    path == "/checkpoint" || path.starts_with("/tile/")
}
