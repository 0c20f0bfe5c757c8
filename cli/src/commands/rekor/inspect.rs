//! `kiln rekor inspect`: what a file of Sigstore's says.

use std::path::PathBuf;

use kiln_rekor::{Bundle, TransparencyLogEntry, TrustedRoot};
use serde_json::Value;

use super::decoded;
use super::facts::Facts;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;

/// Show what a Sigstore file says: a bundle, a log entry with its proof, the body of an entry, or a trusted
/// root. Nothing of it is verified.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln rekor inspect release.tar.gz.sigstore.json
  kiln rekor inspect trusted_root.json --json
  kiln get ./log 0 | kiln rekor inspect -")]
pub(crate) struct Inspect {
    /// The file; `-` for standard input.
    file: PathBuf,
}

/// Longer than any bundle that clients read.
const MAX_FILE: usize = 64 << 20;

impl Inspect {
    pub(crate) fn run(self, output: Output) -> Result<(), Failure> {
        let bytes = files::read(&self.file, MAX_FILE)?;
        let facts = decode(&bytes).map_err(|failure| failure.at(&self.file.display().to_string()))?;
        output.result(&facts, || facts.to_value())?;
        if !output.is_json() {
            output.note("Nothing of this was verified: it is what the file says.");
        }
        Ok(())
    }
}

/// A file of any kind, told by the fields that only this kind has.
fn decode(bytes: &[u8]) -> Result<Facts, Failure> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Failure::usage(format!("not JSON: {error}")))?;
    let field = |camel: &str, snake: &str| value.get(camel).or_else(|| value.get(snake));
    let media_type = field("mediaType", "media_type").and_then(Value::as_str).unwrap_or_default();
    let what = |what: &str| Facts::default().with("file", what);
    if media_type.contains("bundle") {
        let bundle = Bundle::parse(bytes).map_err(Failure::usage)?;
        return Ok(what("bundle").and(decoded::bundle(&bundle)));
    }
    if let Some(root) = field("trustedRoot", "trusted_root") {
        return Ok(what("client trust config").and(trusted_root(root.to_string().as_bytes())?));
    }
    if media_type.contains("trustedroot") {
        return Ok(what("trusted root").and(trusted_root(bytes)?));
    }
    if field("canonicalizedBody", "canonicalized_body").is_some() {
        let entry = TransparencyLogEntry::parse(bytes).map_err(Failure::usage)?;
        return Ok(what("log entry").and(decoded::log_entry(&entry)));
    }
    if value.get("kind").is_some() && value.get("spec").is_some() {
        return Ok(what("body of an entry").and(decoded::body(bytes.trim_ascii())));
    }
    Err(Failure::usage("neither a bundle, nor a log entry, nor the body of an entry, nor a trusted root"))
}

fn trusted_root(json: &[u8]) -> Result<Facts, Failure> {
    let root = TrustedRoot::parse(json).map_err(|error| Failure::usage(format!("trusted root: {error}")))?;
    Ok(decoded::trusted_root(&root))
}
