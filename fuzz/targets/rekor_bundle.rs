//! A Sigstore bundle, from whoever hands an artifact over.
#![no_main]

use kiln_rekor::{Bundle, Digest, EntryKind, Expected, HashAlgorithm, TrustedRoot};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::parse(bytes) else { return };
    assert!(bundle.log_entries().len() <= Bundle::MAX_LOG_ENTRIES && !bundle.signature().is_empty());
    for algorithm in [HashAlgorithm::Sha2_256, HashAlgorithm::Sha2_384, HashAlgorithm::Sha2_512] {
        let artifact = Digest::of(algorithm, b"artifact");
        let expected = Expected { public_key: None, artifact: Some(&artifact) };
        for kind in [EntryKind::HashedRekord, EntryKind::Dsse] {
            let Ok(entry) = bundle.expected_entry(kind, expected) else { continue };
            assert_eq!(entry.kind(), kind);
            assert_eq!(entry.signatures()[0].content, bundle.signature());
        }
        assert!(bundle.verify_log_entries(&TrustedRoot::default(), expected).is_err(), "no log is believed");
    }
});
