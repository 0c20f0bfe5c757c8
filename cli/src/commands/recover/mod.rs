//! `kiln recover`: brings a store that lost something back up to what others still hold.

mod holders;

use std::time::Duration;

use kiln_client::{Copied, Existing};
use kiln_sequencer::{Dedup, Log, Options, Plan, Recovery, Sequencer, Signer, Voice};
use kiln_storage::AnyRegister;
use kiln_tiles::{KeyName, SignedEnd, TreeHead};
use serde_json::json;

use crate::ending::describe_end;
use crate::environment::{self, Stopwatch};
use crate::failure::Failure;
use crate::guard::GuardArgs;
use crate::keys::KeyArgs;
use crate::output::Output;
use crate::quantity::grouped;
use crate::store::{Contents, OpenStore, StorePlace, check_conditions};
use holders::Best;

/// Bring a store back up to what a mirror, a CDN or a backup still holds, and go on with the same log.
///
/// It reads what is known of the log (the guard, the store's own checkpoint and head), finds the newest
/// tree that the log's key signed among the logs after --from, and verifies that it extends all of it.
/// Then it fills what is missing or damaged in the store, brings the head up, and publishes. A log that
/// nobody has whole is not brought back: nothing makes it go on with less than was signed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln recover ./log --from https://mirror.example/log
  kiln recover ./log --from /mnt/backup/log https://cdn.example/log
  kiln recover ./log --from ./log          only the head was lost; all tiles are there")]
pub(crate) struct Recover {
    /// The store to bring back, be it empty: a folder, or s3://, gs:// or az://.
    store: StorePlace,
    /// Who may have what is missing: URLs, folders, backups. The newest counts; what it lacks, the
    /// others may have.
    #[arg(long, value_name = "LOG", required = true, num_args = 1..)]
    from: Vec<String>,
    /// The name of the log, where its key has none of its own: one in a KMS, or as PKCS#8.
    #[arg(long)]
    origin: Option<KeyName>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    guard: GuardArgs,
    /// Go on from this tree although the guard is missing: you know that no larger tree was signed.
    #[arg(long, value_name = "SIZE:ROOT")]
    accept_head: Option<TreeHead>,
}

type OpenLog = Log<OpenStore, AnyRegister>;

/// What was done.
struct Done {
    plan: Plan,
    copied: Copied,
    was_damaged: bool, // the checkpoint
}

/// Whether the checkpoint that is recovered has a line under the log's name by a key that is not at hand.
fn has_other_keys(log: &OpenLog, best: &Best) -> bool {
    let (origin, keys) = (log.trusted().origin(), log.vkeys());
    let lines = best.checkpoint.note().signatures().iter();
    lines.filter(|line| line.name().as_str() == origin).any(|line| !keys.iter().any(|key| line.is_by(key)))
}

impl Recover {
    /// What an interruption leaves stands at [`Recovery::finish`]; running the same again goes on.
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let since = Stopwatch::start();
        let log = self.open().await?;
        let best = Best::among(&self.from, self.store.source()?, log.trusted(), *output).await?;
        let (log, end) = self.with_end(log, &best).await?;
        let done = self.bring_back(&log, &best).await?;
        if has_other_keys(&log, &best) {
            output.note(format_args!(
                "the log signed with a second key, which is not here: checkpoints lack its line from now on. Bring it back to \
                 {}, or give it with --ml-dsa-key",
                self.store.cosigner_path().map_or_else(|| "its place".to_owned(), |path| path.display().to_string())
            ));
        }
        if let Some(end) = end {
            describe_end(&log, &end).await?;
        }
        let options = Options { accept_head: self.accept_head, ..Options::default() };
        // From here on it is a start like any other: the guard is raised, and the tree published.
        let head = Sequencer::new(log, options).load().await?.head();
        self.report(&best, &done, head, since.elapsed(), *output)
    }

    async fn open(&self) -> Result<OpenLog, Failure> {
        let guards = self.guard.outside(&self.store)?;
        self.store.check_key(&self.key)?;
        if self.store.contents().await? == Contents::Other {
            return Err(Failure::usage(format!("{} holds something that is no log", self.store)));
        }
        let key = self.store.key(&self.key, self.origin.as_ref()).await?;
        let second = self.store.cosigner(&self.key, key.name())?;
        let guards = guards.open(&key.verifier_key(), &environment::process_name("kiln recover")).await?;
        let store = self.store.open("kiln recover")?;
        check_conditions(&store).await?;
        let log = guards.guard(key, store, Dedup::off());
        Ok(second.into_iter().fold(log, Log::with_cosigner))
    }

    /// The log, which stays frozen if its key signed that it has ended, whoever of all of them knows.
    async fn with_end(&self, log: OpenLog, best: &Best) -> Result<(OpenLog, Option<SignedEnd>), Failure> {
        let end = match log.read_end().await? {
            Some(end) => Some(end),
            None => best.end(log.trusted()).await,
        };
        Ok((end.iter().cloned().fold(log, Log::with_end), end))
    }

    async fn bring_back(&self, log: &OpenLog, best: &Best) -> Result<Done, Failure> {
        let recovery = Recovery::begin(log).await?;
        let head = best.checkpoint.head();
        let base = recovery.base().map(|base| (Voice::Head, base));
        for (voice, tree) in recovery.known().chain(base) {
            best.check_extends(voice, tree).await?;
        }
        let plan = recovery.plan(head, self.accept_head)?;
        let copied = best.fill(log.store(), plan.tree(), Existing::Mend).await?;
        let was_damaged = recovery.is_checkpoint_damaged();
        if was_damaged {
            // Its checkpoint will stand there until the load publishes a newer one.
            best.fill(log.store(), head, Existing::Keep(plan.tree())).await?;
        }
        recovery.finish(plan, &best.checkpoint).await?;
        Ok(Done { plan, copied, was_damaged })
    }

    fn report(
        &self,
        best: &Best,
        done: &Done,
        head: TreeHead,
        took: Duration,
        output: Output,
    ) -> Result<(), Failure> {
        let Done { plan, copied, was_damaged } = done;
        let recovered = match plan {
            Plan::Replace(_) => "head",
            Plan::Fill(_) if copied.objects > 0 => "objects",
            Plan::Fill(_) if *was_damaged => "checkpoint",
            Plan::Fill(_) => "nothing",
        };
        let origin = best.checkpoint.checkpoint().origin();
        let value = || {
            json!({
                "origin": origin, "size": head.size(), "root": head.root().to_hex(), "from": best.place,
                "recovered": recovered, "objects": copied.objects, "bytes": copied.bytes, "seconds": took.as_secs_f64(),
            })
        };
        let store = &self.store;
        let (objects, from) = (grouped(copied.objects), &best.place);
        let words = match recovered {
            "nothing" => format!("nothing to do: {store} has all of {origin}"),
            "checkpoint" => format!("recovered {origin}: the checkpoint in {store} was damaged"),
            "objects" => format!("recovered {origin}: {objects} objects in {store} are back, from {from}"),
            _ => {
                format!("recovered {origin}: {objects} objects and the head in {store} are back, from {from}")
            }
        };
        let size = grouped(head.size());
        output
            .result(format_args!("{words}\nit goes on at size {size}, root {}", head.root().to_hex()), value)
    }
}
