//! The listeners of a witness.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use kiln_http::{AdminHandler, Limits};
use kiln_witness::{Prefixes, Witness};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::stop::{Stop, stopped};
use crate::failure::Failure;

/// Where a witness answers.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DoorArgs {
    /// Where requests are taken; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Serve /metrics here, with /healthz and /readyz.
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// The URL under which logs reach --listen, to be told on the front page [default: that of --listen].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The URL under which monitors reach --listen [default: --url].
    #[arg(long, value_name = "URL")]
    monitoring_url: Option<String>,
    /// The most connections to the listener at once.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max_connections: usize,
}

/// The admin listener is for a prober or two.
const ADMIN_CONNECTIONS: usize = 100;

/// Files that the witness keeps for itself: its store, evidence, lists and bastions.
const OWN_FILES: u64 = 64;

/// Listeners that are bound.
pub(super) struct Doors {
    front: TcpListener,
    admin: Option<TcpListener>,
    connections: usize,
    pub(super) prefixes: Prefixes,
}

impl Doors {
    pub(super) async fn bind(args: &DoorArgs, files: Option<u64>) -> Result<Self, Failure> {
        let front = bind("--listen", &args.listen).await?;
        let admin = match &args.admin_listen {
            Some(address) => Some(bind("--admin-listen", address).await?),
            None => None,
        };
        let without_slash = |url: &String| url.trim_end_matches('/').to_owned();
        let own_url = url_of(&front)?;
        let submission = args.url.as_ref().map_or(own_url, without_slash);
        let monitoring = args.monitoring_url.as_ref().map_or_else(|| submission.clone(), without_slash);
        let spare = files.map_or(u64::MAX, |files| files - OWN_FILES.min(files / 2));
        let connections = args.max_connections.min(usize::try_from(spare).unwrap_or(usize::MAX));
        Ok(Self { front, admin, connections, prefixes: Prefixes { submission, monitoring } })
    }

    /// Answers from now on, until `stop` says so.
    pub(super) fn serve(self, witness: &Witness, stop: &Stop) -> JoinSet<()> {
        let limits = Limits { max_connections: self.connections, ..Limits::default() };
        let mut served = JoinSet::new();
        tracing::info!(address = ?self.front.local_addr().ok(), "listener");
        let front = Arc::new(witness.clone());
        served.spawn(kiln_http::serve(self.front, limits, front, stopped(stop.clone())));
        if let Some(admin) = self.admin {
            tracing::info!(address = ?admin.local_addr().ok(), "admin listener");
            let limits = Limits { max_connections: ADMIN_CONNECTIONS, ..limits };
            let handler = Arc::new(AdminHandler::new(witness.clone()));
            served.spawn(kiln_http::serve(admin, limits, handler, stopped(stop.clone())));
        }
        served
    }
}

async fn bind(flag: &'static str, address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => {
            Failure::usage(format!("{flag} {address}: not an address and port, such as 127.0.0.1:8080"))
        }
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
