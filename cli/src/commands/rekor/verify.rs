//! `kiln rekor verify`: the log part of a Sigstore bundle, or an entry of a Rekor log, offline.

use std::path::{Path, PathBuf};

use kiln_rekor::{
    Bundle, BundleContent, Digest, Dsse, Entry, EntryKind, Envelope, Expected, ExpectedEntryError,
    HashAlgorithm, HashedRekord, KeyMaterial, RekorLog, Spec, TransparencyLogEntry, VerificationMaterial,
    Verifier, VerifyLogEntryError,
};
use kiln_tiles::TreeHead;
use serde_json::Value;

use super::decoded::{self, IN_TOTO};
use super::facts::harmless;
use super::report::{Report, entries};
use super::signed::{self, ArtifactArgs, SignerArgs};
use super::trust::{RekorTrustArgs, Trust};
use crate::failure::Failure;
use crate::files;
use crate::output::Output;

/// Verify offline that a Rekor log has the signature of a bundle: the log part of what Sigstore's clients verify.
///
/// Exit 0 only if all of it holds; it says what does, and what it does not look at: the certificate's chain,
/// timestamps, and whether you want to believe this signer. With --entry it verifies what a log answers to an
/// upload instead.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true),
    after_help = "\
Examples:
  kiln rekor verify release.sigstore.json --artifact release.tar.gz --trusted-root trusted_root.json
  kiln rekor verify release.sigstore.json --artifact release.tar.gz --key cosign.pub --vkey V
  kiln rekor verify --entry release.entry.json --artifact release.tar.gz --key p256.pub --vkey V"
)]
pub(crate) struct Verify {
    /// The bundle, .sigstore.json; `-` for standard input.
    #[arg(group = "what")]
    bundle: Option<PathBuf>,
    /// An entry with its proof instead: a TransparencyLogEntry in JSON, as `kiln rekor upload -o` writes it.
    #[arg(long, value_name = "FILE", group = "what")]
    entry: Option<PathBuf>,
    #[command(flatten)]
    artifact: ArtifactArgs,
    /// The signature that the --entry must have, its bytes or their base64. Without it, it is the one in the
    /// entry.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    trust: RekorTrustArgs,
}

/// Longer than any bundle that clients read.
const MAX_FILE: usize = 64 << 20;

/// An entry that a log has.
pub(super) struct Checked {
    pub(super) log: RekorLog,
    pub(super) head: TreeHead,
    pub(super) index: u64,
    pub(super) entry: Entry,
}

impl Verify {
    pub(crate) fn run(self, output: Output) -> Result<(), Failure> {
        let trust = self.trust.open()?;
        match (&self.bundle, &self.entry) {
            (Some(path), _) => self.bundle(path, &trust, output).map_err(|failure| at(failure, path)),
            (None, Some(path)) => self.entry(path, &trust, output).map_err(|failure| at(failure, path)),
            (None, None) => Err(Failure::usage("give a bundle, or --entry")),
        }
    }

    // --- a bundle ---

    fn bundle(&self, path: &Path, trust: &Trust, output: Output) -> Result<(), Failure> {
        let bundle = Bundle::parse(&files::read(path, MAX_FILE)?);
        let bundle = bundle.map_err(|error| Failure::bad(format!("bundle: {error}")))?;
        let key = self.key_of_bundle(&bundle)?;
        let key = key.as_ref().map(KeyMaterial::as_der);
        let mut report = Report::default();
        let artifact = self.artifact_of_bundle(&bundle, key)?;
        let expected = Expected { public_key: key, artifact: artifact.as_ref() };
        let checked = in_known_logs(&bundle, trust, expected)?;
        let known = checked.len();
        report.holds("bundle", format!("{}, with {}", what(&bundle), entries(bundle.log_entries().len())));
        for one in &checked {
            report.log_entry(one);
            report.holds("entry", "made anew of key, signature and digest, it is the one in the log");
            verify_signature(&one.entry, &bundle)?;
            report.signature(&one.entry);
        }
        if let BundleContent::DsseEnvelope(envelope) = bundle.content() {
            self.subject(envelope, &mut report)?;
        }
        report.left_out_of_bundle(&bundle, known);
        let last = checked.last().ok_or_else(|| Failure::bad("log: no entry"))?;
        report.tell(last, &format!("the signature of {}", path.display()), output)
    }

    /// The key that was given, which the bundle must ask for.
    fn key_of_bundle(&self, bundle: &Bundle) -> Result<Option<KeyMaterial>, Failure> {
        let given = self.signer.material()?;
        match (given, bundle.material()) {
            (Some(KeyMaterial::X509Certificate(given)), VerificationMaterial::Certificate(certificate)) => {
                let same = given == *certificate;
                if same { Ok(None) } else { Err(Failure::bad("certificate: the bundle has another one")) }
            }
            (Some(KeyMaterial::X509Certificate(_)), VerificationMaterial::PublicKey { .. }) => {
                Err(Failure::usage("the bundle has no certificate, it names a key: give it with --key"))
            }
            (given, _) => Ok(given),
        }
    }

    /// The digest of the artifact, where the bundle signs one.
    fn artifact_of_bundle(&self, bundle: &Bundle, key: Option<&[u8]>) -> Result<Option<Digest>, Failure> {
        if matches!(bundle.content(), BundleContent::DsseEnvelope(_)) {
            return Ok(None);
        }
        let expected = Expected { public_key: key, artifact: None };
        let algorithm = bundle.digest_algorithm(expected).map_err(|error| unexpected(&error))?;
        let digest = self.artifact.digest(algorithm)?;
        digest
            .map(Some)
            .ok_or_else(|| Failure::usage("the bundle signs an artifact: give it with --artifact"))
    }

    /// Whether the attestation is about the artifact, if one was given.
    fn subject(&self, envelope: &Envelope, report: &mut Report) -> Result<(), Failure> {
        let Some(digest) = self.artifact.digest(HashAlgorithm::Sha2_256)? else {
            report.leaves("whether the attestation is about an artifact of yours: give --artifact");
            return Ok(());
        };
        if envelope.payload_type != IN_TOTO {
            let kind = harmless(&envelope.payload_type);
            let words = format!("the envelope holds {kind}, which names no artifact: leave --artifact out");
            return Err(Failure::usage(words));
        }
        let digest = decoded::hex(digest.as_bytes());
        let subject = decoded::subjects(envelope).find(|subject| subject.sha256() == Some(&digest));
        let subject = subject.ok_or_else(|| {
            Failure::bad(format!("subject: the attestation names no artifact with the SHA-256 {digest}"))
        })?;
        report.holds("subject", format!("the attestation names {}", harmless(&subject.to_string())));
        Ok(())
    }

    // --- an entry ---

    fn entry(&self, path: &Path, trust: &Trust, output: Output) -> Result<(), Failure> {
        let material = self.signer.material()?;
        let material =
            material.ok_or_else(|| Failure::usage("give the --key or --certificate of the signer"))?;
        if !self.artifact.is_given() {
            return Err(Failure::usage("give the --artifact that was signed, or its --digest"));
        }
        let entry = TransparencyLogEntry::parse(&files::read(path, MAX_FILE)?);
        let entry = entry.map_err(|error| Failure::bad(format!("entry: {error}")))?;
        let checked = log_entry(&entry, trust)?;
        let Spec::HashedRekord(logged) = checked.entry.spec() else {
            return Err(Failure::usage(
                "the entry is of kind dsse, of which an artifact is no part: verify its bundle",
            ));
        };
        self.compare(logged, &material)?;
        let mut report = Report::default();
        report.log_entry(&checked);
        report.holds("entry", "it has this key and the digest of this artifact");
        report.signature(&checked.entry);
        report.left_out(&material);
        report.tell(&checked, &format!("this signature over {}", self.artifact.words()), output)
    }

    /// Artifact, key and signature are those of the entry, and the signature holds.
    fn compare(&self, logged: &HashedRekord, material: &KeyMaterial) -> Result<(), Failure> {
        let (details, algorithm) = signed::details_of(material)?;
        let other = |what: &str| Failure::bad(format!("entry: it has another {what}"));
        if logged.signature.verifier != Verifier::new(details, material.clone()) {
            return Err(other("key or certificate, or other key details"));
        }
        if self.artifact.digest(algorithm)?.is_some_and(|digest| digest != logged.data) {
            return Err(other("artifact"));
        }
        let given = self.signature.as_deref().map(signed::read_signature).transpose()?;
        if given.is_some_and(|given| !given.contains(&logged.signature.content)) {
            return Err(other("signature"));
        }
        logged.verify().map_err(|error| Failure::bad(format!("signature: {error}")))
    }
}

/// That a log which is believed has the entry, where it says.
pub(super) fn log_entry(entry: &TransparencyLogEntry, trust: &Trust) -> Result<Checked, Failure> {
    if let Some(kind) = other_kind(entry) {
        return Err(Failure::undone(format!(
            "the entry is of kind {kind}: what is verified here are entries of Rekor v2, hashedrekord and dsse 0.0.2"
        )));
    }
    let log = trust.log(entry.log_id())?;
    let log = log.ok_or_else(|| Failure::bad(format!("log: {}", trust.stranger(entry.log_id()))))?;
    let verified = entry.verify(&log).map_err(|error| unverified(&error))?;
    let proof = entry.inclusion_proof().ok_or_else(|| unverified(&VerifyLogEntryError::NoProof))?;
    Ok(Checked { log, head: proof.head, index: entry.log_index(), entry: verified })
}

/// The kind of an entry that is none of Rekor v2, in words.
fn other_kind(entry: &TransparencyLogEntry) -> Option<String> {
    let body: Value = serde_json::from_slice(entry.canonicalized_body()).unwrap_or_default();
    let (kind, version) = (body["kind"].as_str()?, body["apiVersion"].as_str()?);
    let known = version == EntryKind::VERSION && ["hashedrekord", "dsse"].contains(&kind);
    (!known).then(|| harmless(&format!("{kind} {version}")))
}

/// All entries of a bundle in logs that are believed, each of them the one that the bundle must have.
fn in_known_logs(bundle: &Bundle, trust: &Trust, expected: Expected<'_>) -> Result<Vec<Checked>, Failure> {
    let mut checked = Vec::new();
    for entry in bundle.log_entries() {
        if trust.log(entry.log_id())?.is_none() {
            continue;
        }
        let one = log_entry(entry, trust)?;
        let own = bundle.expected_entry(one.entry.kind(), expected).map_err(|error| unexpected(&error))?;
        if own != one.entry {
            return Err(Failure::bad(
                "entry: what the log has is not the entry of this bundle, key and artifact",
            ));
        }
        checked.push(one);
    }
    let strangers: Vec<String> =
        bundle.log_entries().iter().map(|entry| trust.stranger(entry.log_id())).collect();
    match (checked.is_empty(), &strangers[..]) {
        (false, _) => Ok(checked),
        (true, []) => Err(Failure::bad("log: the bundle has no log entry")),
        (true, [stranger, ..]) => Err(Failure::bad(format!("log: {stranger}"))),
    }
}

/// The signature of an entry, over the digest in it or the envelope of the bundle.
fn verify_signature(entry: &Entry, bundle: &Bundle) -> Result<(), Failure> {
    let verified = match (entry.spec(), bundle.content()) {
        (Spec::HashedRekord(entry), _) => HashedRekord::verify(entry),
        (Spec::Dsse(entry), BundleContent::DsseEnvelope(envelope)) => Dsse::verify(entry, envelope),
        (Spec::Dsse(_), _) => return Err(unexpected(&ExpectedEntryError::NoEnvelope)),
    };
    verified.map_err(|error| Failure::bad(format!("signature: {error}")))
}

fn unverified(error: &VerifyLogEntryError) -> Failure {
    use VerifyLogEntryError as E;
    let step = match error {
        E::OtherLog(_) => "log",
        E::NoCheckpoint | E::Checkpoint(_) => "checkpoint",
        E::NoProof | E::Head | E::Index | E::Inclusion(_) => "inclusion",
        _ => "entry",
    };
    // Some name the step themselves.
    let words = error.to_string();
    let words = words.strip_prefix(step).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&words);
    Failure::bad(format!("{step}: {words}"))
}

fn unexpected(error: &ExpectedEntryError) -> Failure {
    use ExpectedEntryError as E;
    match error {
        E::NoKey => Failure::usage("the bundle names a key, and does not have it: give it with --key"),
        E::UnusedKey => Failure::usage("the bundle has a certificate, which says the key: leave --key out"),
        E::NoArtifact | E::DigestAlgorithm(_) => Failure::usage(error.to_string()),
        E::Key(_) | E::KeyKind(_) => Failure::bad(format!("key: {error}")),
        error => Failure::bad(format!("entry: {error}")),
    }
}

fn at(failure: Failure, path: &Path) -> Failure {
    if failure.exit() == crate::failure::Exit::Bad {
        failure.at(&path.display().to_string())
    } else {
        failure
    }
}

fn what(bundle: &Bundle) -> &'static str {
    match bundle.content() {
        BundleContent::MessageSignature { .. } => "a signature over an artifact",
        BundleContent::DsseEnvelope(_) => "a DSSE envelope",
    }
}
