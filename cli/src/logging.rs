//! Messages about what happens, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// How a message looks.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Starts to write messages: what `KILN_LOG`, or else `RUST_LOG`, asks for; without them warnings,
/// and of a server what it does as well.
pub(crate) fn start(format: LogFormat, server: bool) {
    let default = if server { "info" } else { "warn" };
    let asked = ["KILN_LOG", "RUST_LOG"].iter().find_map(|name| std::env::var(name).ok());
    let filter = EnvFilter::builder().parse_lossy(asked.as_deref().unwrap_or(default));
    let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colors)
        .with_writer(BoxMakeWriter::new(std::io::stderr));
    match format {
        LogFormat::Text => subscriber.with_target(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
