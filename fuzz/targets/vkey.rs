//! A verifier key, and what it says to a signature that it never made.
#![no_main]

use kiln_tiles::VerifierKey;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    kiln_fuzz::reads_what_it_prints::<VerifierKey>(bytes);
    let Ok(Ok(key)) = str::from_utf8(bytes).map(str::parse::<VerifierKey>) else { return };
    assert!(!key.verify("text\n", &[0; 64]), "a signature of zeros");
});
