//! Who may submit, and how much.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_http::{Gate, GateOptions, Rate, Tokens};
use tokio::task::JoinHandle;

use super::changes::Changes;
use crate::failure::Failure;
use crate::files;

/// What an operator sets of those who submit.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Submitters")]
pub(crate) struct SubmitterOptions {
    /// Take submissions with one of these bearer tokens alone: a file with a line for each, as `kiln token new` prints
    /// it. It is read again when it changes, and at SIGHUP. Reads need none.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rates: RateOptions,
}

/// How much is taken.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "Submitters")]
pub(crate) struct RateOptions {
    /// How many entries are taken of all together, such as 1000/s; 1000/s:5000 takes 5000 at once. Above it answers are
    /// 429 [default: no limit].
    #[arg(long, value_name = "RATE")]
    pub(crate) rate_limit: Option<Rate>,
    /// How many are taken of each client: of each token, or without tokens of each address, of IPv6 of each /64
    /// [default: no limit].
    #[arg(long, value_name = "RATE")]
    pub(crate) client_rate_limit: Option<Rate>,
}

/// The gate, and the file of its tokens.
#[derive(Debug)]
pub(crate) struct Submitters {
    gate: Arc<Gate>,
    tokens: Option<PathBuf>,
}

/// Longer than any file of tokens that is compared in time.
const MAX_TOKENS: usize = 1 << 20;

impl Submitters {
    /// Reads the tokens.
    pub(crate) fn open(options: &SubmitterOptions) -> Result<Self, Failure> {
        let tokens = options.tokens.as_deref().map(read).transpose()?;
        let RateOptions { rate_limit: rate, client_rate_limit: client_rate } = options.rates;
        let gate = Arc::new(Gate::new(GateOptions { tokens, rate, client_rate }));
        Ok(Self { gate, tokens: options.tokens.clone() })
    }

    /// What submissions pass.
    pub(crate) const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Keeps the tokens as they are in the file from now on. A file that is bad changes nothing.
    pub(crate) fn keep_fresh(&self) -> Result<Fresh, Failure> {
        let Some(path) = self.tokens.clone() else { return Ok(Fresh(None)) };
        let (mut changes, gate) = (Changes::of(vec![path.clone()])?, self.gate.clone());
        let following = tokio::spawn(async move {
            loop {
                changes.next().await;
                let path = path.clone();
                match tokio::task::spawn_blocking(move || read(&path)).await {
                    Ok(Ok(tokens)) => {
                        tracing::info!(tokens = tokens.len(), "the tokens were read again");
                        gate.replace_tokens(tokens);
                    }
                    Ok(Err(error)) => tracing::error!("the tokens stay as they were: {error}"),
                    Err(_) => {}
                }
            }
        });
        Ok(Fresh(Some(following)))
    }
}

/// The tokens follow their file as long as this lives: as long as the log runs.
#[derive(Debug)]
pub(crate) struct Fresh(Option<JoinHandle<()>>);

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(following) = &self.0 {
            following.abort();
        }
    }
}

fn read(path: &Path) -> Result<Tokens, Failure> {
    let bytes = files::read(path, MAX_TOKENS)?;
    let bad = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    if bytes.len() > MAX_TOKENS {
        return Err(bad(&"longer than a mebibyte"));
    }
    let text = String::from_utf8(bytes).map_err(|_| bad(&"not text"))?;
    text.parse().map_err(|error| bad(&error))
}
