//! From a signature to a bundle that verifies: request, entry, log, answer, bundle, trusted root.

use kiln_rekor::{
    Bundle, CreateEntryRequest, Digest, EntryKind, Expected, ExpectedEntryError, KeyMaterialError, LogKey,
    ParseBundleError, Policy, RekorLog, TransparencyLogEntry, TransparencyLogInstance, TrustedRoot,
    VerifyBundleError,
};
use kiln_tiles::{Checkpoint, Hash, Proof, SigningKey, TreeHead};
use serde_json::{Value, json};

use crate::support::{Signer, p256, signers};

const ORIGIN: &str = "log.example.com";

fn log() -> RekorLog {
    let public = ed25519_dalek::SigningKey::from_bytes(&[3; 32]).verifying_key();
    RekorLog::new(ORIGIN.parse().unwrap(), LogKey::ed25519(public.as_bytes()))
}

fn root() -> TrustedRoot {
    let start = "2024-01-01T00:00:00Z".parse().unwrap();
    let tlog = TransparencyLogInstance::rekor("https://log.example.com:8443", &log(), start).unwrap();
    TrustedRoot { tlogs: vec![tlog], ..TrustedRoot::default() }
}

/// The entry of a request, as the second of two in a log.
fn logged(request: &[u8]) -> TransparencyLogEntry {
    let request = CreateEntryRequest::parse(request, &Policy::default()).unwrap();
    let entry = request.verify(&Policy::default()).unwrap();
    let other = Hash::leaf(b"another entry");
    let head = TreeHead::new(2, Hash::node(other, entry.leaf_hash())).unwrap();
    let text = Checkpoint::new(ORIGIN, head).unwrap().to_string();
    let note = SigningKey::from_seed(ORIGIN.parse().unwrap(), [3; 32]).sign(text).unwrap().to_string();
    let proof = Proof::from_hashes(vec![other]).unwrap();
    TransparencyLogEntry::new(&entry, 1, log().id(), proof, (head, note))
}

/// What a client makes of the answer.
fn bundle(signer: &Signer) -> Value {
    let request: Value = serde_json::from_slice(&signer.request(b"artifact")).unwrap();
    let signature = request["hashedRekordRequestV002"]["signature"]["content"].clone();
    let entry: Value = serde_json::from_str(&logged(request.to_string().as_bytes()).to_json()).unwrap();
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "a hint"}, "tlogEntries": [entry]},
        "messageSignature": {
            "messageDigest": {
                "algorithm": signer.hash().name(),
                "digest": request["hashedRekordRequestV002"]["digest"],
            },
            "signature": signature,
        },
    })
}

fn verify(bundle: &Value, key: &[u8], artifact: &Digest) -> Result<usize, VerifyBundleError> {
    let bundle = Bundle::parse(bundle.to_string().as_bytes()).unwrap();
    let expected = Expected { public_key: Some(key), artifact: Some(artifact) };
    Ok(bundle.verify_log_entries(&root(), expected)?.len())
}

#[test]
fn every_kind_of_key_makes_bundles_that_verify() {
    for signer in signers() {
        let artifact = Digest::of(signer.hash(), b"artifact");
        assert_eq!(verify(&bundle(signer), &signer.spki, &artifact).unwrap(), 1, "{}", signer.details);
    }
}

#[test]
fn a_bundle_verifies_for_its_key_and_artifact_alone() {
    use VerifyBundleError::{Expected as Not, NoKnownLog, OtherEntry};
    let artifact = Digest::of(p256().hash(), b"artifact");
    let bundle = bundle(p256());
    let other_key = Signer::new(p256().details);
    let refused = verify(&bundle, &other_key.spki, &artifact).unwrap_err();
    assert!(matches!(refused, OtherEntry), "{refused}");
    let refused = verify(&bundle, b"no key", &artifact).unwrap_err();
    assert!(matches!(refused, Not(ExpectedEntryError::Key(KeyMaterialError::PublicKey(_)))), "{refused}");
    let refused = verify(&bundle, &p256().spki, &Digest::of(p256().hash(), b"other")).unwrap_err();
    assert!(matches!(refused, Not(ExpectedEntryError::OtherArtifact)), "{refused}");

    // The digest beside the signature is only a hint; without it the entry still decides.
    let mut undigested = bundle.clone();
    undigested["messageSignature"]["messageDigest"] = Value::Null;
    assert_eq!(verify(&undigested, &p256().spki, &artifact).unwrap(), 1);
    let refused = verify(&undigested, &p256().spki, &Digest::of(p256().hash(), b"other")).unwrap_err();
    assert!(matches!(refused, OtherEntry), "{refused}");

    let mut unlogged = bundle.clone();
    unlogged["verificationMaterial"]["tlogEntries"] = json!([]);
    assert!(matches!(verify(&unlogged, &p256().spki, &artifact), Err(NoKnownLog)));
    let mut resigned = bundle;
    resigned["messageSignature"]["signature"] = "AAAA".into();
    assert!(matches!(verify(&resigned, &p256().spki, &artifact), Err(OtherEntry)));
}

#[test]
fn what_a_bundle_lacks_is_said() {
    use ExpectedEntryError as E;
    let bundle = Bundle::parse(bundle(p256()).to_string().as_bytes()).unwrap();
    let artifact = Digest::of(p256().hash(), b"artifact");
    let with_key = Expected { public_key: Some(&p256().spki), artifact: Some(&artifact) };
    let error = |kind, expected| bundle.expected_entry(kind, expected).unwrap_err();
    assert_eq!(error(EntryKind::HashedRekord, Expected { public_key: None, ..with_key }), E::NoKey);
    assert_eq!(error(EntryKind::HashedRekord, Expected { artifact: None, ..with_key }), E::NoArtifact);
    assert_eq!(error(EntryKind::Dsse, with_key), E::NoEnvelope);
    assert_eq!(bundle.digest_algorithm(with_key), Ok(p256().hash()));
}

/// Changes a good bundle, and says why it is no longer one.
fn fault(change: impl Fn(&mut Value)) -> ParseBundleError {
    let mut json = bundle(p256());
    change(&mut json);
    Bundle::parse(json.to_string().as_bytes()).unwrap_err()
}

#[test]
fn each_fault_of_a_bundle_has_its_error() {
    use ParseBundleError as E;
    let certificate = json!({"rawBytes": "AAAA"});
    let chain = json!({"certificates": [{"rawBytes": "AAAA"}]});
    let envelope = |sigs: Value| json!({"payload": "AAAA", "payloadType": "a", "signatures": sigs});
    for media_type in ["", "application/json", "application/vnd.dev.sigstore.bundle.v0.4+json"] {
        assert!(
            matches!(fault(|bundle| bundle["mediaType"] = media_type.into()), E::MediaType),
            "{media_type}"
        );
    }
    assert!(matches!(fault(|bundle| bundle["foo"] = 1.into()), E::Json(_)));
    assert!(matches!(fault(|bundle| bundle["verificationMaterial"] = Value::Null), E::Field(_)));
    assert!(matches!(fault(|bundle| bundle["messageSignature"] = Value::Null), E::Field("content")));
    assert!(matches!(
        fault(|bundle| bundle["messageSignature"]["signature"] = "".into()),
        E::Field("signature")
    ));
    let short = |bundle: &mut Value| bundle["messageSignature"]["messageDigest"]["digest"] = "AAAA".into();
    assert!(matches!(fault(short), E::Field("messageDigest")));
    let material = |name: &'static str, value: &Value| {
        let value = value.clone();
        move |bundle: &mut Value| bundle["verificationMaterial"][name] = value.clone()
    };
    assert!(matches!(fault(material("publicKey", &Value::Null)), E::Field("verificationMaterial")));
    assert!(matches!(fault(material("certificate", &certificate)), E::Oneof(_)));
    assert!(matches!(fault(material("x509CertificateChain", &chain)), E::Chain));
    let many = json!(vec![bundle(p256())["verificationMaterial"]["tlogEntries"][0].clone(); 33]);
    assert!(matches!(fault(material("tlogEntries", &many)), E::TooManyLogEntries));
    let both = |bundle: &mut Value| bundle["dsseEnvelope"] = envelope(json!([{"sig": "AAAA"}]));
    assert!(matches!(fault(both), E::Oneof(_)));
    for signatures in [json!([]), json!([{"sig": "AAAA"}, {"sig": "AAAB"}])] {
        let change = |bundle: &mut Value| {
            bundle["messageSignature"] = Value::Null;
            bundle["dsseEnvelope"] = envelope(signatures.clone());
        };
        assert!(matches!(fault(change), E::SignatureCount), "{signatures}");
    }
}
