//! What stands behind the listeners: a log's server, or Rekor's API on top of it.

use std::sync::Arc;

use futures_util::future::Either;
use kiln_http::{Client, Handler, Incoming, NotReady, Probe, Request, Response};
use kiln_rekor_server::RekorServer;
use kiln_sequencer::LogServer;
use kiln_storage::AnyRegister;

use crate::store::OpenStore;

/// Who answers. Clones share it.
#[derive(Clone)]
pub(super) enum Front {
    Log(Arc<LogServer<OpenStore, AnyRegister>>),
    Rekor(Arc<RekorServer<OpenStore, AnyRegister>>),
}

impl Handler for Front {
    fn handle(&self, request: Request<Incoming>, client: Client) -> impl Future<Output = Response> + Send {
        match self {
            Self::Log(server) => Either::Left(server.handle(request, client)),
            // Boxed: what waits at a log that speaks no Rekor has no room for it.
            Self::Rekor(server) => Either::Right(Box::pin(server.handle(request, client))),
        }
    }
}

impl Probe for Front {
    fn ready(&self) -> Result<(), NotReady> {
        match self {
            Self::Log(server) => server.ready(),
            Self::Rekor(server) => server.ready(),
        }
    }

    fn metrics(&self) -> String {
        match self {
            Self::Log(server) => server.metrics(),
            Self::Rekor(server) => server.metrics(),
        }
    }
}
