//! The listeners of a witness.

use std::sync::Arc;

use kiln_http::{Gated, Limits};
use kiln_witness::{Prefixes, Witness};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::addresses::{ListenAddress, ServerUrl};
use crate::door::{Entrance, Submitters, WithDoor};
use crate::failure::Failure;
use crate::listeners::{bind, bind_some, connections_within, serve_admin};
use crate::quantity::at_least_one;
use crate::signals::Stop;

/// Where a witness answers.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DoorArgs {
    /// Where requests are taken; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: ListenAddress,
    /// Serve /metrics here, with /healthz and /readyz.
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<ListenAddress>,
    /// The URL under which logs reach --listen, to be told on the front page [default: that of --listen].
    #[arg(long, value_name = "URL")]
    url: Option<ServerUrl>,
    /// The URL under which monitors reach --listen [default: --url].
    #[arg(long, value_name = "URL")]
    monitoring_url: Option<ServerUrl>,
    /// The most connections to the listener at once.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one())]
    max_connections: usize,
}

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
    pub(super) async fn bind(
        args: &DoorArgs,
        entrance: &Entrance,
        files: Option<u64>,
    ) -> Result<Self, Failure> {
        let front = bind("--listen", &args.listen).await?;
        let admin = bind_some("--admin-listen", args.admin_listen.as_ref()).await?;
        let own_url = entrance.url_of(&front)?;
        let submission = args.url.as_ref().map_or(own_url, ToString::to_string);
        let monitoring = args.monitoring_url.as_ref().map_or_else(|| submission.clone(), ToString::to_string);
        let connections = connections_within(files, OWN_FILES, 1, args.max_connections);
        Ok(Self { front, admin, connections, prefixes: Prefixes { submission, monitoring } })
    }

    /// Answers from now on, until `stop` says so.
    pub(super) fn serve(
        self,
        witness: &Witness,
        (entrance, submitters): (&Entrance, &Submitters),
        stop: &Stop,
    ) -> JoinSet<()> {
        let limits = entrance.limits(Limits { max_connections: self.connections, ..Limits::default() });
        let mut served = JoinSet::new();
        tracing::info!(address = ?self.front.local_addr().ok(), "listener");
        let front = Arc::new(Gated::new(witness.clone(), submitters.gate().clone()));
        entrance.serve(&mut served, self.front, limits, front, stop);
        if let Some(admin) = self.admin {
            let probe =
                WithDoor::new(witness.clone(), Some(submitters.gate().clone()), entrance.certificates());
            serve_admin(&mut served, admin, limits, probe, stop);
        }
        served
    }
}
