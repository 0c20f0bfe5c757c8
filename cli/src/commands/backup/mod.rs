//! `kiln backup`: a verified copy of a log, of which another run copies only what is new.

mod target;

use std::path::PathBuf;
use std::time::Duration;

use kiln_client::{Client, Copied, Existing, Source, StoreSource};
use kiln_sequencer::Signer;
use kiln_tiles::{Cosigner, SignedCheckpoint, TrustedLog, VerifierKey};
use serde_json::{Value, json};

use crate::environment::Stopwatch;
use crate::failure::{Exit, Failure};
use crate::keys::{self, KeyArgs};
use crate::log_key::LogKey;
use crate::output::Output;
use crate::progress::Progress;
use crate::quantity::{grouped, per_second, rounded};
use crate::reading;
use crate::store::{Contents, StorePlace, check_conditions};
use crate::trust::{given_vkey, parse_vkey};
use target::Target;

/// Copy a log, verified, into another store; again and again, only what is new.
///
/// What is copied is what the log has published, so it may be at work. An interrupted run is repeated,
/// and goes on where it was; until it is done, the copy is what it was before. A log can start from the
/// copy if nothing newer was signed; `kiln recover` brings back what was.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln backup ./log /mnt/backup/log
  kiln backup ./log /mnt/backup/log --with-key --verify
  kiln backup ./log /mnt/backup/log --mend         the copy was damaged")]
pub(crate) struct Backup {
    /// The store that the log lives in.
    store: StorePlace,
    /// The store of the copy: one that is empty, none yet, or an earlier copy of this log.
    to: StorePlace,
    /// The log's verifier key; or set KILN_VKEY. Without it the log's secret key tells.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey)]
    vkey: Option<VerifierKey>,
    #[command(flatten)]
    key: KeyArgs,
    /// Copy the log's secret keys as well. Whoever reads them can sign in the log's name.
    #[arg(long)]
    with_key: bool,
    /// Read all that the copy has, and replace what is missing or damaged there.
    #[arg(long)]
    mend: bool,
    /// Read the whole copy back afterwards, and verify it.
    #[arg(long)]
    verify: bool,
}

/// The first key of a log, and the second, if it has one.
type SecretKeys = (LogKey, Option<Cosigner>);

impl Backup {
    /// The run may end after any line:
    ///
    /// | last line done     | the copy is                                                      |
    /// |--------------------|------------------------------------------------------------------|
    /// | fill (part of it)  | what it was, an older backup or none; the next run goes on here  |
    /// | fill               | the same, and all objects of the new tree stand in it            |
    /// | describe           | the same                                                         |
    /// | publish            | the new one, for readers; its head is the older one, or none     |
    /// | rest at            | the new one: a log can start from it                             |
    ///
    /// Where the head is the older one the tree of the checkpoint extends it: `kiln serve` refuses to
    /// start there, since the published checkpoint knows more, and `kiln recover` would bring it up.
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        self.check_places().await?;
        let source = reading::source(&self.store.to_string())?;
        let (vkey, secret) = self.keys().await?;
        let client = Client::new(source.clone(), TrustedLog::from(vkey.clone()));
        let checkpoint = client.update().await?.checkpoint;
        let since = Stopwatch::start();
        let store = self.to.open("kiln backup")?;
        check_conditions(&store).await?;
        let target = Target::open(&self.to, &store, &vkey).await?;
        target.check_end(checkpoint.head())?;

        let kept = target.kept(&client, self.mend).await?;
        let existing = if self.mend { Existing::Mend } else { Existing::Keep(kept) };
        let copied = target.fill(&client, checkpoint.head(), existing).await?;
        target.describe(&source).await?;
        target.publish(&checkpoint).await?;
        target.rest_at(checkpoint.head()).await?;
        if let Some((first, second)) = secret {
            self.to.keep_key(&first)?;
            second.map_or(Ok(()), |second| self.to.keep_cosigner(&second))?;
        }
        if self.verify {
            verify(Client::new(StoreSource::new(store.clone()), client.log().clone())).await?;
        }
        self.report(&checkpoint, &copied, since.elapsed(), *output)
    }

    /// A copy of a log in itself would grow with each run.
    async fn check_places(&self) -> Result<(), Failure> {
        if self.with_key && self.to.as_folder().is_none() {
            return Err(Failure::usage(
                "no bucket ever holds a key: copy it elsewhere, and leave out --with-key",
            ));
        }
        if self.store.overlaps(&self.to) {
            return Err(Failure::usage(format!(
                "{} and {} are one place, or one is in the other: a backup belongs elsewhere, best on another machine",
                self.store, self.to
            )));
        }
        if self.to.contents().await? == Contents::Other {
            return Err(Failure::usage(format!(
                "{} holds something that is no log: give a place that is empty, none yet, or an earlier copy",
                self.to
            )));
        }
        Ok(())
    }

    /// The key to verify the log by, and the secret ones, where they are to be copied.
    async fn keys(&self) -> Result<(VerifierKey, Option<SecretKeys>), Failure> {
        let vkey = given_vkey(self.vkey.as_ref())?;
        if let (Some(vkey), false) = (&vkey, self.with_key) {
            return Ok((vkey.clone(), None));
        }
        let key = self.store.key(&self.key, vkey.as_ref().map(VerifierKey::name)).await;
        let key = key.map_err(|failure| match failure.exit() {
            Exit::Usage if !self.with_key => failure.with_advice("Or give the log's verifier key: --vkey."),
            _ => failure,
        })?;
        let own = key.verifier_key();
        if vkey.is_some_and(|vkey| vkey != own) {
            return Err(Failure::usage("the secret key is not that of the vkey that was given"));
        }
        if !self.with_key {
            return Ok((own, None));
        }
        let second = self.store.cosigner(&self.key, own.name())?;
        if let Some(kms) = key.reference() {
            let second = if second.is_some() {
                " The second key, of ML-DSA-44, is at hand: keep a copy of its file yourself, for without it a log that goes \
                 on lacks it."
            } else {
                ""
            };
            return Err(Failure::usage(format!(
                "the log's key is in {kms}, which gives it to nobody, so it cannot be in a copy: leave out --with-key. \
                 A log goes on from the copy with the same --key, and --origin {}.{second}",
                own.name()
            )));
        }
        self.check_keys_of_copy(&own, second.as_ref())?;
        Ok((own, Some((key, second))))
    }

    /// A key that stands in the copy stays there, so it has to be the right one.
    fn check_keys_of_copy(&self, own: &VerifierKey, second: Option<&Cosigner>) -> Result<(), Failure> {
        check_key_of_copy(self.to.key_path(), own)?;
        second.map_or(Ok(()), |key| check_key_of_copy(self.to.cosigner_path(), &key.verifier_key()))
    }

    fn report(
        &self,
        checkpoint: &SignedCheckpoint,
        copied: &Copied,
        took: Duration,
        output: Output,
    ) -> Result<(), Failure> {
        let (head, origin) = (checkpoint.head(), checkpoint.checkpoint().origin());
        let rate = per_second(head.size() - copied.from, took);
        if output.is_json() {
            return output.line(value(origin, copied, took, rate));
        }
        let to = &self.to;
        output.line(format_args!("log      {origin}"))?;
        output.line(format_args!(
            "copy     {to}: {} entries, root {}",
            grouped(head.size()),
            head.root().to_hex()
        ))?;
        output.line(format_args!(
            "written  {} objects with {} bytes, from entry {} on, in {:.2} s: {} entries/s",
            grouped(copied.objects),
            grouped(copied.bytes),
            grouped(copied.from),
            took.as_secs_f64(),
            rounded(rate)
        ))?;
        if !self.to.key_path().is_some_and(|path| path.exists()) {
            output.note("the key is not in the copy: keep one elsewhere, in secret (or --with-key)");
        }
        Ok(())
    }
}

fn check_key_of_copy(path: Option<PathBuf>, own: &VerifierKey) -> Result<(), Failure> {
    let Some(path) = path.filter(|path| path.exists()) else { return Ok(()) };
    if keys::read(&path)?.verifier_key(Some(own.name()))? == *own {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::usage(format!("{path} is another key than the log's: this copy is not one of this log")))
}

fn value(origin: &str, copied: &Copied, took: Duration, rate: f64) -> Value {
    json!({
        "origin": origin, "size": copied.head.size(), "root": copied.head.root().to_hex(), "from": copied.from,
        "objects": copied.objects, "bytes": copied.bytes,
        "seconds": took.as_secs_f64(), "entries_per_second": rate,
    })
}

/// Reads all of a copy, as any reader would.
async fn verify<S: Source + 'static>(copy: Client<S>) -> Result<(), Failure> {
    let mut progress = Progress::of("entries of the copy");
    let checked = copy.check_log(|now| progress.set(now.done, now.total)).await;
    drop(progress);
    checked.map(drop).map_err(Failure::from)
}
