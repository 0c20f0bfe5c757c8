//! `kiln rekor upload`: has a Rekor log take a signature, and verifies that it did.

use std::path::PathBuf;

use kiln_client::{ApiClient, Client, HttpAnswer, HttpSource, verify_leaf};
use kiln_rekor::{CreateEntryRequest, Entry, InclusionProof, Spec, TransparencyLogEntry};
use kiln_tiles::{Hash, TrustedLog};
use serde_json::{Value, json};

use super::facts::harmless;
use super::signed::{self, ArtifactArgs, SignerArgs};
use super::trust::{RekorTrustArgs, Trust, vkey_of};
use super::verify;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::reading::{host_of, http_options};
use crate::submitting::{patiently, submission_options};
use crate::token::TokenArgs;

/// Have a Rekor log take a signature: a hashedrekord entry of artifact, signature and key.
///
/// Nothing is sent whose signature does not hold. What the log answers is verified before anything is said of
/// it: the checkpoint's signature, the inclusion proof, and that the entry is the one that was sent. Then it prints
/// index and entry hash, and says so if the log had the entry already. A run can be repeated.
#[derive(Debug, clap::Args)]
#[command(
    mut_group("ArtifactArgs", |group| group.required(true)),
    mut_group("SignerArgs", |group| group.required(true)),
    after_help = "\
Examples:
  openssl dgst -sha256 -sign p256.pem -out release.sig release.tar.gz
  openssl pkey -in p256.pem -pubout -out p256.pub
  kiln rekor upload https://rekor.example.com --artifact release.tar.gz --signature release.sig \\
    --public-key p256.pub --trusted-root trusted_root.json -o release.entry.json"
)]
pub(crate) struct Upload {
    /// The log, an http(s):// URL.
    #[arg(value_name = "LOG_URL")]
    log: String,
    #[command(flatten)]
    artifact: ArtifactArgs,
    /// The signature over the digest of the artifact: its bytes, or their base64; `-` for standard input.
    /// ECDSA in DER, RSA by PKCS#1 v1.5, or Ed25519ph.
    #[arg(long, value_name = "FILE")]
    signature: PathBuf,
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    trust: RekorTrustArgs,
    /// Write the entry with its proof to this file, a TransparencyLogEntry in JSON.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    token: TokenArgs,
}

/// Where entries are submitted, below the log's URL.
const ENTRIES: &str = "api/v2/log/entries";

/// What Sigstore's clients read at most.
const MAX_ANSWER: usize = 10 << 20;

/// What the log has, and whether it had it before.
struct Logged {
    entry: TransparencyLogEntry,
    known: bool,
}

impl Upload {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let trust = self.trust.open()?;
        let material = self.signer.material()?.ok_or_else(|| Failure::usage("give a key or certificate"))?;
        let signatures = signed::read_signature(&self.signature)?;
        let asked = signed::hashedrekord(&self.artifact, &material, &signatures)?;
        let request = CreateEntryRequest::hashedrekord_json(asked.data.as_bytes(), &asked.signature);
        let entry = Entry::new(Spec::HashedRekord(asked)).map_err(Failure::usage)?;
        let client = self.client()?;
        let answer = patiently(client.post_json(ENTRIES, request, MAX_ANSWER), output).await?;
        let logged = match answer.status() {
            200 | 201 => read(&answer)?,
            409 => self.existing(&answer, &entry, &trust).await?,
            _ => return Err(refused(&answer)),
        };
        let checked = verify::log_entry(&logged.entry, &trust).map_err(answered)?;
        if checked.entry != entry {
            return Err(answered(Failure::bad("entry: it is another one than was sent")));
        }
        self.report(&logged, &checked, output)
    }

    fn client(&self) -> Result<ApiClient, Failure> {
        let client = ApiClient::new(&self.log, submission_options())?;
        match self.token.given()? {
            Some(token) => Ok(client.with_token(&token)?),
            None => Ok(client),
        }
    }

    /// The entry that the log has already, of one that answers duplicates with no more than their index: read, and
    /// proved, from the log's tiles.
    async fn existing(&self, answer: &HttpAnswer, entry: &Entry, trust: &Trust) -> Result<Logged, Failure> {
        let index = answer.header("x-log-index").parse().map_err(|_| refused(answer))?;
        let unread = |why: String| {
            Failure::undone(format!(
                "the log says that it has this entry already, with index {index}. That could not be verified: {why}"
            ))
        };
        let log = trust.log_at(&host_of(&self.log).unwrap_or_default());
        let (log, vkey) = log
            .and_then(|log| vkey_of(&log).map(|vkey| (log, vkey)))
            .ok_or_else(|| unread("give the log's --vkey".to_owned()))?;
        let known = TrustedLog::from(vkey);
        let reader = Client::new(HttpSource::with_options(&self.log, http_options())?, known.clone());
        let proof = reader.prove(index).await.map_err(|error| match error.is_bad_log() {
            true => error.into(),
            false => unread(error.to_string()),
        })?;
        let claim = verify_leaf(proof.to_string().as_bytes(), entry.leaf_hash(), &known).map_err(|_| {
            Failure::bad(format!("the log answered that it has this entry as {index}, but has another there"))
        })?;
        let (hashes, checkpoint) = (proof.inclusion().clone(), Some(proof.checkpoint().to_string()));
        let proof = InclusionProof { log_index: index, head: claim.head(), hashes, checkpoint };
        let body = entry.body().to_vec();
        let entry = TransparencyLogEntry::from_parts(entry.kind(), body, log.id(), proof);
        Ok(Logged { entry, known: true })
    }

    fn report(&self, logged: &Logged, checked: &verify::Checked, output: Output) -> Result<(), Failure> {
        let (index, hash) =
            (logged.entry.log_index(), Hash::leaf(logged.entry.canonicalized_body()).to_hex());
        let json = logged.entry.to_json();
        if let Some(path) = &self.output {
            files::replace(path, format!("{json}\n").as_bytes())?;
        }
        output.result(format_args!("{index}  {hash}"), || {
            let mut value = json!({
                "index": index, "hash": hash, "known": logged.known, "origin": checked.log.origin().as_str(),
                "size": checked.head.size(), "root": checked.head.root().to_hex(),
            });
            match &self.output {
                Some(path) => value["file"] = json!(path.display().to_string()),
                None => value["entry"] = serde_json::from_str(&json).unwrap_or_default(),
            }
            value
        })?;
        let origin = checked.log.origin();
        if logged.known {
            output.note(format_args!("{origin} had this entry already, as number {index}"));
        } else {
            output.note(format_args!("{origin} has taken the entry, as number {index}"));
        }
        Ok(())
    }
}

fn read(answer: &HttpAnswer) -> Result<Logged, Failure> {
    let entry = TransparencyLogEntry::parse(answer.body())
        .map_err(|error| Failure::bad(format!("the log's answer: {error}")))?;
    Ok(Logged { entry, known: !answer.header("x-log-index").is_empty() })
}

fn answered(failure: Failure) -> Failure {
    failure.at("the log's answer")
}

/// What the log says about it, and why, where it does.
fn refused(answer: &HttpAnswer) -> Failure {
    const NO_LOG: &str = "Is this the URL of a Rekor log of version 2? Entries go to URL/api/v2/log/entries.";
    let error: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let failure = match error["message"].as_str() {
        None => answer.refusal().into(),
        Some(message) => {
            let details = error["details"].as_array().into_iter().flatten().map(detail);
            let words: Vec<String> = [message.to_owned()].into_iter().chain(details).collect();
            let words = format!("the log answered {}: {}", answer.status(), harmless(&words.join(": ")));
            let failure = Failure::undone(words);
            if answer.status() == 503 { failure.with_advice(AGAIN) } else { failure }
        }
    };
    if matches!(answer.status(), 404 | 501) { failure.with_advice(NO_LOG) } else { failure }
}

const AGAIN: &str = "Run the same again later: what is in the log already is not added twice.";

/// A detail of an error, for people: they have a message, a detail or a reason, or else are shown whole.
fn detail(detail: &Value) -> String {
    let text = ["message", "detail", "reason"].into_iter().find_map(|field| detail[field].as_str());
    text.map_or_else(|| detail.to_string(), str::to_owned)
}
