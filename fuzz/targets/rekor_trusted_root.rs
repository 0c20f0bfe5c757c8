//! Trusted roots and signing configs: what is printed is read again.
#![no_main]

use kiln_rekor::{SigningConfig, TrustedRoot};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(root) = TrustedRoot::parse(bytes) {
        assert_eq!(TrustedRoot::parse(root.to_json().as_bytes()).expect("what is printed is read"), root);
        for log in &root.tlogs {
            let Ok(believed) = log.to_rekor_log() else { continue };
            assert_eq!(Some(believed.id()), log.log_id());
        }
    }
    if let Ok(config) = SigningConfig::parse(bytes) {
        assert_eq!(
            SigningConfig::parse(config.to_json().as_bytes()).expect("what is printed is read"),
            config
        );
    }
});
