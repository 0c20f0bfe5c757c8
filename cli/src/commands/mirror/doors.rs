//! The listeners of a mirror, and what each of them answers.

use std::sync::Arc;

use futures_util::future::{Either, ready};
use kiln_http::{Client, Gated, Handler, Incoming, Limits, Request, Response, StatusCode, cors, reply};
use kiln_witness::{Mirror, Prefixes};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::addresses::{ListenAddress, ServerUrl};
use crate::door::{Entrance, Submitters, WithDoor};
use crate::failure::Failure;
use crate::listeners::{bind, bind_some, connections_within, serve_admin};
use crate::quantity::at_least_one;
use crate::signals::Stop;

/// Where a mirror answers.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DoorArgs {
    /// Where requests are taken and reads served; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: ListenAddress,
    /// Serve reads here, and no longer at --listen.
    #[arg(long, value_name = "ADDRESS")]
    read_listen: Option<ListenAddress>,
    /// Serve /metrics here, with /healthz and /readyz.
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<ListenAddress>,
    /// The URL under which logs reach --listen, to be told on the front page [default: that of --listen].
    #[arg(long, value_name = "URL")]
    url: Option<ServerUrl>,
    /// The URL under which readers reach the copies [default: that of --read-listen, or --url].
    #[arg(long, value_name = "URL")]
    monitoring_url: Option<ServerUrl>,
    /// The most connections to a listener at once.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one())]
    max_connections: usize,
}

/// Files that the mirror keeps for itself: its state, evidence, lists, and those that it is writing.
const OWN_FILES: u64 = 512;

/// Listeners that are bound.
pub(super) struct Doors {
    front: TcpListener,
    reads: Option<TcpListener>,
    admin: Option<TcpListener>,
    connections: usize,
    pub(super) prefixes: Prefixes,
}

impl Doors {
    pub(super) async fn bind(
        args: &DoorArgs,
        entrance: &Entrance,
        files: Option<u64>,
    ) -> Result<Self, Failure> {
        let front = bind("--listen", &args.listen).await?;
        let reads = bind_some("--read-listen", args.read_listen.as_ref()).await?;
        let admin = bind_some("--admin-listen", args.admin_listen.as_ref()).await?;
        let own_url = entrance.url_of(&front)?;
        let submission = args.url.as_ref().map_or(own_url, ToString::to_string);
        let monitoring = match (&args.monitoring_url, &reads) {
            (Some(url), _) => url.to_string(),
            (None, Some(reads)) => entrance.url_of(reads)?,
            (None, None) => submission.clone(),
        };
        let listeners = 1 + usize::from(reads.is_some());
        let connections = connections_within(files, OWN_FILES, listeners, args.max_connections);
        Ok(Self { front, reads, admin, connections, prefixes: Prefixes { submission, monitoring } })
    }

    /// Answers from now on, until `stop` says so.
    pub(super) fn serve(
        self,
        mirror: &Mirror,
        (entrance, submitters): (&Entrance, &Submitters),
        stop: &Stop,
    ) -> JoinSet<()> {
        let limits = entrance.limits(Limits { max_connections: self.connections, ..Limits::default() });
        let mut served = JoinSet::new();
        tracing::info!(address = ?self.front.local_addr().ok(), "listener");
        let gate = submitters.gate();
        let door = |role| Arc::new(Gated::new(Door { mirror: mirror.clone(), role }, gate.clone()));
        let monitoring = self.prefixes.monitoring.clone();
        let front = if self.reads.is_some() { Role::Submissions(monitoring) } else { Role::All };
        entrance.serve(&mut served, self.front, limits, door(front), stop);
        if let Some(reads) = self.reads {
            tracing::info!(address = ?reads.local_addr().ok(), "listener of reads");
            entrance.serve(&mut served, reads, limits, door(Role::Reads), stop);
        }
        if let Some(admin) = self.admin {
            let probe = WithDoor::new(mirror.clone(), Some(gate.clone()), entrance.certificates());
            serve_admin(&mut served, admin, limits, probe, stop);
        }
        served
    }
}

/// What a listener answers, besides health and the front page.
enum Role {
    All,
    /// What logs send; the reads are at this URL.
    Submissions(String),
    Reads,
}

/// A listener's view of the mirror.
struct Door {
    mirror: Mirror,
    role: Role,
}

impl Handler for Door {
    fn handle(&self, request: Request<Incoming>, client: Client) -> impl Future<Output = Response> + Send {
        let path = request.uri().path();
        let is_submission = matches!(path, "/add-checkpoint" | "/add-entries" | "/sign-subtree");
        // Below a prefix of their own: the hash of an origin.
        let is_read = path.matches('/').count() > 1;
        match &self.role {
            Role::Reads if is_submission => Either::Left(ready(cors::open(reply::not_found()))),
            Role::Submissions(url) if is_read => {
                let message = format!("this mirror is read at {url}\n");
                Either::Left(ready(cors::open(reply::text(StatusCode::NOT_FOUND, message))))
            }
            _ => Either::Right(self.mirror.handle(request, client)),
        }
    }
}
