//! `kiln verify`: a proof, offline.

use std::path::{Path, PathBuf};

use kiln_client::{Claim, VerifyError};
use kiln_tiles::{Hash, MAX_ENTRY_SIZE, OpenCheckpointError, TlogProof, TrustedLog, VerifyTlogProofError};
use serde_json::{Value, json};

use crate::cosigned::{Cosigned, shown_time};
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::quantity::grouped;
use crate::trust::TrustArgs;

/// Verify a proof offline: no network, no server, only the proof, the entry, and the log's key or a policy.
///
/// Exit 0 only if everything holds; it says what does, and names the step that fails. By a policy it says who
/// cosigned and when, and otherwise who is missing.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true),
    after_help = "\
Examples:
  kiln verify release.tar.gz.tlog-proof --entry release.tar.gz --vkey V
  kiln verify release.tar.gz.tlog-proof --entry release.tar.gz --policy release.policy"
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
    #[command(flatten)]
    trust: TrustArgs,
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
        let trust = self.trust.given()?.ok_or_else(|| {
            Failure::usage(
                "no key or policy to verify this proof by: give --vkey or --policy, or set KILN_VKEY or KILN_POLICY",
            )
        })?;
        let proof = files::read(&self.proof, TlogProof::MAX_SIZE)?;
        let entry = self.entry.as_deref().map(read_entry).transpose()?;
        let leaf = match (self.hash, &entry) {
            (Some(hash), _) => hash,
            (None, Some(entry)) => Hash::leaf(entry),
            (None, None) => return Err(Failure::usage("give --entry or --hash")),
        };
        let parsed = TlogProof::parse(&proof).map_err(|error| self.refuse(&error.into()))?;
        let log = trust.log_of(parsed.checkpoint()).map_err(|failure| failure.at(&self.place()))?;
        let error = match kiln_client::verify_leaf(&proof, leaf, &log) {
            Ok(claim) => return Verified { claim: &claim, leaf, log: &log, proof: &parsed }.report(*output),
            Err(error) => self.refuse(&error),
        };
        let line = entry.as_deref().and_then(|entry| entry.strip_suffix(b"\n"));
        let holds = line.is_some_and(|line| kiln_client::verify(&proof, line, &log).is_ok());
        Err(if holds { error.with_advice(WITHOUT_NEWLINE) } else { error })
    }

    fn place(&self) -> String {
        self.proof.display().to_string()
    }

    fn refuse(&self, error: &VerifyError) -> Failure {
        let proof = self.place();
        match error {
            VerifyError::Parse(error) => Failure::bad(format!("{proof}: proof: {error}")),
            VerifyError::OtherKeys(keys) => Failure::bad(format!("{proof}: signature: {keys}")),
            VerifyError::Proof(VerifyTlogProofError::Checkpoint(OpenCheckpointError::Signature(error))) => {
                Failure::bad(format!("{proof}: signature: {error}"))
            }
            VerifyError::Proof(VerifyTlogProofError::Checkpoint(OpenCheckpointError::Quorum(error))) => {
                Failure::bad(format!("{proof}: quorum: {error}"))
            }
            VerifyError::Proof(VerifyTlogProofError::Inclusion(error)) => Failure::bad(format!(
                "{proof}: inclusion: {error}. The checkpoint is the log's, but does not have this entry at this index"
            )),
            error => Failure::bad(format!("{proof}: {error}")),
        }
    }
}

/// A proof that holds.
struct Verified<'a> {
    claim: &'a Claim,
    leaf: Hash,
    log: &'a TrustedLog,
    proof: &'a TlogProof,
}

impl Verified<'_> {
    fn report(&self, output: Output) -> Result<(), Failure> {
        let note = self.claim.checkpoint().note();
        let cosigned = Cosigned::of(self.log.quorum(), note).map_err(Failure::bad)?;
        if output.is_json() {
            return output.line(self.value(&cosigned));
        }
        let (Self { claim, log, .. }, head, leaf) = (self, self.claim.head(), self.leaf.to_hex());
        let (index, size, root) = (claim.index(), grouped(head.size()), head.root().to_hex());
        output.line("proof       ok: a c2sp.org/tlog-proof@v1")?;
        for (key, _) in note.signed_by(log.keys()).map_err(Failure::bad)? {
            output.line(format_args!("signature   ok: by {} ({})", key.name(), key.key_id()))?;
        }
        output.line(format_args!("checkpoint  ok: log {}, {size} entries, root {root}", claim.origin()))?;
        self.report_quorum(&cosigned, output)?;
        output.line(format_args!("inclusion   ok: entry {leaf} has index {index}"))?;
        if let Some(extra) = self.proof.extra() {
            output.line(format_args!("extra       {} bytes, which nothing vouches for", extra.len()))?;
        }
        output.line(format_args!("The log {} holds this entry, as number {index}.", claim.origin()))
    }

    /// Who cosigned, and when. A log that is known by its key has no witnesses to speak of.
    fn report_quorum(&self, cosigned: &Cosigned<'_>, output: Output) -> Result<(), Failure> {
        for (witness, time) in cosigned.witnesses() {
            let Some(time) = time else { continue };
            output.line(format_args!("cosigned    by {} {}", witness.name, shown_time(time)))?;
        }
        if self.log.quorum().is_none() {
            return Ok(());
        }
        output.line(format_args!("quorum      ok: {}", cosigned.quorum_words()))
    }

    fn value(&self, cosigned: &Cosigned<'_>) -> Value {
        let (claim, head) = (self.claim, self.claim.head());
        json!({
            "verified": true, "origin": claim.origin(), "index": claim.index(), "hash": self.leaf.to_hex(),
            "size": head.size(), "root": head.root().to_hex(),
            "witnesses": cosigned.witnesses_value(), "quorum": cosigned.quorum_value(),
        })
    }
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
