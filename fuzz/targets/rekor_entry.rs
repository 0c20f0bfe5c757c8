//! A canonical body, from a log that may hold anything.
#![no_main]

use kiln_rekor::{Entry, Envelope, Spec};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = Entry::parse(bytes) else { return };
    assert_eq!(entry.body(), bytes, "a second spelling");
    let again = Entry::new(entry.spec().clone()).expect("it fitted before");
    assert_eq!(again, entry);
    // Most signatures are wrong; to ask must be possible.
    let _ = match entry.spec() {
        Spec::HashedRekord(record) => record.verify(),
        Spec::Dsse(dsse) => dsse.verify(&Envelope::default()),
    };
});
