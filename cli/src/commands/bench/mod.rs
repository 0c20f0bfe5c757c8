//! `kiln bench`: a load generator.

mod entries;
mod histogram;
mod line;
mod load;
mod measured;
mod publication;
mod report;

use std::sync::Arc;
use std::time::Duration;

use kiln_client::Wait;
use kiln_http::Uri;

use crate::environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::parse_span;
use histogram::Histogram;
use load::Load;
use report::Report;

/// Load a log and measure it. Adds entries to it that stay for ever.
///
/// Without --rate each connection sends its next request when the last is answered (closed loop).
/// With it requests leave on time whatever becomes of those before (open loop), and their latency
/// counts from when they were due.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln bench http://127.0.0.1:8080 --connections 1000 --duration 30s
  kiln bench http://127.0.0.1:8080 --connections 256 --streams 200
  kiln bench http://127.0.0.1:8080 --batch 1000 --size 300
  kiln bench http://127.0.0.1:8080 --rate 500
  kiln bench http://127.0.0.1:8080 --rate 20000 --connections 128 --streams 256")]
pub(crate) struct Bench {
    /// The log's URL; plain http.
    url: String,
    /// Connections, each with one request at a time, or with --streams; 512 unless said. With --rate and
    /// without --streams there are as many as it takes.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: Option<u32>,
    /// Speak HTTP/2, with so many requests at a time on each connection.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    streams: Option<u32>,
    /// Send so many requests a second, as an open loop; above 65,536 unanswered at once they count as errors.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Entries of one request; above 1 they go to /add-batch.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    /// Bytes of one entry.
    #[arg(long, value_name = "BYTES", default_value_t = 300, value_parser = clap::value_parser!(u16).range(32..))]
    size: u16,
    /// For how long.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    duration: Duration,
    /// What an answer waits for.
    #[arg(long, value_name = "FOR", default_value = "published")]
    wait: WaitFor,
    /// Send nothing but the load: no probes of when others see an entry.
    #[arg(long)]
    no_probes: bool,
    /// Load a server on another machine. You should own it.
    #[arg(long)]
    yes_not_loopback: bool,
}

/// What an answer waits for.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum WaitFor {
    /// A checkpoint that has the entry can be read.
    Published,
    /// The index is durable.
    Sequenced,
}

/// As many connections as are loaded unless said.
const CONNECTIONS: u32 = 512;

impl Bench {
    /// How many connections there are; `None` for as many as it takes.
    fn connections(&self) -> Option<u32> {
        let decided = self.rate.is_none() || self.streams.is_some();
        decided.then_some(self.connections.unwrap_or(CONNECTIONS))
    }

    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        if !self.yes_not_loopback && !is_loopback(&self.url) {
            return Err(Failure::usage(format!(
                "{} is not this machine: a load generator is for servers of one's own (--yes-not-loopback)",
                self.url
            )));
        }
        environment::raise_file_limit();
        let load = Arc::new(Load::connect(&self).await?);
        let watching =
            (!self.no_probes).then(|| tokio::spawn(publication::watch(self.url.clone(), self.duration)));
        let measured = load.run().await?;
        let publication = match watching {
            Some(watching) => watching.await.map_err(Failure::undone)??,
            None => Histogram::new(),
        };
        Report { bench: &self, measured, publication }.tell(*output)
    }

    fn wait(&self) -> Wait {
        match self.wait {
            WaitFor::Published => Wait::Published,
            WaitFor::Sequenced => Wait::Sequenced,
        }
    }
}

fn is_loopback(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let address: Option<std::net::IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loaded_unasked() {
        for url in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:80/log"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://example.com", "http://10.0.0.1", "http://localhost.example.com", "nonsense", ""] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
