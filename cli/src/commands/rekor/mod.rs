//! `kiln rekor`: what users of a Rekor log need beside the log.

mod trust_config;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// Entries of Rekor logs, and what Sigstore's clients need to use one.
#[derive(Debug, Subcommand)]
pub(crate) enum Rekor {
    TrustConfig(trust_config::TrustConfig),
}

impl Rekor {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::TrustConfig(command) => command.run(output),
        }
    }
}
