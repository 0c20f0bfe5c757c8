//! `kiln add`: submits entries, verifies that the log has them, and keeps their proofs.

mod input;
mod proofs;
mod verified;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use kiln_client::{AnySource, Client, ClientError, SubmitError, Submitter, batches};
use kiln_tiles::TrustedLog;
use serde_json::json;

use crate::environment::Stopwatch;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::quantity::{grouped, per_second, rounded};
use crate::reading::{self, LogArgs, SelfDescription};
use crate::submitting::{patiently, submission_options};
use crate::token::TokenArgs;
use input::Item;
use verified::Added;

/// Add entries to a log: each file, each line with --lines, or standard input.
///
/// Prints index and entry hash of each, when a published checkpoint has them all and it was verified that
/// the log has each of them at its index. Nothing is sent to a log whose checkpoint does not verify. What
/// is in the log already keeps its index, so a run that was interrupted can be repeated.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln add http://127.0.0.1:8080 release.tar.gz --proofs . --vkey V
  kiln add http://127.0.0.1:8080 --lines packages.txt --vkey V
  echo hello | kiln add ./log")]
pub(crate) struct Add {
    #[command(flatten)]
    log: LogArgs,
    /// The files to add; standard input without any, or for `-`.
    files: Vec<PathBuf>,
    /// Add each line: the bytes between newlines. An empty or too long line stops it before
    /// anything is sent. Lines are sent in batches, and the order between batches is not kept in the
    /// log: see --in-order.
    #[arg(long)]
    lines: bool,
    /// Send one batch after another, so that new entries get their indices in the order that they are
    /// given in. Slower: a batch of up to 4096 entries takes a round of the log.
    #[arg(long)]
    in_order: bool,
    /// Keep a verified proof of each entry here: <name or index>.tlog-proof. A file that is there and is
    /// no proof of the same entry is not overwritten: nothing is sent then.
    #[arg(long, value_name = "FOLDER")]
    proofs: Option<PathBuf>,
    #[command(flatten)]
    token: TokenArgs,
}

/// Batches that are on their way at once: more than a round of 16 MiB takes.
const IN_FLIGHT: usize = 16;

impl Add {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let items = input::read(&self.files, self.lines)?;
        let submitter = self.submitter().await?;
        let log = self.reader(output).await?; // verified, before anything is sent
        if let Some(folder) = &self.proofs {
            std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
            proofs::check(folder, &items, log.log())?;
        }
        let since = Stopwatch::start();
        let (indices, failed) = self.submit(&submitter, &items, *output).await;
        let took = since.elapsed();
        let added = verified::verify(&log, &items, &indices).await?;
        let proofs = match &self.proofs {
            Some(folder) => Some(proofs::keep(&log, folder, &items, &indices, *output).await?),
            None => None,
        };
        print(&added, proofs.as_deref(), *output)?;
        match failed {
            Some(error) => {
                let (known, all) = (added.len(), items.len());
                output.note(format_args!("{known} of {all} entries are known to be in the log"));
                Err(error.into())
            }
            None => {
                self.sum_up(items.len() as u64, took, *output);
                Ok(())
            }
        }
    }

    async fn submitter(&self) -> Result<Submitter, Failure> {
        // Its word is an index; what the log has is verified by reading.
        let nobody = TrustedLog::new(String::new(), Vec::new());
        let url = self.submission_url().await?;
        let submitter = Submitter::with_options(&url, nobody, submission_options())?;
        match self.token.given()? {
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

    /// A reader of the log, whose checkpoint was verified: where entries are taken, or else where that
    /// place says that they are read.
    async fn reader(&self, output: &Output) -> Result<Client<AnySource>, Failure> {
        let reader = self.log.open(output).await?;
        let reader = match reader.update().await {
            Err(error @ ClientError::NoCheckpoint) => {
                let description = SelfDescription::read(&reading::source(&self.log.log)?).await?;
                let url = description.read_url().ok_or_else(|| Failure::from(error))?;
                self.log.open_at(url, output).await?
            }
            updated => return Ok(updated.map(|_| reader)?),
        };
        reader.update().await?;
        Ok(reader)
    }

    /// Submits everything, several batches at once unless they are to be in order. Returns the indices
    /// of what was answered, from the first on, and what it ended with.
    async fn submit(
        &self,
        submitter: &Submitter,
        items: &[Item],
        output: Output,
    ) -> (Vec<u64>, Option<SubmitError>) {
        let mut progress = Progress::of("entries");
        let mut indices = Vec::with_capacity(items.len());
        let batches: Vec<&[Item]> = batches(items).collect();
        let sent = stream::iter(batches).map(|batch| submitter.submit_batch(batch));
        let mut answers = std::pin::pin!(sent.buffered(if self.in_order { 1 } else { IN_FLIGHT }));
        while let Some(answer) = patiently(answers.next(), output).await {
            match answer {
                Ok(answer) => indices.extend(answer),
                Err(error) => return (indices, Some(error)),
            }
            progress.set(indices.len() as u64, items.len() as u64);
        }
        (indices, None)
    }

    fn sum_up(&self, count: u64, took: Duration, output: Output) {
        let rate = rounded(per_second(count, took));
        let folder = self.proofs.as_ref();
        let proofs = folder.map_or_else(String::new, |folder| format!("; proofs in {}", folder.display()));
        let (count, seconds) = (counted(count), took.as_secs_f64());
        output.note(format_args!("{count} in the log, after {seconds:.2} s ({rate}/s){proofs}"));
    }
}

/// Prints what is in the log, in the order in which it was given.
fn print(added: &[Added<'_>], proofs: Option<&[PathBuf]>, output: Output) -> Result<(), Failure> {
    const LINES: usize = 4096; // so many at once
    for (number, some) in added.chunks(LINES).enumerate() {
        let proofs = proofs.map(|proofs| &proofs[number * LINES..]);
        let mut text = String::new();
        for (place, one) in some.iter().enumerate() {
            let hash = one.leaf.to_hex();
            if output.is_json() {
                let mut value = json!({ "index": one.index, "hash": hash, "source": one.item.source() });
                if let Some(proofs) = proofs {
                    value["proof"] = json!(proofs[place].display().to_string());
                }
                text += &format!("{value}\n");
            } else {
                text += &format!("{}  {hash}\n", one.index);
            }
        }
        output.bytes(text.as_bytes())?;
    }
    Ok(())
}

fn counted(entries: u64) -> String {
    if entries == 1 { "1 entry is".to_owned() } else { format!("{} entries are", grouped(entries)) }
}
