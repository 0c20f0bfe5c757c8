//! `kiln token`: makes bearer tokens.

use base64ct::{Base64UrlUnpadded, Encoding};
use clap::Subcommand;
use kiln_http::Tokens;
use serde_json::json;

use crate::environment;
use crate::failure::Failure;
use crate::output::Output;

/// Make bearer tokens, with which submitters show who they are.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token: prints it, and the line by which a server knows it.
    ///
    /// The token is for the submitter (`kiln add --token-file`, or KILN_TOKEN), and is not kept: who loses it gets another.
    /// The line is for the file of `kiln serve --tokens`. It holds a hash, and whoever reads it cannot submit by it.
    #[command(after_help = "\
Examples:
  kiln token new --name ci
  kiln --json token new --name ci > ci.json && jq -r .line ci.json >> tokens && jq -r .token ci.json > ci.token")]
    New {
        /// What the token is called in the file: letters, digits, dots, dashes and underscores
        /// [default: token-<8 hex>].
        #[arg(long)]
        name: Option<String>,
    },
}

/// By which a search for secrets that leaked finds them.
const PREFIX: &str = "kiln_";

impl Token {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let Self::New { name } = self;
        let name = match name {
            Some(name) if Tokens::is_name(&name) => name,
            Some(_) => return Err(Failure::usage(kiln_http::TokenFault::Name)),
            None => format!("token-{:08x}", u32::from_be_bytes(random()?)),
        };
        let secret: [u8; 32] = random()?;
        let token = format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(&secret));
        let line = Tokens::line(&name, &token);
        let text = format!("{token}\n{line}");
        output.result(&text, || json!({ "name": name, "token": token, "line": line }))?;
        output.note("the token is for the submitter, and is not kept; the line with its hash for the file of --tokens");
        Ok(())
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    environment::random().map_err(Failure::undone)
}
