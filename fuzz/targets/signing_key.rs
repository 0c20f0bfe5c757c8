//! A secret key in Go's note form, and whether what it signs opens under its public half.
#![no_main]

use kiln_tiles::{SigningKey, VerifierKey};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(Ok(key)) = str::from_utf8(bytes).map(str::parse::<SigningKey>) else { return };
    assert_eq!(key.to_note_form().as_bytes(), bytes, "a second spelling");
    let public: VerifierKey = key.verifier_key().to_string().parse().expect("it was just printed");
    let note = key.sign("text\n".to_owned()).expect("this is a text");
    assert!(note.verify(&[public]).is_ok());
});
