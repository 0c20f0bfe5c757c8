//! `kiln config`: the file of `kiln serve --config`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::commands::serve::config::Config;
use crate::failure::Failure;
use crate::output::Output;

/// What `kiln config example` prints.
const EXAMPLE: &str = include_str!("example.toml");

/// Write and check configurations for `kiln serve --config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    Example(Example),
    Check(Check),
}

/// Print a configuration with every key there is, each with what it does and its default.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  kiln config example > /etc/kiln/kiln.toml")]
pub(crate) struct Example {}

/// Find every mistake in a configuration, and say where it is.
///
/// No store is opened, and no listener bound. Exit 2 where something is wrong. Run it as the user who will run the logs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  kiln config check /etc/kiln/kiln.toml && systemctl reload kiln")]
pub(crate) struct Check {
    /// Only what a reload would refuse: not that a store is away, or a certificate has ended.
    #[arg(long)]
    reload: bool,
    /// The configuration.
    file: PathBuf,
}

impl ConfigCommand {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Example(Example {}) => output.line(EXAMPLE.trim_end()),
            Self::Check(check) => check.run(output),
        }
    }
}

impl Check {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let config = if self.reload { Config::reloaded(&self.file)? } else { Config::checked(&self.file)? };
        let logs: Vec<String> = config.told().collect();
        output.result(
            format_args!("{} is right:\n  {}", self.file.display(), logs.join("\n  ")),
            || json!({ "logs": logs }),
        )
    }
}
