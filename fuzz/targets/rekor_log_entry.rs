//! An entry with its proof, as a log answers it. Other spellings are read too, so what is printed is read again.
#![no_main]

use kiln_rekor::{LogKey, RekorLog, TransparencyLogEntry};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = TransparencyLogEntry::parse(bytes) else { return };
    let again = TransparencyLogEntry::parse(entry.to_json().as_bytes()).expect("what is printed is read");
    assert_eq!(again, entry);
    let log = RekorLog::new("127.0.0.1".parse().expect("a name"), LogKey::ed25519(&[7; 32]));
    assert!(entry.verify(&log).is_err(), "nobody has signed by this key");
});
