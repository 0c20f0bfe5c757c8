//! Against another implementation of [signed-note], the crate `signed_note`, a port of Go's: what one
//! writes the other reads, what one refuses the other refuses. Ours is stricter in some places; each
//! has a test here that says why.
//!
//! [signed-note]: https://c2sp.org/signed-note

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use kiln_tiles::{KeyName, Note, SigningKey, VerifierKey, VerifyNoteError};
use proptest::prelude::*;
use signed_note::{
    Note as TheirNote, NoteError, Signer, StandardSigner, StandardVerifier, Verifier, VerifierList,
};

/// A key made by Go, with its public half.
const SKEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn ours() -> SigningKey {
    SKEY.parse().unwrap()
}

fn their_list(vkeys: &[&str]) -> VerifierList {
    let verifier = |vkey: &&str| Box::new(StandardVerifier::new(vkey).unwrap()) as Box<dyn Verifier>;
    VerifierList::new(vkeys.iter().map(verifier).collect())
}

/// The text, where the other implementation finds it signed by one of these keys.
fn they_open(note: &[u8], vkeys: &[&str]) -> Result<Vec<u8>, NoteError> {
    let note = TheirNote::from_bytes(note)?;
    note.verify(&their_list(vkeys))?;
    Ok(note.text().to_vec())
}

/// The text, where we do.
fn we_open(note: &[u8], vkeys: &[&str]) -> Option<Vec<u8>> {
    let keys: Vec<VerifierKey> = vkeys.iter().map(|vkey| vkey.parse().unwrap()).collect();
    let note = Note::parse(note).ok()?;
    note.verify(&keys).ok().map(|(text, _)| text.as_bytes().to_vec())
}

fn key_names() -> impl Strategy<Value = String> {
    "[^+\\s\\p{Cc}]{1,60}"
}

/// Texts of one to five lines, some of them empty.
fn texts() -> impl Strategy<Value = String> {
    prop::collection::vec("[^\\x00-\\x1f]{0,20}\n", 1..5).prop_map(|lines| lines.concat())
}

fn sign_by_them(skey: &str, text: &str) -> Vec<u8> {
    let mut note = TheirNote::new(text.as_bytes(), &[]).unwrap();
    note.add_sigs(&[&StandardSigner::new(skey).unwrap()]).unwrap();
    note.to_bytes()
}

proptest! {
    #[test]
    fn they_read_our_keys_and_notes(name in key_names(), seed: [u8; 32], text in texts()) {
        let key = SigningKey::from_seed(name.parse().unwrap(), seed);
        let (skey, vkey) = (key.to_note_form(), key.verifier_key());
        let signer = StandardSigner::new(&skey).unwrap();
        let verifier = StandardVerifier::new(&vkey.to_string()).unwrap();
        let key_id = u32::from_be_bytes(*vkey.key_id().as_bytes());
        prop_assert_eq!((signer.name(), signer.key_id()), (name.as_str(), key_id));
        prop_assert_eq!((verifier.name(), verifier.key_id()), (name.as_str(), key_id));

        let note = key.sign(text.clone()).unwrap().to_string();
        prop_assert_eq!(they_open(note.as_bytes(), &[&vkey.to_string()]).unwrap(), text.as_bytes());
        prop_assert_eq!(note.as_bytes(), sign_by_them(&skey, &text), "Ed25519 signs without chance");
    }

    #[test]
    fn we_read_their_notes(name in key_names(), seed: [u8; 32], text in texts()) {
        let key = SigningKey::from_seed(name.parse().unwrap(), seed);
        let note = sign_by_them(&key.to_note_form(), &text);
        prop_assert_eq!(we_open(&note, &[&key.verifier_key().to_string()]).unwrap(), text.as_bytes());
    }

    /// Whatever happens to a note on its way, both say the same of it.
    #[test]
    fn a_damaged_note_is_the_same_to_both(
        text in texts(), position: prop::sample::Index, byte: u8, cut: bool, twice: bool,
    ) {
        let mut note = ours().sign(text).unwrap().to_string().into_bytes();
        let position = position.index(note.len());
        note.splice(position..=position, (!cut).then_some(byte));
        if twice { note.extend_from_within(position..) }
        prop_assert_eq!(we_open(&note, &[VKEY]), they_open(&note, &[VKEY]).ok());
    }

    #[test]
    fn a_damaged_key_is_the_same_to_both(position: prop::sample::Index, byte in b' '..=b'~', cut: bool) {
        for key in [SKEY, VKEY] {
            let mut damaged = key.to_owned().into_bytes();
            let position = position.index(damaged.len());
            damaged.splice(position..=position, (!cut).then_some(byte));
            let damaged = String::from_utf8(damaged).unwrap();
            // See `we_want_one_spelling_of_a_key_id`.
            prop_assume!(damaged == key || !damaged.eq_ignore_ascii_case(key));
            prop_assert_eq!(damaged.parse::<SigningKey>().is_ok(), StandardSigner::new(&damaged).is_ok());
            prop_assert_eq!(damaged.parse::<VerifierKey>().is_ok(), StandardVerifier::new(&damaged).is_ok());
        }
    }
}

#[test]
fn bad_notes_are_bad_to_both() {
    let line = ours().sign("text\n".to_owned()).unwrap().to_string().split_off("text\n\n".len());
    for note in [
        "".to_owned(),
        line.clone(),
        format!("text\n{line}"),
        format!("text\n\n{line}\n"),
        format!("text\n\n{}", line.trim_end()),
        format!("te\txt\n\n{line}"),
        format!("text\r\n\r\n{line}"),
        format!("text\n\n{}", line.replace('—', "-")),
        format!("text\n\n{}", line.replace(' ', "  ")),
        format!("text\n\n{}", line.replace("=\n", "\n")),
        format!("text\n\n{line}— other AAAAAA==\n"),
        format!("text\n\n{line}— ot+her AAAAAAE=\n"),
        format!("text\n\n{line}— ot\u{2003}her AAAAAAE=\n"),
        format!("text\n\n{}", line.repeat(101)),
        format!("{}\n\n{line}", "x".repeat(Note::MAX_SIZE)),
    ] {
        assert!(Note::parse(note.as_bytes()).is_err(), "{note:.80}");
        assert!(TheirNote::from_bytes(note.as_bytes()).is_err(), "{note:.80}");
    }
}

#[test]
fn signatures_by_unknown_keys_are_ignored_by_both() {
    let text = "text\n";
    let signed = ours().sign(text.to_owned()).unwrap().to_string();
    for line in ["— other AAAAAAE=\n", "— PeterNeumann AAAAAAE=\n", "— other x08gowAAAAA=\n"] {
        let note = format!("{signed}{line}");
        assert_eq!(we_open(note.as_bytes(), &[VKEY]).unwrap(), text.as_bytes());
        assert_eq!(they_open(note.as_bytes(), &[VKEY]).unwrap(), text.as_bytes());
        let alone = format!("{text}\n{line}");
        assert_eq!(we_open(alone.as_bytes(), &[VKEY]), None);
        assert!(matches!(they_open(alone.as_bytes(), &[VKEY]), Err(NoteError::UnverifiedNote)));
    }
}

/// Stricter: `verify_strict` of Ed25519. Under a key of small order anyone can make a signature that
/// fits every text, so it must not count as a statement of the key's owner.
#[test]
fn we_take_no_signature_under_a_weak_key() {
    // The neutral element of the curve, with the key ID that belongs to it.
    let vkey = "weak+8b94416d+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let signature = [&[0x01][..], &[0; 63]].concat();
    let key: VerifierKey = vkey.parse().unwrap();
    for text in ["one text\n", "another\n"] {
        assert!(StandardVerifier::new(vkey).unwrap().verify(text.as_bytes(), &signature));
        assert!(!key.verify(text, &signature));
    }
}

/// Stricter: the specification says that a verifier SHOULD reject a note with a wrong signature by
/// a known key. They look at the first one only, so what follows is neither right nor wrong to them.
#[test]
fn we_reject_a_wrong_signature_behind_a_good_one() {
    let signed = ours().sign("text\n".to_owned()).unwrap().to_string();
    let note = format!("{signed}— PeterNeumann x08gowAAAAA=\n");
    assert!(they_open(note.as_bytes(), &[VKEY]).is_ok());
    let rejected = note.parse::<Note>().unwrap();
    let error = rejected.verify(&[VKEY.parse().unwrap()]).unwrap_err();
    assert!(matches!(error, VerifyNoteError::BadSignature { .. }));
}

/// Stricter: a key has one spelling, so that two people who compare theirs compare the same text. They
/// take hex digits in upper case, and a plus among them.
#[test]
fn we_want_one_spelling_of_a_key_id() {
    let upper = VKEY.replace("c74f20a3", "C74F20A3");
    assert!(StandardVerifier::new(&upper).is_ok());
    assert!(upper.parse::<VerifierKey>().is_err());
    let upper = SKEY.replace("c74f20a3", "C74F20A3");
    assert!(StandardSigner::new(&upper).is_ok());
    assert!(upper.parse::<SigningKey>().is_err());
}

/// Stricter: a name goes to terminals, logs and file names, so it has no control characters, and it
/// is no longer than a [cosignature](https://c2sp.org/tlog-cosignature) can hold.
#[test]
fn we_want_names_that_can_be_shown() {
    for name in ["delete\u{7f}", "c1\u{9b}control", &"n".repeat(256)] {
        assert!(signed_note::is_key_name_valid(name), "{name:?}");
        assert!(name.parse::<KeyName>().is_err(), "{name:?}");
        let note = format!("text\n\n— {name} AAAAAAE=\n");
        assert!(TheirNote::from_bytes(note.as_bytes()).is_ok());
        assert!(Note::parse(note.as_bytes()).is_err());
    }
}

/// More lenient: to know a key twice is no fault of the note's. They call it ambiguous.
#[test]
fn we_may_know_a_key_twice() {
    let note = ours().sign("text\n".to_owned()).unwrap().to_string();
    assert!(we_open(note.as_bytes(), &[VKEY, VKEY]).is_some());
    assert!(they_open(note.as_bytes(), &[VKEY, VKEY]).is_err());
}
