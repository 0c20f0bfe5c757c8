//! `kiln prove`: a proof that travels.

use std::path::PathBuf;

use kiln_client::{AnySource, Client};
use kiln_tiles::{Hash, MAX_ENTRY_SIZE};
use serde_json::json;

use super::verify::parse_hash;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::progress::Progress;
use crate::quantity::grouped;
use crate::reading::LogArgs;

/// Write a proof that verifies offline: a c2sp.org/tlog-proof@v1.
///
/// Without an index it scans the log for the entry, newest first; --from and --to narrow that.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true),
    after_help = "\
Examples:
  kiln prove https://log.example --vkey V --index 42 -o 42.tlog-proof
  kiln prove ./log --entry release.tar.gz -o release.tar.gz.tlog-proof
  kiln prove ./log --hash 5f70… --from 10000 --to 20000"
)]
pub(crate) struct Prove {
    #[command(flatten)]
    log: LogArgs,
    /// Which entry: the first is 0.
    #[arg(long, value_name = "N", group = "what", conflicts_with_all = ["from", "to"])]
    index: Option<u64>,
    /// A file with the bytes of the entry; `-` for standard input.
    #[arg(long, value_name = "FILE", group = "what")]
    entry: Option<PathBuf>,
    /// The hash of the entry, as `kiln add` prints it.
    #[arg(long, value_name = "HEX", group = "what", value_parser = parse_hash)]
    hash: Option<Hash>,
    /// Look no further back than this index.
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// Look only before this index.
    #[arg(long, value_name = "N")]
    to: Option<u64>,
    /// Write the proof to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Prove {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let leaf = self.leaf()?;
        let client = self.log.open(output).await?;
        let index = match (self.index, leaf) {
            (Some(index), _) => index,
            (None, Some(leaf)) => self.find(&client, leaf).await?,
            (None, None) => return Err(Failure::usage("give --index, --entry or --hash")),
        };
        let proof = client.prove(index).await?.to_string();
        match &self.output {
            Some(path) => {
                files::replace(path, proof.as_bytes())?;
                let value = || json!({ "index": index, "proof": path.display().to_string() });
                output.result(format_args!("{}: proof of entry {index}", path.display()), value)
            }
            None if output.is_json() => output.line(json!({ "index": index, "proof": proof })),
            None => output.bytes(proof.as_bytes()),
        }
    }

    fn leaf(&self) -> Result<Option<Hash>, Failure> {
        let Some(path) = &self.entry else { return Ok(self.hash) };
        let entry = files::read(path, MAX_ENTRY_SIZE)?;
        if entry.len() > MAX_ENTRY_SIZE {
            let path = path.display();
            return Err(Failure::usage(format!(
                "{path} has more than the {MAX_ENTRY_SIZE} bytes that an entry may have"
            )));
        }
        Ok(Some(Hash::leaf(&entry)))
    }

    async fn find(&self, client: &Client<AnySource>, leaf: Hash) -> Result<u64, Failure> {
        let size = client.update().await?.checkpoint.head().size();
        let end = self.to.unwrap_or(size);
        let mut progress = Progress::of("entries looked at");
        let found = client.find(leaf, self.from..end, |now| progress.set(now.done, now.total)).await?;
        drop(progress);
        found.ok_or_else(|| {
            let looked = grouped(end.saturating_sub(self.from));
            Failure::undone(format!(
                "no entry with hash {} among the {looked} looked at, all of them verified",
                leaf.to_hex()
            ))
        })
    }
}
