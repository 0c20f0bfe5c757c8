//! What rekor-tiles wrote: requests, canonical bodies, and answers.

use kiln_rekor::{
    CreateEntryRequest, Entry, Envelope, EnvelopeSignature, HashedRekord, LogKey, ParseEntryError, Policy,
    RekorLog, Spec, TransparencyLogEntry, VerifyLogEntryError,
};
use kiln_tiles::Hash;
use serde_json::Value;

use crate::support::{file, text};

/// Name of the example, leaf hash that rekor-tiles gave it.
const EXAMPLES: [(&str, &str); 4] = [
    ("p256-key", "02daa820b7f27f5c66a88d4358c1f8301a1f6ad7e1009e8170d30a09f27dc052"),
    ("ed25519ph-key", "f15d74c9a32ac0a9213e5083d6cfe90157613a2c3d03e7954b97e1d90a9e0a88"),
    ("p256-certificate", "8c7f37e8970e9e1fa87b35002ccf1a724cc4cc9431535366ffa8b4790a085b5d"),
    ("dsse", "d781abb54d61a367599e802bfabc2a7f5890cc7c61a296aa1dbed9df9f202f23"),
];

/// The log that answered.
fn log() -> RekorLog {
    let key = [
        0x8a, 0xe7, 0x72, 0x97, 0x79, 0x57, 0x6c, 0xaa, 0x17, 0x68, 0xd6, 0xa2, 0x5f, 0xcc, 0x20, 0x3a, 0xb7,
        0x06, 0x6c, 0x0f, 0xe6, 0x22, 0xb0, 0x8e, 0x35, 0xa1, 0x13, 0x19, 0x3b, 0x1f, 0x79, 0xd6,
    ];
    RekorLog::new("127.0.0.1".parse().unwrap(), LogKey::ed25519(&key))
}

fn entry(name: &str) -> Entry {
    let policy = Policy::default().with_dsse();
    let request = CreateEntryRequest::parse(&file(&format!("{name}.request.json")), &policy).unwrap();
    request.verify(&policy).unwrap()
}

fn answer(name: &str) -> TransparencyLogEntry {
    TransparencyLogEntry::parse(&file(&format!("{name}.entry.json"))).unwrap()
}

#[test]
fn a_request_makes_the_body_that_rekor_tiles_makes() {
    for (name, leaf) in EXAMPLES {
        let entry = entry(name);
        let body = text(&format!("{name}.body.json"));
        assert_eq!(str::from_utf8(entry.body()).unwrap(), body, "{name}");
        assert_eq!(entry.leaf_hash(), Hash::from_hex(leaf).unwrap(), "{name}");
        assert_eq!(Entry::parse(body.as_bytes()).unwrap(), entry, "{name}");
    }
}

/// A second spelling of a body would be a second entry for the same signature.
#[test]
fn a_body_in_another_spelling_is_no_entry() {
    let body = text("p256-key.body.json");
    for (from, to) in [
        (r#""apiVersion":"0.0.2","kind":"hashedrekord""#, r#""kind":"hashedrekord","apiVersion":"0.0.2""#),
        (r#"{"content""#, r#"{ "content""#),
        ("rawBytes", "raw_bytes"),
        (r#"3Xw=""#, r#"3Xw""#),
        (r#""PKIX_ECDSA_P256_SHA_256""#, "5"),
        ("SHA2_256", r"SHA2\u005f256"),
        (r#""publicKey":{"#, r#""x509Certificate":null,"publicKey":{"#),
    ] {
        assert!(body.contains(from), "{from}");
        assert!(Entry::parse(body.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
    assert!(matches!(Entry::parse(format!("{body} ").as_bytes()), Err(ParseEntryError::NotCanonical)));
    assert!(matches!(
        Entry::parse(body.replacen("0.0.2", "0.0.1", 1).as_bytes()),
        Err(ParseEntryError::Kind)
    ));
    assert!(matches!(
        Entry::parse(body.replacen("hashedrekord", "dsse", 1).as_bytes()),
        Err(ParseEntryError::Kind)
    ));
    assert!(matches!(Entry::parse(&vec![b' '; 65_536]), Err(ParseEntryError::TooLong(_))));
}

#[test]
fn a_request_is_written_as_it_was_read() {
    for name in ["p256-key", "ed25519ph-key", "p256-certificate"] {
        let Spec::HashedRekord(HashedRekord { data, signature }) = entry(name).spec().clone() else {
            panic!()
        };
        let written = CreateEntryRequest::hashedrekord_json(data.as_bytes(), &signature);
        assert_eq!(parsed(&written), parsed(&text(&format!("{name}.request.json"))), "{name}");
    }
    let request = parsed(&text("dsse.request.json"));
    let Spec::Dsse(dsse) = entry("dsse").spec().clone() else { panic!() };
    let written = CreateEntryRequest::dsse_json(&envelope(), &[dsse.signatures()[0].verifier.clone()]);
    assert_eq!(parsed(&written), request);
}

fn envelope() -> Envelope {
    let Spec::Dsse(dsse) = entry("dsse").spec().clone() else { panic!() };
    let payload = br#"{"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "x", "digest": {"sha256": "ea0beae7e7633716b02c892a7cf2c7f0f835733729712dd9c6e6aef4a431b183"}}], "predicateType": "https://example.com/p", "predicate": {}}"#;
    Envelope {
        payload: payload.to_vec(),
        payload_type: "application/vnd.in-toto+json".to_owned(),
        signatures: vec![EnvelopeSignature {
            sig: dsse.signatures()[0].content.clone(),
            keyid: String::new(),
        }],
    }
}

#[test]
fn the_signatures_in_entries_hold() {
    for (name, _) in EXAMPLES {
        match entry(name).spec() {
            Spec::HashedRekord(entry) => entry.verify().unwrap(),
            Spec::Dsse(entry) => entry.verify(&envelope()).unwrap(),
        }
    }
}

#[test]
fn an_answer_of_rekor_tiles_verifies() {
    for (name, _) in EXAMPLES {
        assert_eq!(answer(name).verify(&log()).unwrap(), entry(name), "{name}");
    }
}

#[test]
fn an_answer_is_written_as_rekor_tiles_writes_it() {
    for (name, _) in EXAMPLES {
        let read = answer(name);
        assert_eq!(parsed(&read.to_json()), parsed(&text(&format!("{name}.entry.json"))), "{name}");
        let proof = read.inclusion_proof().unwrap().clone();
        let made =
            TransparencyLogEntry::from_parts(entry(name).kind(), entry(name).into_body(), log().id(), proof);
        assert_eq!(made, read, "{name}");
    }
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Changes one string of an answer, and says why it no longer verifies.
fn changed(change: impl Fn(&mut Value)) -> VerifyLogEntryError {
    let mut json = parsed(&text("p256-key.entry.json"));
    change(&mut json);
    let entry = TransparencyLogEntry::parse(json.to_string().as_bytes()).unwrap();
    entry.verify(&log()).unwrap_err()
}

#[test]
fn an_answer_that_was_changed_does_not_verify() {
    use VerifyLogEntryError as E;
    let zeros = Value::from("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert!(matches!(changed(|entry| entry["logId"]["keyId"] = zeros.clone()), E::OtherLog(_)));
    assert!(matches!(changed(|entry| entry["inclusionProof"] = Value::Null), E::NoProof));
    let unsigned = changed(|entry| entry["inclusionProof"]["checkpoint"] = Value::Null);
    assert!(matches!(unsigned, E::NoCheckpoint));
    let promise = serde_json::json!({"signedEntryTimestamp": "AA=="});
    assert!(matches!(changed(|entry| entry["inclusionPromise"] = promise.clone()), E::Promise));
    assert!(matches!(changed(|entry| entry["inclusionProof"]["rootHash"] = zeros.clone()), E::Head));
    assert!(matches!(changed(|entry| entry["inclusionProof"]["treeSize"] = "5".into()), E::Head));
    assert!(matches!(changed(|entry| entry["inclusionProof"]["logIndex"] = "2".into()), E::Index));
    assert!(matches!(changed(|entry| entry["inclusionProof"]["hashes"][0] = zeros.clone()), E::Inclusion(_)));
    assert!(matches!(changed(|entry| entry["canonicalizedBody"] = "AAAA".into()), E::Inclusion(_)));
    assert!(matches!(changed(|entry| entry["kindVersion"]["kind"] = "dsse".into()), E::Kind));
    assert!(matches!(changed(|entry| entry["kindVersion"]["version"] = "0.0.1".into()), E::Kind));
    let other_index = |entry: &mut Value| {
        entry["logIndex"] = "2".into();
        entry["inclusionProof"]["logIndex"] = "2".into();
    };
    assert!(matches!(changed(other_index), E::Inclusion(_)));
    let envelope = |entry: &mut Value| {
        let note = entry["inclusionProof"]["checkpoint"]["envelope"]
            .as_str()
            .unwrap()
            .replace("127.0.0.1\n4", "127.0.0.1\n5");
        entry["inclusionProof"]["checkpoint"]["envelope"] = note.into();
    };
    assert!(matches!(changed(envelope), E::Checkpoint(_)));
}

#[test]
fn an_answer_of_another_origin_or_key_does_not_verify() {
    let other = RekorLog::new("127.0.0.2".parse().unwrap(), log().key().clone());
    assert!(matches!(answer("p256-key").verify(&other), Err(VerifyLogEntryError::OtherLog(_))));
    let other = RekorLog::new(log().origin().clone(), LogKey::ed25519(&[7; 32]));
    assert!(matches!(answer("p256-key").verify(&other), Err(VerifyLogEntryError::OtherLog(_))));
}
