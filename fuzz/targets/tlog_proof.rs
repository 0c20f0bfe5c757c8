//! A proof that travels.
#![no_main]

use kiln_tiles::TlogProof;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(proof) = TlogProof::parse(bytes) else { return };
    assert_eq!(proof.to_string().as_bytes(), bytes, "a second spelling");
});
