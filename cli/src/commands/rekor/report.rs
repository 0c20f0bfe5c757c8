//! What `kiln rekor verify` says: which steps hold, and what was left out.

use kiln_rekor::{Bundle, Certificate, Entry, KeyMaterial, Signature, VerificationMaterial};
use serde_json::json;

use super::decoded;
use super::facts::harmless;
use super::verify::Checked;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::grouped;

/// What was verified: steps with what holds in each.
#[derive(Default)]
pub(super) struct Report {
    steps: Vec<(&'static str, String)>,
    unchecked: Vec<String>,
}

impl Report {
    pub(super) fn holds(&mut self, step: &'static str, words: impl Into<String>) {
        self.steps.push((step, words.into()));
    }

    pub(super) fn leaves(&mut self, words: impl Into<String>) {
        self.unchecked.push(words.into());
    }

    pub(super) fn log_entry(&mut self, checked: &Checked) {
        let Checked { log, head, index, entry } = checked;
        let (size, root) = (grouped(head.size()), head.root().to_hex());
        self.holds("log", format!("{}, log ID {}", log.origin(), log.id()));
        self.holds("checkpoint", format!("signed by {}: {size} entries, root {root}", log.origin()));
        self.holds("inclusion", format!("entry {} has index {index}", entry.leaf_hash().to_hex()));
    }

    pub(super) fn signature(&mut self, entry: &Entry) {
        let Some(Signature { verifier, .. }) = entry.signatures().first() else { return };
        let of = match verifier.material() {
            KeyMaterial::PublicKey(der) => format!("the key with SHA-256 {}", decoded::sha256(der)),
            KeyMaterial::X509Certificate(der) => {
                format!("the key of the certificate with SHA-256 {}", decoded::sha256(der))
            }
        };
        self.holds("signature", format!("{}, by {of}", verifier.details()));
    }

    pub(super) fn left_out_of_bundle(&mut self, bundle: &Bundle, known: usize) {
        let others = bundle.log_entries().len() - known;
        if others > 0 {
            self.leaves(format!("{} in logs that are not given here", entries(others)));
        }
        match bundle.material() {
            VerificationMaterial::PublicKey { .. } => self.left_out(&KeyMaterial::PublicKey(Vec::new())),
            VerificationMaterial::Certificate(der) => {
                self.left_out(&KeyMaterial::X509Certificate(der.clone()));
            }
        }
        match bundle.timestamps().len() {
            0 => self
                .leaves("when it was signed: the bundle has no timestamp, and a log of this kind gives none"),
            number => self.leaves(format!("when it was signed: {number} timestamp(s) in the bundle")),
        }
    }

    pub(super) fn left_out(&mut self, material: &KeyMaterial) {
        match material {
            KeyMaterial::PublicKey(_) => self.leaves("whose the key is"),
            KeyMaterial::X509Certificate(_) => {
                self.leaves(
                    "the certificate: its chain to an authority, its validity, its own transparency log",
                );
                self.leaves("whether you want to believe this identity");
            }
        }
    }

    pub(super) fn tell(self, last: &Checked, what: &str, output: Output) -> Result<(), Failure> {
        let (origin, index) = (last.log.origin(), last.index);
        let signer = last.entry.signatures().first().map(|signature| signature.verifier.material());
        if output.is_json() {
            let hash = last.entry.leaf_hash().to_hex();
            return output.line(json!({
                "verified": true, "origin": origin.as_str(), "index": index, "hash": hash,
                "size": last.head.size(), "root": last.head.root().to_hex(),
                "steps": self.steps.iter().map(|(step, _)| step).collect::<Vec<_>>(),
                "signer": signer.map(|signer| decoded::material(signer).to_value()),
                "not_checked": self.unchecked,
            }));
        }
        for (step, words) in &self.steps {
            output.line(format_args!("{step:11} ok: {words}"))?;
        }
        if let Some(KeyMaterial::X509Certificate(der)) = signer {
            output.line(format_args!("identity    {}", identity(der)))?;
        }
        for words in &self.unchecked {
            output.line(format_args!("not checked {words}"))?;
        }
        output.line(format_args!("The log {origin} holds {what}, as number {index}."))
    }
}

/// Whom the certificate speaks of. Nothing here vouches for it.
fn identity(der: &[u8]) -> String {
    let claims = Certificate::from_der(der).ok().and_then(|certificate| certificate.identity().ok());
    let Some(claims) = claims else {
        return "the certificate does not say it in a form known here".to_owned();
    };
    let names: Vec<String> = claims.names.iter().map(ToString::to_string).collect();
    let names = if names.is_empty() { claims.subject.clone() } else { names.join(", ") };
    let by = claims.oidc_issuer().map_or_else(String::new, |issuer| format!(", by {issuer}"));
    harmless(&format!("the certificate says {names}{by}"))
}

pub(super) fn entries(number: usize) -> String {
    if number == 1 { "1 log entry".to_owned() } else { format!("{number} log entries") }
}
