//! `kiln verify`: a proof, offline.

use std::path::{Path, PathBuf};

use kiln_client::{Claim, VerifyError};
use kiln_tiles::{
    Hash, MAX_ENTRY_SIZE, OpenCheckpointError, TlogProof, TrustedLog, VerifierKey, VerifyTlogProofError,
};
use serde_json::json;

use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::quantity::grouped;
use crate::reading::{given_vkey, parse_vkey};

/// Verify a proof offline: no network, no server, only the proof, the entry and the log's key.
///
/// Exit 0 only if everything holds; it says what does, and names the step that fails.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true),
    after_help = "\
Example:
  kiln verify release.tar.gz.tlog-proof --entry release.tar.gz --vkey V"
)]
pub(crate) struct Verify {
    /// The proof, a c2sp.org/tlog-proof@v1 file; `-` for standard input.
    proof: PathBuf,
    /// The entry that it is about; `-` for standard input.
    #[arg(long, value_name = "FILE", group = "what")]
    entry: Option<PathBuf>,
    /// The entry hash instead, as `kiln add` prints it.
    #[arg(long, value_name = "HEX", group = "what", value_parser = parse_hash)]
    hash: Option<Hash>,
    /// The log's verifier key; or set KILN_VKEY.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey)]
    vkey: Option<VerifierKey>,
}

/// The text is no leaf hash.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not an entry hash: 64 hex digits in lower case")]
pub(crate) struct ParseHashError;

pub(crate) fn parse_hash(text: &str) -> Result<Hash, ParseHashError> {
    Hash::from_hex(text).ok_or(ParseHashError)
}

const WITHOUT_NEWLINE: &str =
    "Without its last newline the entry would verify: `kiln add --lines` adds what is between newlines.";

impl Verify {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let vkey = given_vkey(self.vkey.as_ref())?
            .ok_or_else(|| Failure::usage("no key to verify this proof by: give --vkey or set KILN_VKEY"))?;
        let log = TrustedLog::from(vkey.clone());
        let proof = files::read(&self.proof, TlogProof::MAX_SIZE)?;
        let entry = self.entry.as_deref().map(read_entry).transpose()?;
        let leaf = match (self.hash, &entry) {
            (Some(hash), _) => hash,
            (None, Some(entry)) => Hash::leaf(entry),
            (None, None) => return Err(Failure::usage("give --entry or --hash")),
        };
        let error = match kiln_client::verify_leaf(&proof, leaf, &log) {
            Ok(claim) => return report(&proof, leaf, &claim, &vkey, *output),
            Err(error) => self.refuse(&error),
        };
        let line = entry.as_deref().and_then(|entry| entry.strip_suffix(b"\n"));
        let holds = line.is_some_and(|line| kiln_client::verify(&proof, line, &log).is_ok());
        Err(if holds { error.with_advice(WITHOUT_NEWLINE) } else { error })
    }

    fn refuse(&self, error: &VerifyError) -> Failure {
        let proof = self.proof.display();
        match error {
            VerifyError::Parse(error) => Failure::bad(format!("{proof}: proof: {error}")),
            VerifyError::OtherKeys(keys) => Failure::bad(format!("{proof}: signature: {keys}")),
            VerifyError::Proof(VerifyTlogProofError::Checkpoint(OpenCheckpointError::Signature(error))) => {
                Failure::bad(format!("{proof}: signature: {error}"))
            }
            VerifyError::Proof(VerifyTlogProofError::Inclusion(error)) => Failure::bad(format!(
                "{proof}: inclusion: {error}. The checkpoint is the log's, but does not have this entry at this index"
            )),
            error => Failure::bad(format!("{proof}: {error}")),
        }
    }
}

fn report(
    proof: &[u8],
    leaf: Hash,
    claim: &Claim,
    vkey: &VerifierKey,
    output: Output,
) -> Result<(), Failure> {
    let (index, head) = (claim.index(), claim.head());
    if output.is_json() {
        return output.line(json!({
            "verified": true, "origin": claim.origin(), "index": index, "hash": leaf.to_hex(),
            "size": head.size(), "root": head.root().to_hex(),
        }));
    }
    let (size, root) = (grouped(head.size()), head.root().to_hex());
    output.line("proof       ok: a c2sp.org/tlog-proof@v1")?;
    output.line(format_args!("signature   ok: by {} ({})", vkey.name(), vkey.key_id()))?;
    output.line(format_args!("checkpoint  ok: log {}, {size} entries, root {root}", claim.origin()))?;
    output.line(format_args!("inclusion   ok: entry {} has index {index}", leaf.to_hex()))?;
    if let Some(extra) = TlogProof::parse(proof).ok().as_ref().and_then(TlogProof::extra) {
        output.line(format_args!("extra       {} bytes, which nothing vouches for", extra.len()))?;
    }
    output.line(format_args!("The log {} holds this entry, as number {index}.", claim.origin()))
}

fn read_entry(path: &Path) -> Result<Vec<u8>, Failure> {
    let entry = files::read(path, MAX_ENTRY_SIZE)?;
    if entry.len() > MAX_ENTRY_SIZE {
        let path = path.display();
        return Err(Failure::bad(format!(
            "entry: {path} has more than the {MAX_ENTRY_SIZE} bytes that an entry may have"
        )));
    }
    Ok(entry)
}
