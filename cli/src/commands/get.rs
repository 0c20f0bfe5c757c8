//! `kiln get`: one entry, verified.

use std::path::PathBuf;

use base64ct::{Base64, Encoding};
use kiln_tiles::Hash;
use serde_json::json;

use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::reading::LogArgs;

/// Write an entry to standard output, after verifying it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln get https://log.example 42 --vkey V > entry
  kiln get ./log 0")]
pub(crate) struct Get {
    #[command(flatten)]
    log: LogArgs,
    /// Which entry: the first is 0.
    index: u64,
    /// Write it to this file instead.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Get {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let client = self.log.open(output).await?;
        let entry = client.get(self.index).await?;
        let hash = Hash::leaf(&entry).to_hex();
        if let Some(path) = &self.output {
            files::replace(path, &entry)?;
            let value = json!({ "index": self.index, "hash": hash, "file": path.display().to_string() });
            return if output.is_json() { output.line(value) } else { Ok(()) };
        }
        if output.is_json() {
            let encoded = Base64::encode_string(&entry);
            return output.line(json!({ "index": self.index, "hash": hash, "entry": encoded }));
        }
        if output.is_terminal() && !is_harmless(&entry) {
            return Err(Failure::usage(format!(
                "entry {} has bytes that could upset this terminal; write it to a file (-o FILE), or see it with --json",
                self.index
            )));
        }
        output.bytes(&entry)
    }
}

/// Whether a terminal shows it as text, and does nothing else.
fn is_harmless(entry: &[u8]) -> bool {
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    std::str::from_utf8(entry).is_ok_and(|text| text.chars().all(plain))
}
