//! `kiln rekor`: entries of Rekor logs, and what users of such a log need beside it.

mod decoded;
mod facts;
mod get;
mod inspect;
mod pem;
mod report;
mod signed;
mod trust;
mod trust_config;
mod upload;
mod verify;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// Entries of Rekor logs, and what Sigstore's clients need to use one.
#[derive(Debug, Subcommand)]
pub(crate) enum Rekor {
    Upload(upload::Upload),
    Get(get::Get),
    Verify(verify::Verify),
    Inspect(inspect::Inspect),
    TrustConfig(trust_config::TrustConfig),
}

impl Rekor {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Upload(command) => command.run(*output).await,
            Self::Get(command) => command.run(output).await,
            Self::Verify(command) => command.run(*output),
            Self::Inspect(command) => command.run(*output),
            Self::TrustConfig(command) => command.run(output).await,
        }
    }
}
