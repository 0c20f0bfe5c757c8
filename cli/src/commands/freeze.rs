//! `kiln freeze`: ends a log for good.

use std::io::{self, BufRead, IsTerminal};
use std::time::Duration;

use kiln_sequencer::{Dedup, Holder, Log, Options, Sequencer, Signer};
use kiln_storage::AnyRegister;
use kiln_tiles::{KeyName, SignedEnd, Successor, TreeHead, VerifierKey};
use serde_json::{Value, json};

use super::serve::WitnessArgs;
use crate::ending::describe_end;
use crate::environment;
use crate::failure::Failure;
use crate::guard::GuardArgs;
use crate::keys::KeyArgs;
use crate::output::Output;
use crate::quantity::{grouped, parse_span};
use crate::store::{OpenStore, StorePlace, check_conditions};
use crate::trust::parse_vkey;

/// End a log for good: it is read for ever, and takes no entries ever again.
///
/// Stop the log first, and all that stand by. What was committed is published once more, cosigned where there are
/// witnesses, and then one write of the head ends it: no build of Kiln adds to it afterwards, nothing undoes it. The
/// log's key signs where it ended, and which log goes on in its place, for log.json. `kiln serve` still serves it, and
/// answers submissions with 410. Run again it changes nothing but the successor.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln freeze ./log-2026 --successor-vkey V --successor-url https://logs.example.com/2027
  kiln freeze ./log-2026 --yes                       in a script: nobody is asked
  kiln freeze s3://bucket/log --key release.key --guard s3://guards --policy release.policy
  kiln freeze ./log --key awskms:///alias/releases --origin example.com/releases --yes")]
pub(crate) struct Freeze {
    /// The store of the log that ends.
    store: StorePlace,
    /// The verifier key of the log that goes on in its place.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey, requires = "successor_url")]
    successor_vkey: Option<VerifierKey>,
    /// The URL of the log that goes on in its place.
    #[arg(long, value_name = "URL", requires = "successor_vkey")]
    successor_url: Option<String>,
    /// Do not ask. Without it a person at a terminal has to type the origin, and a script goes no further.
    #[arg(long)]
    yes: bool,
    /// The name of the log, where its key has none of its own: one in a KMS, or as PKCS#8.
    #[arg(long)]
    origin: Option<KeyName>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    guard: GuardArgs,
    /// End it at this head although the guard is missing: you know that no larger tree was signed.
    #[arg(long, value_name = "SIZE:ROOT")]
    accept_head: Option<TreeHead>,
    #[command(flatten)]
    witnesses: WitnessArgs,
    /// How long the lease of a writer in an object store lasts, as its --lease says: so long one that crashed is
    /// waited for.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    lease: Duration,
}

type OpenLog = Log<OpenStore, AnyRegister>;

impl Freeze {
    /// The run may end after any line:
    ///
    /// | last line done | the log                                                | running it again              |
    /// |----------------|--------------------------------------------------------|-------------------------------|
    /// | load           | is whole and published, and goes on when it is served  | ends it                       |
    /// | freeze         | has ended; its servers say so, and name no successor   | signs the note, with successor |
    /// | describe       | the same, and `log.json` has the signed end            | says that it is frozen        |
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let successor = self.successor()?;
        let log = self.open().await?;
        self.check_successor(&log)?;
        self.confirm(log.trusted().origin(), *output)?;
        let known = log.read_end().await?;
        let sequencer = Sequencer::new(log, self.options());
        let writer = sequencer.load().await?;
        let was_frozen = writer.is_frozen();
        if !was_frozen {
            // Or it would end without a note of it.
            let tried = sequencer.shared().log.try_key(writer.head()).await;
            tried.map_err(|error| {
                Failure::undone(error).with_advice("Nothing was changed: the log goes on.")
            })?;
        }
        let writer = sequencer.freeze(writer).await?;
        let log = &sequencer.shared().log;
        let end = match known.filter(|known| successor.is_none() && known.head() == writer.head()) {
            Some(known) => known,
            None => log.sign_end(writer.head(), successor).await?,
        };
        describe_end(log, &end).await?;
        report(log, &end, was_frozen, *output)
    }

    fn successor(&self) -> Result<Option<Successor>, Failure> {
        let (Some(vkey), Some(url)) = (&self.successor_vkey, &self.successor_url) else { return Ok(None) };
        Successor::new(vkey.clone(), url.trim_end_matches('/')).map(Some).map_err(Failure::usage)
    }

    async fn open(&self) -> Result<OpenLog, Failure> {
        let guards = self.guard.outside(&self.store)?;
        self.store.check_key(&self.key)?;
        if !self.store.has_log().await? {
            return Err(Failure::undone(format!("{}: no log here", self.store)));
        }
        let key = self.store.key(&self.key, self.origin.as_ref()).await?;
        let (second, vkey) = (self.store.cosigner(&self.key, key.name())?, key.verifier_key());
        let witnesses = self.witnesses.open(&vkey)?;
        let guards = guards.open(&vkey, &environment::process_name("kiln freeze")).await?;
        let store = self.store.open("kiln freeze")?;
        check_conditions(&store).await?;
        let log = guards.guard(key, store, Dedup::off());
        let log = second.into_iter().fold(log, Log::with_cosigner);
        let log = witnesses.into_iter().fold(log, Log::with_witnesses);
        Ok(log.with_known_end().await?)
    }

    /// A log goes on under another name, with another key: its own are for ever.
    fn check_successor(&self, log: &OpenLog) -> Result<(), Failure> {
        let origin = log.trusted().origin();
        match &self.successor_vkey {
            Some(vkey) if vkey.name().as_str() == origin => Err(Failure::usage(format!(
                "the successor's name is {origin}, as is this log's: a log that goes on in its place has another origin"
            ))),
            _ => Ok(()),
        }
    }

    fn confirm(&self, origin: &str, output: Output) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(format!(
                "this ends the log {origin} for good, and nobody is at a terminal to be asked: say so with --yes"
            )));
        }
        output.note(format_args!(
            "This ends the log {origin} for good: it takes no entries ever again, and nothing undoes it.\n\
             To go on, type its origin:"
        ));
        let mut typed = String::new();
        io::stdin().lock().read_line(&mut typed)?;
        if typed.trim() == origin {
            Ok(())
        } else {
            Err(Failure::usage("that is not its origin: nothing was changed"))
        }
    }

    fn options(&self) -> Options {
        let holder = Holder { name: environment::process_name("kiln freeze"), url: None };
        Options { accept_head: self.accept_head, lease: self.lease, holder, ..Options::default() }
    }
}

fn report(log: &OpenLog, end: &SignedEnd, was_frozen: bool, output: Output) -> Result<(), Failure> {
    let (origin, head, successor) = (log.trusted().origin(), end.head(), end.successor());
    let value = || {
        json!({
            "origin": origin, "size": head.size(), "root": head.root().to_hex(), "was_frozen": was_frozen,
            "successor": successor.map(named), "end": end.note().to_string(),
        })
    };
    let did = if was_frozen { "was frozen before" } else { "is frozen, for good" };
    let mut words = format!("{origin} {did}: size {}, root {}", grouped(head.size()), head.root().to_hex());
    if let Some(successor) = successor {
        words += &format!("\nsuccessor  {}\n           {}", successor.url(), successor.vkey());
    }
    output.result(words, value)
}

/// A successor, for programs.
pub(super) fn named(successor: &Successor) -> Value {
    json!({ "vkey": successor.vkey().to_string(), "url": successor.url() })
}
