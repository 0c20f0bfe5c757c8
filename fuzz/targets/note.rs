//! A signed note: its form, and what a verifier who knows a key says to it.
#![no_main]

use std::sync::LazyLock;

use kiln_tiles::{Note, VerifierKey};

/// The key and the note of the specification's example.
static KEY: LazyLock<VerifierKey> = LazyLock::new(|| {
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    vkey.parse().expect("the specification's example")
});
const TEXT: &str = "This is an example message.\n";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(note) = Note::parse(bytes) else { return };
    assert_eq!(note.to_string().as_bytes(), bytes, "a second spelling");
    let again = Note::new(note.unverified_text().to_owned(), note.signatures().to_vec());
    assert_eq!(again.as_ref(), Ok(&note));
    // The key has signed one text in its life. No input forges a second one.
    if let Ok((text, _)) = note.verify(std::slice::from_ref(&KEY)) {
        assert_eq!(text, TEXT);
    }
});
