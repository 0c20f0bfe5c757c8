//! `kiln fsck`: everything there is, verified.

use std::time::Duration;

use kiln_client::{AnySource, Checked, Files, Leftovers};
use serde_json::{Value, json};

use crate::environment::Stopwatch;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::quantity::{grouped, per_second, rounded};
use crate::reading::{self, LogArgs};

/// Verify everything there is: the checkpoint, and every tile and entry that it implies.
///
/// In a folder it verifies the partial tiles and bundles of earlier trees as well, as far as they are
/// still there. Exit 1 names the first object that is missing, damaged or different.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln fsck ./log
  kiln fsck https://log.example --vkey V")]
pub(crate) struct Fsck {
    #[command(flatten)]
    log: LogArgs,
}

impl Fsck {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let client = self.log.open(output).await?;
        let since = Stopwatch::start();
        let mut progress = Progress::of("entries");
        let checked = client.check_log(|now| progress.set(now.done, now.total)).await;
        drop(progress);
        let checked = checked?;
        let took = since.elapsed();
        // Of a URL nobody can tell what else is there.
        let leftovers = match reading::source(&self.log.log)? {
            AnySource::Folder(folder) => Some(client.check_leftovers(&folder, &checked).await?),
            _ => None,
        };
        if let Some(leftovers) = &leftovers {
            tell(&leftovers.unknown, "no tile's name", *output);
            tell(
                &leftovers.beyond,
                "a place beyond the tree, as tiles of a log that is at work may",
                *output,
            );
        }
        if output.is_json() {
            return output.line(value(&checked, leftovers.as_ref(), took));
        }
        report(&checked, leftovers.as_ref(), took, *output)
    }
}

/// Says which files were left aside.
fn tell(files: &Files, what: &str, output: Output) {
    if files.count > 0 {
        let more = files.count - files.first.len() as u64;
        let more = if more > 0 { format!(", and {} more", grouped(more)) } else { String::new() };
        let (count, names) = (grouped(files.count), files.first.join(", "));
        output.note(format_args!("not looked at: {count} with {what}: {names}{more}"));
    }
}

fn value(checked: &Checked, leftovers: Option<&Leftovers>, took: Duration) -> Value {
    let checkpoint = checked.checkpoint.checkpoint();
    let head = checkpoint.head();
    let mut value = json!({
        "origin": checkpoint.origin(), "size": head.size(), "root": head.root().to_hex(),
        "bundles": checked.bundles, "tiles": checked.tiles, "entry_bytes": checked.entry_bytes,
        "seconds": took.as_secs_f64(), "entries_per_second": per_second(head.size(), took),
    });
    if let Some(leftovers) = leftovers {
        value["earlier_bundles"] = json!(leftovers.bundles);
        value["earlier_tiles"] = json!(leftovers.tiles);
        value["beyond"] = json!(leftovers.beyond.count);
        value["unknown"] = json!(leftovers.unknown.count);
    }
    value
}

fn report(
    checked: &Checked,
    leftovers: Option<&Leftovers>,
    took: Duration,
    output: Output,
) -> Result<(), Failure> {
    let checkpoint = checked.checkpoint.checkpoint();
    let head = checkpoint.head();
    output.line(format_args!("log      {}", checkpoint.origin()))?;
    output.line(format_args!("size     {} entries, root {}", grouped(head.size()), head.root().to_hex()))?;
    output.line(format_args!(
        "read     {} bundles and {} tiles, {} bytes of entries",
        grouped(checked.bundles),
        grouped(checked.tiles),
        grouped(checked.entry_bytes)
    ))?;
    if let Some(Leftovers { bundles, tiles, .. }) = leftovers {
        let (bundles, tiles) = (grouped(*bundles), grouped(*tiles));
        output.line(format_args!("earlier  {bundles} partial bundles and {tiles} partial tiles"))?;
    }
    let (seconds, rate) = (took.as_secs_f64(), rounded(per_second(head.size(), took)));
    output.line(format_args!("all of it verified, in {seconds:.2} s: {rate} entries/s"))
}
