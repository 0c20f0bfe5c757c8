//! `kiln fsck`: everything there is, verified.

use kiln_client::Checked;
use serde_json::json;

use crate::environment::Stopwatch;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::quantity::{grouped, per_second, rounded};
use crate::reading::LogArgs;

/// Verify everything there is: the checkpoint, and every tile and entry that it implies.
///
/// Exit 1 names the first object that is missing, damaged or different.
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
        report(&checked?, since, *output)
    }
}

fn report(checked: &Checked, since: Stopwatch, output: Output) -> Result<(), Failure> {
    let (took, checkpoint) = (since.elapsed(), checked.checkpoint.checkpoint());
    let head = checkpoint.head();
    let rate = per_second(head.size(), took);
    if output.is_json() {
        return output.line(json!({
            "origin": checkpoint.origin(), "size": head.size(), "root": head.root().to_hex(),
            "bundles": checked.bundles, "tiles": checked.tiles, "entry_bytes": checked.entry_bytes,
            "seconds": took.as_secs_f64(), "entries_per_second": rate,
        }));
    }
    output.line(format_args!("log      {}", checkpoint.origin()))?;
    output.line(format_args!("size     {} entries, root {}", grouped(head.size()), head.root().to_hex()))?;
    output.line(format_args!(
        "read     {} bundles and {} tiles, {} bytes of entries",
        grouped(checked.bundles),
        grouped(checked.tiles),
        grouped(checked.entry_bytes)
    ))?;
    let seconds = took.as_secs_f64();
    output.line(format_args!("all of it verified, in {seconds:.2} s: {} entries/s", rounded(rate)))
}
