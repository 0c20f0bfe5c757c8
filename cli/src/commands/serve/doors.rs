//! The listeners, and what each of them answers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::{Either, ready};
use kiln_http::{AdminHandler, Handler, Incoming, Limits, Request, Response, StatusCode, cors, reply};
use kiln_sequencer::{Description, Log, SubmissionLimits};
use kiln_storage::{Register, Store};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Stop;
use super::front::Front;
use crate::failure::Failure;

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

/// The admin listener is for a prober or two.
const ADMIN_CONNECTIONS: usize = 100;

impl Doors {
    pub(super) async fn bind(args: &DoorArgs) -> Result<Self, Failure> {
        let front = bind("--listen", &args.listen).await?;
        let reads = bind_some("--read-listen", args.read_listen.as_deref()).await?;
        let admin = bind_some("--admin-listen", args.admin_listen.as_deref()).await?;
        let without_slash = |url: &String| url.trim_end_matches('/').to_owned();
        let own_url = url_of(&front)?;
        let submission_url = args.url.as_ref().map_or(own_url, without_slash);
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
        let connections =
            files.map_or(connections, |files| connections_within(files, listeners, connections));
        let limits = Limits { max_connections: connections, ..Limits::default() };
        let mut served = JoinSet::new();
        let door = |role| Arc::new(Door { server: server.clone(), role });
        let front = if self.reads.is_some() { Role::Submissions(self.read_url) } else { Role::All };
        served.spawn(kiln_http::serve(self.front, limits, door(front), stopped(stop.clone())));
        if let Some(reads) = self.reads {
            served.spawn(kiln_http::serve(reads, limits, door(Role::Reads), stopped(stop.clone())));
        }
        if let Some(admin) = self.admin {
            tracing::info!(address = ?admin.local_addr().ok(), "admin listener");
            let limits = Limits { max_connections: ADMIN_CONNECTIONS, ..limits };
            let handler = Arc::new(AdminHandler::new(server.clone()));
            served.spawn(kiln_http::serve(admin, limits, handler, stopped(stop.clone())));
        }
        Served(served)
    }
}

/// The most files that the log keeps for itself: those of its store, its dedup index and its guard,
/// connections to a bucket, and the prober's.
const OWN_FILES: u64 = 512;

/// How many connections each listener may have: as many as it was told, and no more than leave the log
/// the files that it needs. Without them it could write no round while the many are there.
fn connections_within(files: u64, listeners: usize, most: usize) -> usize {
    let spare = usize::try_from(files - OWN_FILES.min(files / 2)).unwrap_or(usize::MAX);
    let each = spare / listeners;
    if each < most {
        tracing::info!(
            files,
            connections = each,
            "fewer connections than --max-connections: the limit of open files is low (ulimit -n)"
        );
    }
    each.min(most)
}

impl Served {
    /// Waits until everybody has their answer.
    pub(super) async fn finish(self) {
        self.0.join_all().await;
    }
}

async fn stopped(mut stop: Stop) {
    // Whoever could say so is gone: the process ends.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn bind_some(flag: &'static str, address: Option<&str>) -> Result<Option<TcpListener>, Failure> {
    match address {
        Some(address) => bind(flag, address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(flag: &'static str, address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            Failure::undone(format!("cannot listen on {address}: another program has this port. Give another ({flag}), or port 0 for any free one"))
        }
        io::ErrorKind::InvalidInput => Failure::usage(format!("{flag} {address}: not an address and port, such as 127.0.0.1:8080")),
        _ => Failure::undone(format!("cannot listen on {address} ({flag}): {error}")),
    })
}

/// The URL of a listener, as this machine would call it.
fn url_of(listener: &TcpListener) -> Result<String, Failure> {
    let mut address: SocketAddr = listener.local_addr()?;
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(format!("http://{address}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// With as many connections as files no round could be written: the log could not open its own. It
    /// answered 503 until the last of them had gone.
    #[test]
    fn connections_leave_the_log_the_files_that_it_needs() {
        for (files, listeners, most, connections) in [
            (1 << 20, 1, 20_000, 20_000),
            (1 << 20, 2, 20_000, 20_000),
            (4096, 1, 20_000, 3584),
            (4096, 2, 20_000, 1792),
            (256, 1, 20_000, 128),
            (64, 1, 10, 10),
            (u64::MAX, 1, 20_000, 20_000),
        ] {
            assert_eq!(connections_within(files, listeners, most), connections, "{files} files");
        }
    }
}
