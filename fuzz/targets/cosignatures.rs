//! The answer of a witness.
#![no_main]

use kiln_tiles::Cosignatures;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(answer) = Cosignatures::parse(bytes) else { return };
    assert_eq!(answer.to_string().as_bytes(), bytes, "a second spelling");
    assert!(!answer.lines().is_empty());
});
