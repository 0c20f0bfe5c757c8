//! `kiln info`: what a log says of itself, verified, and who has cosigned it.

use std::path::Path;
use std::time::Duration;

use kiln_client::Update;
use kiln_tiles::{Note, NoteSignature, Quorum, SignedCheckpoint, SignedEnd, TrustedLog};
use serde_json::{Value, json};

use super::freeze::named;
use crate::cosigned::{Cosigned, shown_time};
use crate::ending::read_end;
use crate::environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::grouped;
use crate::reading::{self, LogArgs};

/// Show a log's head, size, age and keys, and by a policy its witnesses.
///
/// It shows a checkpoint that too few have cosigned as well: who is missing is what one looks for. The exit code is 1
/// then.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln info https://log.example --vkey V
  kiln info https://log.example --policy release.policy
  kiln info ./log --json")]
pub(crate) struct Info {
    #[command(flatten)]
    log: LogArgs,
}

impl Info {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let (client, quorum) = self.log.open_and_judge(output).await?;
        let Update { checkpoint, .. } = client.update().await?;
        let shown = Shown {
            log: client.log(),
            checkpoint: &checkpoint,
            age: checkpoint_age(&self.log.log),
            quorum: &quorum,
            cosigned: Cosigned::of(&quorum, checkpoint.note()).ok(),
            end: read_end(&reading::source(&self.log.log)?, client.log()).await,
        };
        shown.report(*output)?;
        quorum.check(checkpoint.note()).map_err(Failure::bad)?;
        shown.check_end()
    }
}

/// A checkpoint that the log signed.
struct Shown<'a> {
    log: &'a TrustedLog,
    checkpoint: &'a SignedCheckpoint,
    age: Option<Duration>,
    quorum: &'a Quorum,
    /// `None` where a cosignature is wrong, and so none means anything.
    cosigned: Option<Cosigned<'a>>,
    /// What the log's key signed of its end.
    end: Option<SignedEnd>,
}

impl Shown<'_> {
    fn report(&self, output: Output) -> Result<(), Failure> {
        if output.is_json() { output.line(self.value()) } else { self.print(output) }
    }

    fn print(&self, output: Output) -> Result<(), Failure> {
        let head = self.checkpoint.head();
        output.line(format_args!("origin     {}", self.log.origin()))?;
        output.line(format_args!("size       {}", grouped(head.size())))?;
        output.line(format_args!("root       {} (base64 {})", head.root().to_hex(), head.root()))?;
        if let Some(age) = self.age {
            let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
            output.line(format_args!("age        {age} since the checkpoint was written"))?;
        }
        self.end.as_ref().map_or(Ok(()), |end| print_end(end, output))?;
        for vkey in self.log.keys() {
            output.line(format_args!("vkey       {vkey}"))?;
        }
        for one in self.note().signatures() {
            let verdict = if self.is_verified(one) { "verified" } else { "not known here, not verified" };
            output.line(format_args!("signature  {} ({}): {verdict}", one.name(), one.key_id()))?;
        }
        self.cosigned.as_ref().map_or(Ok(()), |cosigned| self.print_witnesses(cosigned, output))
    }

    fn print_witnesses(&self, cosigned: &Cosigned<'_>, output: Output) -> Result<(), Failure> {
        for (witness, time) in cosigned.witnesses() {
            let time = time
                .map_or_else(|| "no cosignature".to_owned(), |time| format!("cosigned {}", shown_time(time)));
            output.line(format_args!("witness    {}: {time}", witness.name))?;
        }
        if self.quorum.is_none() {
            return Ok(());
        }
        let met = if cosigned.is_met() { "met" } else { "not met" };
        output.line(format_args!("quorum     {met}: {}", cosigned.quorum_words()))
    }

    fn value(&self) -> Value {
        let head = self.checkpoint.head();
        let mut value = json!({
            "origin": self.log.origin(), "size": head.size(), "root": head.root().to_hex(),
            "age_seconds": self.age.map(|age| age.as_secs()),
            "vkeys": self.log.keys().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "signatures": self.note().signatures().iter().map(|one| self.signature_value(one)).collect::<Vec<_>>(),
        });
        value["frozen"] = self.end.is_some().into();
        if let Some(successor) = self.end.as_ref().and_then(SignedEnd::successor) {
            value["successor"] = named(successor);
        }
        if let Some(cosigned) = &self.cosigned {
            value["witnesses"] = cosigned.witnesses_value();
            value["quorum"] = cosigned.quorum_value();
        }
        value
    }

    fn signature_value(&self, signature: &NoteSignature) -> Value {
        json!({
            "name": signature.name().as_str(), "key_id": signature.key_id().to_string(),
            "verified": self.is_verified(signature),
        })
    }

    /// A log that ended has no larger tree.
    fn check_end(&self) -> Result<(), Failure> {
        let size = self.checkpoint.head().size();
        match self.end.as_ref().map(|end| end.head().size()) {
            Some(end) if end < size => Err(Failure::bad(format!(
                "the log's key signed that it ended at size {end}, and a checkpoint of size {size}"
            ))),
            _ => Ok(()),
        }
    }

    const fn note(&self) -> &Note {
        self.checkpoint.note()
    }

    /// A signature of the opened checkpoint: those by the log's keys hold, and those by witnesses where none of them
    /// is wrong.
    fn is_verified(&self, signature: &NoteSignature) -> bool {
        let witnesses = self.cosigned.as_ref().map_or(&[][..], |_| self.quorum.witnesses());
        let keys = self.log.keys().iter().chain(witnesses.iter().map(|witness| &witness.key));
        keys.into_iter().any(|key| signature.is_by(key))
    }
}

fn print_end(end: &SignedEnd, output: Output) -> Result<(), Failure> {
    output
        .line(format_args!("frozen     at size {}: it takes no more entries", grouped(end.head().size())))?;
    match end.successor() {
        Some(successor) => {
            output.line(format_args!("successor  {}", successor.url()))?;
            output.line(format_args!("           {}", successor.vkey()))
        }
        None => Ok(()),
    }
}

/// When a checkpoint in a folder was written. A checkpoint itself does not tell the time, and what
/// a server says about it nobody signed.
fn checkpoint_age(log: &str) -> Option<Duration> {
    if reading::is_url(log) {
        return None;
    }
    let folder = Path::new(log);
    let metadata =
        ["checkpoint", "public/checkpoint"].iter().find_map(|name| folder.join(name).metadata().ok());
    environment::age(metadata?.modified().ok()?)
}
