//! What the listeners of all servers have in common: how they are bound, what they are called, and how many
//! connections they may have.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use kiln_http::{AdminHandler, Limits, Probe};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::addresses::ListenAddress;
use crate::failure::Failure;
use crate::signals::{Stop, stopped};

/// The admin listener is for a prober or two.
const ADMIN_CONNECTIONS: usize = 100;

/// Binds a listener, where `flag` says so.
pub(crate) async fn bind(flag: &'static str, address: &ListenAddress) -> Result<TcpListener, Failure> {
    TcpListener::bind(address.to_string()).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            Failure::undone(format!("cannot listen on {address}: another program has this port. Give another ({flag}), or port 0 for any free one"))
        }
        _ => Failure::undone(format!("cannot listen on {address} ({flag}): {error}")),
    })
}

/// The same for one that is not always wanted.
pub(crate) async fn bind_some(
    flag: &'static str,
    address: Option<&ListenAddress>,
) -> Result<Option<TcpListener>, Failure> {
    match address {
        Some(address) => bind(flag, address).await.map(Some),
        None => Ok(None),
    }
}

/// The URL of a listener, as this machine would call it.
pub(crate) fn url_of(scheme: &str, listener: &TcpListener) -> Result<String, Failure> {
    let mut address: SocketAddr = listener.local_addr()?;
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(format!("{scheme}://{address}"))
}

/// How many connections each listener may have: as many as it was told, and no more than leave the process the `own` files
/// that it needs, of those it may have. Without them it could write nothing while the many are there.
pub(crate) fn connections_within(files: Option<u64>, own: u64, listeners: usize, most: usize) -> usize {
    let Some(files) = files else { return most };
    let spare = usize::try_from(files - own.min(files / 2)).unwrap_or(usize::MAX);
    let each = spare / listeners;
    if each < most - most / 10 {
        tracing::info!(
            files,
            connections = each,
            "fewer connections than --max-connections: the limit of open files is low (ulimit -n)"
        );
    }
    each.min(most)
}

/// Answers who watches the process, until `stop` says so.
pub(crate) fn serve_admin<P: Probe>(
    served: &mut JoinSet<()>,
    admin: TcpListener,
    limits: Limits,
    probe: P,
    stop: &Stop,
) {
    tracing::info!(address = ?admin.local_addr().ok(), "admin listener");
    let limits = Limits { max_connections: ADMIN_CONNECTIONS, max_connections_per_client: None, ..limits };
    let handler = Arc::new(AdminHandler::new(probe));
    served.spawn(kiln_http::serve(admin, limits, handler, stopped(stop.clone())));
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
            let within = connections_within(Some(files), 512, listeners, most);
            assert_eq!(within, connections, "{files} files");
        }
    }
}
