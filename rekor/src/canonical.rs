//! Canonical bodies: [RFC 8785] of an entry's JSON. Keys are sorted, nothing needs an escape, so the form
//! of each kind is one template.
//!
//! [RFC 8785]: https://www.rfc-editor.org/rfc/rfc8785

use serde::Deserialize;

use crate::base64;
use crate::digest::{Digest, HashAlgorithm};
use crate::entry::{Dsse, EntryKind, HashedRekord, ParseEntryError, Signature, Spec};
use crate::json::{self, Message};
use crate::key_details::KeyDetails;
use crate::messages::{HashOutput, SignatureMessage};
use crate::verifier::{KeyMaterial, Verifier};

pub(crate) fn print(spec: &Spec) -> String {
    match spec {
        Spec::HashedRekord(entry) => print_hashedrekord(entry),
        Spec::Dsse(entry) => print_dsse(entry),
    }
}

fn print_hashedrekord(entry: &HashedRekord) -> String {
    let (data, signature) = (print_digest(&entry.data), print_signature(&entry.signature));
    format!(
        r#"{{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{{"hashedRekordV002":{{"data":{data},"signature":{signature}}}}}}}"#
    )
}

fn print_dsse(entry: &Dsse) -> String {
    let payload_hash = print_digest(entry.payload_hash());
    let signatures = entry.signatures().iter().map(print_signature).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"apiVersion":"0.0.2","kind":"dsse","spec":{{"dsseV002":{{"payloadHash":{payload_hash},"signatures":[{signatures}]}}}}}}"#
    )
}

fn print_digest(digest: &Digest) -> String {
    format!(r#"{{"algorithm":"{}","digest":"{}"}}"#, digest.algorithm(), base64::encode(digest.as_bytes()))
}

fn print_signature(signature: &Signature) -> String {
    let (content, verifier) = (base64::encode(&signature.content), print_verifier(&signature.verifier));
    format!(r#"{{"content":"{content}","verifier":{verifier}}}"#)
}

fn print_verifier(verifier: &Verifier) -> String {
    let (details, raw) = (verifier.details(), base64::encode(verifier.material().as_der()));
    let name = match verifier.material() {
        KeyMaterial::PublicKey(_) => "publicKey",
        KeyMaterial::X509Certificate(_) => "x509Certificate",
    };
    format!(r#"{{"keyDetails":"{details}","{name}":{{"rawBytes":"{raw}"}}}}"#)
}

/// `Entry`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct EntryMessage {
    api_version: Option<String>,
    kind: Option<String>,
    spec: Option<Message<SpecMessage>>,
}

/// `Spec`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SpecMessage {
    #[serde(rename = "hashedRekordV002")]
    hashed_rekord: Option<Message<HashedRekordMessage>>,
    #[serde(rename = "dsseV002")]
    dsse: Option<Message<DsseMessage>>,
}

/// `HashedRekordLogEntryV002`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HashedRekordMessage {
    data: Option<Message<HashOutput>>,
    signature: Option<Message<SignatureMessage>>,
}

/// `DSSELogEntryV002`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct DsseMessage {
    payload_hash: Option<Message<HashOutput>>,
    signatures: Vec<Message<SignatureMessage>>,
}

/// Reads what a body says, in whatever spelling: the caller prints and compares.
pub(crate) fn parse(body: &[u8]) -> Result<Spec, ParseEntryError> {
    let entry: EntryMessage = json::from_slice(body)?;
    let spec = entry.spec.ok_or(ParseEntryError::Kind)?.0;
    if entry.api_version.as_deref() != Some(EntryKind::VERSION) {
        return Err(ParseEntryError::Kind);
    }
    match (entry.kind.as_deref(), spec.hashed_rekord, spec.dsse) {
        (Some("hashedrekord"), Some(entry), None) => read_hashedrekord(entry.0).map(Spec::HashedRekord),
        (Some("dsse"), None, Some(entry)) => read_dsse(entry.0).map(Spec::Dsse),
        _ => Err(ParseEntryError::Kind),
    }
}

fn read_hashedrekord(entry: HashedRekordMessage) -> Result<HashedRekord, ParseEntryError> {
    let data = read_digest(entry.data.ok_or(ParseEntryError::Field("data"))?.0)?;
    let signature = read_signature(entry.signature.ok_or(ParseEntryError::Field("signature"))?.0)?;
    Ok(HashedRekord { data, signature })
}

fn read_dsse(entry: DsseMessage) -> Result<Dsse, ParseEntryError> {
    let payload_hash = read_digest(entry.payload_hash.ok_or(ParseEntryError::Field("payloadHash"))?.0)?;
    let signatures = entry.signatures.into_iter().map(|signature| read_signature(signature.0));
    let signatures = signatures.collect::<Result<_, _>>()?;
    Dsse::new(payload_hash, signatures).ok_or(ParseEntryError::Field("signatures"))
}

fn read_digest(hash: HashOutput) -> Result<Digest, ParseEntryError> {
    let malformed = ParseEntryError::Field("digest");
    let Some(algorithm) = hash.algorithm.and_then(|field| HashAlgorithm::try_from(field.number).ok()) else {
        return Err(malformed);
    };
    Digest::new(algorithm, hash.digest.unwrap_or_default().0).map_err(|_| malformed)
}

fn read_signature(signature: SignatureMessage) -> Result<Signature, ParseEntryError> {
    let content = signature.content.map(|bytes| bytes.0).filter(|content| !content.is_empty());
    let content = content.ok_or(ParseEntryError::Field("signature"))?;
    let verifier = signature.verifier.ok_or(ParseEntryError::Field("verifier"))?.0;
    let details = KeyDetails::try_from(verifier.number_of_details());
    let details = details.map_err(|_| ParseEntryError::Field("keyDetails"))?;
    let material = verifier.into_material().ok().flatten().ok_or(ParseEntryError::Field("verifier"))?;
    Ok(Signature { content, verifier: Verifier::new(details, material) })
}
