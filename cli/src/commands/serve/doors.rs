//! The listeners, and what each of them answers.

use std::sync::Arc;

use futures_util::future::{Either, ready};
use kiln_http::{Client, Handler, Incoming, Limits, Request, Response, StatusCode, cors, reply};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::log::{LogArgs, Urls};
use super::logs::{Logs, ServedLog};
use crate::addresses::ListenAddress;
use crate::door::{Entrance, EntranceOptions, WithDoor};
use crate::failure::Failure;
use crate::listeners::{bind, bind_some, connections_within, serve_admin};
use crate::quantity::at_least_one;
use crate::signals::Stop;

/// Where the process answers.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DoorArgs {
    /// Where submissions are taken and reads served; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: ListenAddress,
    /// Serve reads here, and no longer at --listen.
    #[arg(long, value_name = "ADDRESS")]
    read_listen: Option<ListenAddress>,
    /// Serve /metrics here, with /healthz and /readyz.
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<ListenAddress>,
    /// The most connections to a listener at once.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = at_least_one())]
    max_connections: usize,
    #[command(flatten)]
    pub(super) entrance: EntranceOptions,
}

impl DoorArgs {
    /// Where it listens, by the flags that say so.
    pub(super) fn listeners(&self) -> impl Iterator<Item = (&'static str, &ListenAddress)> {
        let front = ("listen", Some(&self.listen));
        let others =
            [("read-listen", self.read_listen.as_ref()), ("admin-listen", self.admin_listen.as_ref())];
        [front].into_iter().chain(others).filter_map(|(flag, address)| Some((flag, address?)))
    }
}

/// Listeners that are bound.
pub(super) struct Doors {
    front: TcpListener,
    reads: Option<TcpListener>,
    admin: Option<TcpListener>,
    most: usize,
    entrance: Entrance,
    own: OwnUrls,
}

/// What this machine calls its listeners.
#[derive(Clone, Debug)]
pub(super) struct OwnUrls {
    front: String,
    reads: Option<String>,
}

/// Listeners that are served, until their last connection is closed.
pub(super) struct Served(JoinSet<()>);

impl Doors {
    pub(super) async fn bind(args: &DoorArgs) -> Result<Self, Failure> {
        let entrance = Entrance::open(&args.entrance)?;
        let front = bind("--listen", &args.listen).await?;
        let reads = bind_some("--read-listen", args.read_listen.as_ref()).await?;
        let admin = bind_some("--admin-listen", args.admin_listen.as_ref()).await?;
        let url_of = |socket| entrance.url_of(socket);
        let own = OwnUrls { front: url_of(&front)?, reads: reads.as_ref().map(url_of).transpose()? };
        Ok(Self { front, reads, admin, most: args.max_connections, entrance, own })
    }

    pub(super) fn own_urls(&self) -> OwnUrls {
        self.own.clone()
    }

    /// Answers from now on, until `stop` says so.
    pub(super) fn serve(self, logs: &Logs, files: Option<u64>, stop: &Stop) -> Result<Served, Failure> {
        let entrance = &self.entrance;
        let listeners = 1 + usize::from(self.reads.is_some());
        let connections = connections_within(files, OWN_FILES, listeners, self.most);
        let limits = entrance.limits(Limits { max_connections: connections, ..Limits::default() });
        let mut served = JoinSet::new();
        let door = |role| Arc::new(Door { logs: logs.clone(), role });
        let front = if self.reads.is_some() { Role::Submissions } else { Role::All };
        entrance.serve(&mut served, self.front, limits, door(front), stop);
        if let Some(reads) = self.reads {
            entrance.serve(&mut served, reads, limits, door(Role::Reads), stop);
        }
        if let Some(admin) = self.admin {
            serve_admin(
                &mut served,
                admin,
                limits,
                WithDoor::new(logs.clone(), None, entrance.certificates()),
                stop,
            );
        }
        entrance.keep_fresh()?;
        Ok(Served(served))
    }
}

impl OwnUrls {
    /// Where others reach a log that is served below a path, which begins and does not end with a slash, or is empty.
    pub(super) fn of(&self, args: &LogArgs, path: &str) -> Urls {
        let below = |url: &String| format!("{url}{path}");
        let submissions = args.url.as_ref().map_or_else(|| below(&self.front), ToString::to_string);
        let reads = match (&args.read_url, &self.reads) {
            (Some(url), _) => url.to_string(),
            (None, Some(reads)) => below(reads),
            (None, None) => submissions.clone(),
        };
        Urls { submissions, reads }
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

/// A listener's view of the logs.
struct Door {
    logs: Logs,
    role: Role,
}

impl Handler for Door {
    fn handle(&self, request: Request<Incoming>, client: Client) -> impl Future<Output = Response> + Send {
        match &self.logs {
            Logs::One(log) => Either::Left(self.role.answer(log, request, client)),
            // Boxed: what waits at the log of a process that has one has no room for it.
            Logs::Many(table) => Either::Right(Box::pin(table.answer(self.role, request, client))),
        }
    }
}

/// What a listener answers, besides health, `log.json` and the front page.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    All,
    /// Submissions.
    Submissions,
    Reads,
}

impl Role {
    /// The answer of a log, if it is one that the listener gives.
    pub(super) fn answer(
        self,
        log: &ServedLog,
        request: Request<Incoming>,
        client: Client,
    ) -> impl Future<Output = Response> + Send + '_ {
        let path = request.uri().path();
        match self {
            Self::Reads if matches!(path, "/add" | "/add-batch" | kiln_rekor_server::ENTRIES) => {
                Either::Left(ready(cors::open(reply::not_found())))
            }
            Self::Submissions if is_read(path) => {
                let message = format!("this log is read at {}\n", log.read_url);
                Either::Left(ready(cors::open(reply::text(StatusCode::NOT_FOUND, message))))
            }
            _ => Either::Right(log.front.handle(request, client)),
        }
    }
}

/// Whether a path is one of the log that readers see, below `/` or below Rekor's API.
fn is_read(path: &str) -> bool {
    let path = path.strip_prefix(kiln_rekor_server::API).unwrap_or(path);
    path == "/checkpoint" || path.starts_with("/tile/")
}
