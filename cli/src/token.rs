//! The bearer token that submissions carry where a log asks for one.

use std::path::PathBuf;

use crate::environment;
use crate::failure::Failure;
use crate::files;

/// Where the token comes from.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TokenArgs {
    /// A file with the bearer token to submit with; or set KILN_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Longer than any token.
const MAX_LENGTH: usize = 10_000;

impl TokenArgs {
    /// The token that was given; `None` where none was.
    pub(crate) fn given(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.token_file else {
            return Ok(environment::variable("KILN_TOKEN"));
        };
        let bytes = files::read(path, MAX_LENGTH)?;
        let token =
            String::from_utf8(bytes).map_err(|_| Failure::usage(kiln_client::TokenError::Characters))?;
        Ok(Some(token.trim().to_owned()))
    }
}
