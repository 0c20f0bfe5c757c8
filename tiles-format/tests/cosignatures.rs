//! The cosignatures of `testdata/witness`, made by Go's `crypto/ed25519` and `filippo.io/mldsa`: from the same seeds we
//! make the same keys, lines and vkeys, byte for byte, and what Go signed verifies here.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use kiln_tiles::{
    Checkpoint, Cosigner, Hash, Note, NoteSignature, SignatureType, SigningKey, Subtree, VerifierKey,
};
use serde_json::Value;

fn read() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/witness/go-cosignatures.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The cases under `key`, of which there must be some: an empty list would pass for a good one.
fn cases<'a>(file: &'a Value, key: &str) -> &'a [Value] {
    let cases = file[key].as_array().unwrap_or_else(|| panic!("no list {key:?}"));
    assert!(!cases.is_empty(), "{key:?} is empty");
    cases
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("no text {key:?} in {case}"))
}

fn number(case: &Value, key: &str) -> u64 {
    case[key].as_u64().unwrap_or_else(|| panic!("no number {key:?} in {case}"))
}

/// A key of the file, as its type has it.
enum Key {
    Signs(Box<SigningKey>),
    Cosigns(Cosigner),
}

impl Key {
    fn from_seed(case: &Value) -> Self {
        let (name, seed) = (text(case, "name").parse().unwrap(), Hash::from_hex(text(case, "seed")).unwrap());
        match number(case, "type") {
            1 => Self::Signs(Box::new(SigningKey::from_seed(name, *seed.as_bytes()))),
            4 => Self::Cosigns(Cosigner::ed25519_from_seed(name, *seed.as_bytes())),
            6 => Self::Cosigns(Cosigner::ml_dsa_44_from_seed(name, *seed.as_bytes())),
            other => panic!("type {other}"),
        }
    }

    fn verifier_key(&self) -> VerifierKey {
        match self {
            Self::Signs(key) => key.verifier_key(),
            Self::Cosigns(key) => key.verifier_key(),
        }
    }

    /// The line under a checkpoint, as it stands in a note.
    fn line(&self, checkpoint: &Checkpoint, time: u64) -> NoteSignature {
        match self {
            Self::Signs(key) => key.sign(checkpoint.to_string()).unwrap().signatures()[0].clone(),
            Self::Cosigns(key) => key.cosign(checkpoint, time).unwrap(),
        }
    }
}

fn key_of<'a>(keys: &'a [Key], case: &Value) -> &'a Key {
    &keys[usize::try_from(number(case, "key")).unwrap()]
}

fn keys(file: &Value) -> Vec<Key> {
    cases(file, "keys").iter().map(Key::from_seed).collect()
}

#[test]
fn keys_are_the_same_text_to_go_and_to_us() {
    for case in cases(&read(), "keys") {
        let key = Key::from_seed(case);
        let (skey, again) = match &key {
            Key::Signs(key) => {
                (key.to_note_form(), text(case, "skey").parse().map(|key| Key::Signs(Box::new(key))))
            }
            Key::Cosigns(key) => (key.to_note_form(), text(case, "skey").parse().map(Key::Cosigns)),
        };
        assert_eq!(*skey, text(case, "skey"));
        assert_eq!(again.unwrap().verifier_key(), key.verifier_key());
        assert_eq!(key.verifier_key().to_string(), text(case, "vkey"));
        assert_eq!(key.verifier_key().key_id().to_string(), text(case, "id"));
        assert_eq!(text(case, "vkey").parse(), Ok(key.verifier_key()));
    }
}

#[test]
fn cosignatures_are_those_that_go_makes_and_hold() {
    let file = read();
    let keys = keys(&file);
    for case in cases(&file, "cosignatures") {
        let (key, checkpoint) = (key_of(&keys, case), text(case, "text").parse::<Checkpoint>().unwrap());
        let time = number(case, "time");
        let go: Note = format!("{checkpoint}\n{}", text(case, "line")).parse().unwrap();
        let signature = &go.signatures()[0];
        let vkey = key.verifier_key();
        assert_eq!(go.verify(std::slice::from_ref(&vkey)).unwrap().1.len(), 1, "{case}");
        assert_eq!(vkey.time_of(signature).unwrap_or_default(), time);
        assert_eq!(key.line(&checkpoint, time), *signature, "{case}");
    }
}

#[test]
fn cosignatures_of_subtrees_are_those_that_go_makes_and_hold() {
    let file = read();
    let keys = keys(&file);
    let (mut compared, mut beyond) = (0, 0);
    for case in cases(&file, "subtrees") {
        let Key::Cosigns(key) = key_of(&keys, case) else { panic!("{case}") };
        assert_eq!(key.verifier_key().signature_type(), SignatureType::MlDsa44Cosignature);
        let go: Note = format!("subtree\n\n{}", text(case, "line")).parse().unwrap();
        let (origin, hash) = (text(case, "origin"), Hash::from_base64(text(case, "hash")).unwrap());
        let Some(subtree) = Subtree::new(number(case, "start"), number(case, "end")) else {
            beyond += 1; // no log grows that large: sizes end at 2^63 - 1
            continue;
        };
        let ours = key.cosign_subtree(origin, subtree, hash).unwrap();
        assert_eq!(ours, go.signatures()[0], "{case}");
        assert!(key.verifier_key().verify_subtree(origin, subtree, hash, ours.signature()));
        compared += 1;
    }
    assert_eq!((compared, beyond), (4, 2));
}
