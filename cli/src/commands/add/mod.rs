//! `kiln add`: submits entries, and keeps their proofs.

mod input;
mod proofs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use kiln_client::{AnySource, Client, Submitter, batches};
use kiln_tiles::{Hash, TrustedLog};
use serde_json::json;

use crate::environment::Stopwatch;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::progress::Progress;
use crate::quantity::{grouped, per_second, rounded};
use crate::reading::{self, LogArgs, SelfDescription, http_options};
use input::Item;

/// Add entries to a log: each file, each line with --lines, or standard input.
///
/// Prints index and entry hash of each. It waits until a published checkpoint has them all. What is
/// in the log already keeps its index, so a run that was interrupted can be repeated.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln add http://127.0.0.1:8080 release.tar.gz --proofs . --vkey V
  kiln add http://127.0.0.1:8080 --lines packages.txt
  echo hello | kiln add ./log")]
pub(crate) struct Add {
    #[command(flatten)]
    log: LogArgs,
    /// The files to add; standard input without any, or for `-`.
    files: Vec<PathBuf>,
    /// Add each line: the bytes between newlines. An empty or too long line stops it before
    /// anything is sent.
    #[arg(long)]
    lines: bool,
    /// Keep a verified proof of each entry here: <name or index>.tlog-proof.
    #[arg(long, value_name = "FOLDER")]
    proofs: Option<PathBuf>,
    /// A file with the bearer token to submit with; or set KILN_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Batches that are on their way at once: more than a round of 16 MiB takes.
const IN_FLIGHT: usize = 16;

/// Longer than a server waits before it says that it does not know.
const PATIENCE: Duration = Duration::from_secs(120);

impl Add {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let items = input::read(&self.files, self.lines)?;
        let reader = match &self.proofs {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
                Some(self.log.open(output).await?) // a key that is missing is missed before anything is sent
            }
            None => None,
        };
        let submitter = self.submitter().await?;
        let since = Stopwatch::start();
        let indices = self.submit(&submitter, &items, *output).await?;
        let took = since.elapsed();
        if let (Some(reader), Some(folder)) = (reader, &self.proofs) {
            let reader = self.reader_with_checkpoint(reader, output).await?;
            proofs::keep(&reader, folder, &items, &indices).await?;
        }
        let (count, rate) = (items.len() as u64, per_second(items.len() as u64, took));
        let proofs = self
            .proofs
            .as_ref()
            .map_or_else(String::new, |folder| format!("; proofs in {}", folder.display()));
        let (count, seconds) = (counted(count), took.as_secs_f64());
        output.note(format_args!("{count} in the log, after {seconds:.2} s ({}/s){proofs}", rounded(rate)));
        Ok(())
    }

    async fn submitter(&self) -> Result<Submitter, Failure> {
        // Submitting proves nothing, so it needs no key; what is proved is proved by reading.
        let nobody = TrustedLog::new(String::new(), Vec::new());
        let url = self.submission_url().await?;
        let submitter = Submitter::with_options(&url, nobody, http_options().timeout(PATIENCE))?;
        match self.token()? {
            Some(token) => Ok(submitter.with_token(&token)?),
            None => Ok(submitter),
        }
    }

    /// The log's URL. A folder takes no entries, but says where the log that it belongs to does.
    async fn submission_url(&self) -> Result<String, Failure> {
        let log = &self.log.log;
        if reading::is_url(log) {
            return Ok(log.clone());
        }
        let description = SelfDescription::read(&reading::source(log)?).await?;
        let url = description.submission_url().map(str::to_owned);
        url.ok_or_else(|| {
            Failure::usage(format!("{log} does not say in log.json where it takes entries: give its URL"))
        })
    }

    fn token(&self) -> Result<Option<String>, Failure> {
        const MAX_LENGTH: usize = 10_000;
        let Some(path) = &self.token_file else {
            return Ok(std::env::var("KILN_TOKEN").ok().filter(|token| !token.is_empty()));
        };
        let bytes = files::read(path, MAX_LENGTH)?;
        let token =
            String::from_utf8(bytes).map_err(|_| Failure::usage(kiln_client::TokenError::Characters))?;
        Ok(Some(token.trim_end().to_owned()))
    }

    /// Submits everything, several batches at once, and prints what becomes of it, in order.
    async fn submit(
        &self,
        submitter: &Submitter,
        items: &[Item],
        output: Output,
    ) -> Result<Vec<u64>, Failure> {
        let mut progress = Progress::of("entries");
        let mut indices = Vec::with_capacity(items.len());
        let batches: Vec<&[Item]> = batches(items).collect();
        let sent =
            stream::iter(batches).map(|batch| async move { (batch, submitter.submit_batch(batch).await) });
        let mut answers = std::pin::pin!(sent.buffered(IN_FLIGHT));
        while let Some((batch, answer)) = answers.next().await {
            let answer = answer.inspect_err(|_| {
                output.note(format_args!(
                    "{} of {} entries are known to be in the log",
                    indices.len(),
                    items.len()
                ));
            })?;
            progress.aside(|| print(batch, &answer, output))?;
            indices.extend(answer);
            progress.set(indices.len() as u64, items.len() as u64);
        }
        Ok(indices)
    }

    /// Where the log is read, should that not be where it takes entries.
    async fn reader_with_checkpoint(
        &self,
        reader: Client<AnySource>,
        output: &Output,
    ) -> Result<Client<AnySource>, Failure> {
        match reader.update().await {
            Err(error @ kiln_client::ClientError::NoCheckpoint) => {
                let description = SelfDescription::read(&reading::source(&self.log.log)?).await?;
                let url = description.read_url().ok_or_else(|| Failure::from(error))?;
                self.log.open_at(url, output).await
            }
            updated => {
                updated?;
                Ok(reader)
            }
        }
    }
}

fn print(batch: &[Item], indices: &[u64], output: Output) -> Result<(), Failure> {
    let mut text = String::new();
    for (item, index) in batch.iter().zip(indices) {
        let hash = Hash::leaf(item.as_ref()).to_hex();
        text += &if output.is_json() {
            format!("{}\n", json!({ "index": index, "hash": hash, "source": item.source() }))
        } else {
            format!("{index}  {hash}\n")
        };
    }
    output.bytes(text.as_bytes())
}

fn counted(entries: u64) -> String {
    if entries == 1 { "1 entry is".to_owned() } else { format!("{} entries are", grouped(entries)) }
}

/// The name of a proof's file.
fn proof_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.{}", kiln_tiles::TlogProof::FILE_EXTENSION))
}
