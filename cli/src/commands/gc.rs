//! `kiln gc`: removes partial tiles and bundles that full ones supersede.

use std::time::Duration;

use kiln_client::{Client, StoreSource};
use kiln_sequencer::{Signer, Sweep, Swept};
use kiln_tiles::{TrustedLog, VerifierKey};
use serde_json::json;

use crate::environment::Stopwatch;
use crate::failure::{Exit, Failure};
use crate::keys::KeyArgs;
use crate::output::Output;
use crate::progress::Progress;
use crate::quantity::{grouped, parse_span, per_second, rounded};
use crate::store::StorePlace;
use crate::trust::{given_vkey, parse_vkey};

/// Remove partial tiles and bundles that full ones have superseded for a while.
///
/// It reads the log's checkpoint, waits, and removes what that tree has in full. The log may be at work. On a
/// folder `kiln serve` does so by itself; on object stores run this now and then, as a role that may delete.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln gc ./log
  kiln gc ./log --dry-run
  kiln gc /mnt/backup/log --vkey V")]
pub(crate) struct Gc {
    /// The store that the log lives in.
    store: StorePlace,
    /// How long a tree is to be published before what it supersedes may go.
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
    grace: Duration,
    /// Only say what a run that began now would remove. It does not wait.
    #[arg(long)]
    dry_run: bool,
    /// The log's verifier key; or set KILN_VKEY. Without it the log's secret key tells.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey)]
    vkey: Option<VerifierKey>,
    #[command(flatten)]
    key: KeyArgs,
}

impl Gc {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        // Of a bucket, who may delete partial tiles need not be allowed to read what is private.
        if self.store.as_folder().is_some() && !self.store.has_log().await? {
            return Err(Failure::undone(format!("{}: no log here", self.store)));
        }
        let log = TrustedLog::from(self.vkey().await?);
        let store = self.store.open("kiln gc")?;
        let client = Client::new(StoreSource::new(store.clone()), log.clone());
        let published = client.update().await?.checkpoint.head().size();
        if !self.dry_run {
            let grace = humantime::format_duration(self.grace);
            output.note(format_args!("waiting {grace}, for those who read by an older checkpoint"));
            tokio::time::sleep(self.grace).await;
            client.update().await?; // and not one that is smaller, or of another tree
        }
        let since = Stopwatch::start();
        let swept = self.sweep(&Sweep::new(&store, &log, published)).await?;
        self.report(&log, published, &swept, since.elapsed(), *output)
    }

    async fn vkey(&self) -> Result<VerifierKey, Failure> {
        match given_vkey(self.vkey.as_ref())? {
            Some(vkey) => Ok(vkey),
            None => match self.store.key(&self.key, None).await {
                Ok(key) => Ok(key.verifier_key()),
                Err(failure) if failure.exit() == Exit::Usage => {
                    Err(failure.with_advice("Or give the log's verifier key: --vkey."))
                }
                Err(failure) => Err(failure),
            },
        }
    }

    async fn sweep<S>(&self, sweep: &Sweep<'_, S>) -> Result<Swept, Failure>
    where
        S: kiln_storage::PartialObjects + kiln_storage::ImmutableObjects,
    {
        let mut progress = Progress::of("partial tiles and bundles");
        let tell = |swept: &Swept| progress.set(swept.superseded, swept.seen);
        let swept = if self.dry_run { sweep.count(tell).await } else { sweep.remove(tell).await };
        drop(progress);
        Ok(swept?)
    }

    fn report(
        &self,
        log: &TrustedLog,
        size: u64,
        swept: &Swept,
        took: Duration,
        output: Output,
    ) -> Result<(), Failure> {
        let &Swept { seen, superseded, orphans, .. } = swept;
        let removed = if self.dry_run { 0 } else { superseded };
        let value = || {
            json!({
                "origin": log.origin(), "size": size, "partial": seen, "superseded": superseded,
                "removed": removed, "orphans": orphans, "seconds": took.as_secs_f64(),
            })
        };
        let did = if self.dry_run { "to go   " } else { "removed " };
        let words = format!(
            "log      {}\nsize     {} entries\n{did} {} of {} partial tiles and bundles, in {:.2} s: {} a second",
            log.origin(),
            grouped(size),
            grouped(superseded),
            grouped(seen),
            took.as_secs_f64(),
            rounded(per_second(superseded, took))
        );
        output.result(words, value)?;
        match &swept.missing {
            None => Ok(()),
            Some(missing) => Err(Failure::bad(format!(
                "{missing} is missing: its partial ones stay, and so do those of others, {orphans} in all"
            ))
            .with_advice(
                "`kiln recover STORE --from LOG` brings back what a mirror, a CDN or a backup has.",
            )),
        }
    }
}
