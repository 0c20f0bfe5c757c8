//! `kiln info`: what a log says of itself, verified.

use std::path::Path;
use std::time::Duration;

use kiln_client::{AnySource, Client, Update};
use kiln_tiles::NoteSignature;
use serde_json::{Value, json};

use crate::environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::grouped;
use crate::reading::{self, LogArgs};

/// Show a log's head, size, age and keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln info https://log.example --vkey V
  kiln info ./log --json")]
pub(crate) struct Info {
    #[command(flatten)]
    log: LogArgs,
}

impl Info {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let client = self.log.open(output).await?;
        let Update { checkpoint, .. } = client.update().await?;
        let (head, age) = (checkpoint.head(), checkpoint_age(&self.log.log));
        let signatures = checkpoint.note().signatures();
        if output.is_json() {
            return output.line(json!({
                "origin": client.log().origin(), "size": head.size(), "root": head.root().to_hex(),
                "age_seconds": age.map(|age| age.as_secs()),
                "vkeys": client.log().keys().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "signatures": signatures.iter().map(|one| signature_value(&client, one)).collect::<Vec<_>>(),
            }));
        }
        output.line(format_args!("origin     {}", client.log().origin()))?;
        output.line(format_args!("size       {}", grouped(head.size())))?;
        output.line(format_args!("root       {} (base64 {})", head.root().to_hex(), head.root()))?;
        if let Some(age) = age {
            let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
            output.line(format_args!("age        {age} since the checkpoint was written"))?;
        }
        for vkey in client.log().keys() {
            output.line(format_args!("vkey       {vkey}"))?;
        }
        for one in signatures {
            let verdict = if is_verified(&client, one) { "verified" } else { "not known here, not verified" };
            output.line(format_args!("signature  {} ({}): {verdict}", one.name(), one.key_id()))?;
        }
        Ok(())
    }
}

/// A signature of the opened checkpoint: those by the log's keys hold.
fn is_verified(client: &Client<AnySource>, signature: &NoteSignature) -> bool {
    client.log().keys().iter().any(|key| signature.is_by(key))
}

fn signature_value(client: &Client<AnySource>, signature: &NoteSignature) -> Value {
    json!({
        "name": signature.name().as_str(), "key_id": signature.key_id().to_string(),
        "verified": is_verified(client, signature),
    })
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
