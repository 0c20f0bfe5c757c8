//! Messages about what happens, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::traces::Traces;

/// How a message looks.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Starts to write messages: what `KILN_LOG`, or else `RUST_LOG`, asks for; without them warnings,
/// and of a server what it does as well. What is traced is collected, too, where it is sent somewhere.
pub(crate) fn start(format: LogFormat, server: bool, traces: Option<&Traces>) {
    let default = if server { "info" } else { "warn" };
    let asked = ["KILN_LOG", "RUST_LOG"].iter().find_map(|name| std::env::var(name).ok());
    let filter = EnvFilter::builder().parse_lossy(asked.as_deref().unwrap_or(default));
    let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let messages = fmt::layer().with_ansi(colors).with_writer(BoxMakeWriter::new(std::io::stderr));
    let messages = match format {
        LogFormat::Text => messages.with_target(false).boxed(),
        LogFormat::Json => messages.json().boxed(),
    };
    registry().with(traces.map(Traces::layer)).with(messages.with_filter(filter)).init();
}
