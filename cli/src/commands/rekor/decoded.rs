//! Rekor's formats, decoded for people and programs. Nothing here verifies anything.

use base64ct::{Base64, Encoding};
use kiln_rekor::{
    Bundle, BundleContent, Certificate, CertificateAuthority, Digest, Entry, Envelope, HashAlgorithm,
    Identity, InclusionProof, KeyMaterial, PublicKey, RekorLog, Signature, Spec, TimeRange,
    TransparencyLogEntry, TransparencyLogInstance, TrustedRoot, VerificationMaterial, Verifier,
};
use kiln_tiles::{Checkpoint, Note};
use serde_json::Value;

use super::facts::Facts;
use super::trust::vkey_of;

/// The body of an entry; one of an unknown kind as it stands there.
pub(super) fn body(body: &[u8]) -> Facts {
    match Entry::parse(body) {
        Ok(decoded) => entry(&decoded),
        Err(error) => unknown(body, &error.to_string()),
    }
}

/// What is not understood is shown as it is, with whatever it says of its kind.
pub(super) fn unknown(body: &[u8], why: &str) -> Facts {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = std::str::from_utf8(body).map_or_else(|_| Base64::encode_string(body), str::to_owned);
    Facts::default()
        .maybe("kind", value["kind"].as_str())
        .maybe("version", value["apiVersion"].as_str())
        .with("not_decoded", why)
        .with("body", text)
}

pub(super) fn entry(entry: &Entry) -> Facts {
    let facts =
        Facts::default().with("kind", entry.kind().name()).with("version", kiln_rekor::EntryKind::VERSION);
    match entry.spec() {
        Spec::HashedRekord(spec) => facts.and(digest("digest", &spec.data)).and(signature(&spec.signature)),
        Spec::Dsse(spec) => facts
            .and(digest("payload_digest", spec.payload_hash()))
            .with("signatures", spec.signatures().iter().map(signature).collect::<Vec<_>>()),
    }
}

fn digest(name: &str, digest: &Digest) -> Facts {
    Facts::default().with("algorithm", digest.algorithm().name()).with(name, hex(digest.as_bytes()))
}

fn signature(signature: &Signature) -> Facts {
    Facts::default()
        .and(verifier(&signature.verifier))
        .with("signature", Base64::encode_string(&signature.content))
}

/// Who is said to have signed.
fn verifier(verifier: &Verifier) -> Facts {
    let facts = Facts::default()
        .with("key_details", verifier.details().name())
        .maybe("fault", verifier.matching_key().err().map(|error| error.to_string()));
    facts.and(material(verifier.material()))
}

/// A key with its fingerprint, or a certificate with whom it speaks of.
pub(super) fn material(material: &KeyMaterial) -> Facts {
    match material {
        KeyMaterial::PublicKey(der) => public_key(der),
        KeyMaterial::X509Certificate(der) => Facts::default().with("certificate", certificate(der)),
    }
}

fn public_key(der: &[u8]) -> Facts {
    let kind = PublicKey::from_spki_der(der).map(|key| key.kind().to_string());
    Facts::default()
        .with("key", kind.unwrap_or_else(|error| format!("not decoded: {error}")))
        .with("key_sha256", sha256(der))
}

pub(super) fn certificate(der: &[u8]) -> Facts {
    let facts = Facts::default();
    let fingerprint = sha256(der);
    let certificate = match Certificate::from_der(der) {
        Ok(certificate) => certificate,
        Err(error) => return facts.with("not_decoded", error.to_string()).with("sha256", fingerprint),
    };
    let facts = match certificate.identity() {
        Ok(claims) => facts.and(identity(&claims)),
        Err(error) => facts.with("not_decoded", error.to_string()),
    };
    facts.with("key", certificate.public_key().kind().to_string()).with("sha256", fingerprint)
}

/// Whom a certificate speaks of.
fn identity(identity: &Identity) -> Facts {
    let names: Vec<String> = identity.names.iter().map(ToString::to_string).collect();
    let extensions = identity.extensions.iter().fold(Facts::default(), |facts, extension| {
        let oid = || format!("1.3.6.1.4.1.57264.1.{}", extension.number);
        facts.with(extension.name().map_or_else(oid, str::to_owned), extension.value.as_str())
    });
    Facts::default()
        .maybe("identity", (!names.is_empty()).then_some(names))
        .maybe("oidc_issuer", identity.oidc_issuer())
        .maybe("subject", Some(identity.subject.as_str()).filter(|subject| !subject.is_empty()))
        .with("issuer", identity.issuer.as_str())
        .with("serial", identity.serial.as_str())
        .with("not_before", identity.not_before.to_string())
        .with("not_after", identity.not_after.to_string())
        .maybe("fulcio", (extensions != Facts::default()).then_some(extensions))
}

/// An entry with its proof.
pub(super) fn log_entry(entry: &TransparencyLogEntry) -> Facts {
    let promise = entry.has_inclusion_promise().then_some("there is one, of a Rekor v1");
    let time = u64::try_from(entry.integrated_time()).ok().filter(|&time| time != 0);
    let facts = Facts::default()
        .with("index", entry.log_index())
        .with("log_id", entry.log_id().to_string())
        .maybe("integrated_time", time)
        .maybe("inclusion_promise", promise)
        .maybe("proof", entry.inclusion_proof().map(proof));
    let (kind, version) = entry.kind_version();
    let body = body(entry.canonicalized_body());
    facts.with("kind_version", format!("{kind} {version}")).with("entry", body)
}

fn proof(proof: &InclusionProof) -> Facts {
    Facts::default()
        .with("index", proof.log_index)
        .with("size", proof.head.size())
        .with("root", proof.head.root().to_hex())
        .with("hashes", proof.hashes.hashes().len() as u64)
        .maybe("checkpoint", proof.checkpoint.as_ref().map(|note| checkpoint(note)))
}

fn checkpoint(text: &str) -> Facts {
    let Ok(note) = Note::parse(text.as_bytes()) else {
        return Facts::default().with("not_decoded", "not a signed note").with("text", text);
    };
    let signatures = note.signatures().iter().map(|line| format!("{} ({})", line.name(), line.key_id()));
    let checkpoint: Option<Checkpoint> = note.unverified_text().parse().ok();
    Facts::default()
        .maybe("origin", checkpoint.as_ref().map(Checkpoint::origin))
        .maybe("size", checkpoint.as_ref().map(|checkpoint| checkpoint.head().size()))
        .with("signatures", signatures.collect::<Vec<_>>())
}

pub(super) fn bundle(bundle: &Bundle) -> Facts {
    let facts = match bundle.content() {
        BundleContent::MessageSignature { digest: of, .. } => {
            let of = of.as_ref().map(|of| digest("digest", of)).unwrap_or_default();
            Facts::default().with("content", "a signature over an artifact").and(of)
        }
        BundleContent::DsseEnvelope(envelope) => self::envelope(envelope),
    };
    let facts = facts.with("signature", Base64::encode_string(bundle.signature()));
    let facts = match bundle.material() {
        VerificationMaterial::PublicKey { hint } => facts.with("key_hint", hint.as_str()),
        VerificationMaterial::Certificate(der) => facts.with("certificate", certificate(der)),
    };
    facts
        .with("timestamps", bundle.timestamps().len() as u64)
        .with("log_entries", bundle.log_entries().iter().map(log_entry).collect::<Vec<_>>())
}

fn envelope(envelope: &Envelope) -> Facts {
    let subjects: Vec<String> = subjects(envelope).map(|subject| subject.to_string()).collect();
    let statement: Value = serde_json::from_slice(&envelope.payload).unwrap_or_default();
    Facts::default()
        .with("content", "a DSSE envelope")
        .with("payload_type", envelope.payload_type.as_str())
        .with("payload_bytes", envelope.payload.len() as u64)
        .maybe("predicate_type", statement["predicateType"].as_str())
        .maybe("subjects", (!subjects.is_empty()).then_some(subjects))
}

/// The payload type of in-toto's statements.
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What an [in-toto statement](https://in-toto.io/Statement/v1) is about.
pub(super) struct Subject {
    name: String,
    digests: Value,
}

/// The subjects of a statement; none where the envelope holds no statement.
pub(super) fn subjects(envelope: &Envelope) -> impl Iterator<Item = Subject> {
    let is_statement = envelope.payload_type == IN_TOTO;
    let payload: &[u8] = if is_statement { &envelope.payload } else { b"" };
    let statement: Value = serde_json::from_slice(payload).unwrap_or_default();
    let subjects = statement["subject"].as_array().cloned().unwrap_or_default();
    subjects.into_iter().map(|mut subject| Subject {
        name: subject["name"].as_str().unwrap_or_default().to_owned(),
        digests: subject["digest"].take(),
    })
}

impl Subject {
    /// Its SHA-256, in hex.
    pub(super) fn sha256(&self) -> Option<&str> {
        self.digests["sha256"].as_str()
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        match self.sha256() {
            Some(digest) => write!(f, "{name} sha256:{digest}"),
            None => write!(f, "{name} {}", self.digests),
        }
    }
}

pub(super) fn trusted_root(root: &TrustedRoot) -> Facts {
    let logs: Vec<Facts> = root.tlogs.iter().map(rekor_log).collect();
    let authorities = |list: &[CertificateAuthority]| list.iter().map(authority).collect::<Vec<_>>();
    Facts::default()
        .with("rekor_logs", logs)
        .with("certificate_authorities", authorities(&root.certificate_authorities))
        .with("certificate_logs", root.ctlogs.iter().map(log).collect::<Vec<_>>())
        .with("timestamp_authorities", authorities(&root.timestamp_authorities))
}

/// A log of entries, with the key that `kiln` verifies it by.
fn rekor_log(instance: &TransparencyLogInstance) -> Facts {
    let facts = log(instance);
    match instance.to_rekor_log() {
        Ok(log) => facts.and(vkey(&log)),
        Err(error) => facts.with("not_verified_here", error.to_string()),
    }
}

fn vkey(log: &RekorLog) -> Facts {
    Facts::default()
        .with("origin", log.origin().as_str())
        .maybe("vkey", vkey_of(log).map(|vkey| vkey.to_string()))
}

fn log(log: &TransparencyLogInstance) -> Facts {
    Facts::default()
        .with("url", log.base_url.as_str())
        .maybe("log_id", log.log_id().map(|id| id.to_string()))
        .and(public_key(log.public_key.as_der()))
        .and(log.public_key.valid_for.as_ref().map(times).unwrap_or_default())
}

fn authority(authority: &CertificateAuthority) -> Facts {
    let subject = [&authority.subject.organization, &authority.subject.common_name];
    let subject: Vec<&str> =
        subject.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    Facts::default()
        .with("url", authority.uri.as_str())
        .with("name", subject.join(", "))
        .and(times(&authority.valid_for))
        .with("certificates", authority.chain().map(certificate).collect::<Vec<_>>())
}

fn times(range: &TimeRange) -> Facts {
    Facts::default()
        .with("from", range.start.to_string())
        .maybe("until", range.end.map(|end| end.to_string()))
}

/// The fingerprint of a key or certificate.
pub(super) fn sha256(der: &[u8]) -> String {
    hex(Digest::of(HashAlgorithm::Sha2_256, der).as_bytes())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
