//! Keys and certificates in DER: whatever is read has the length of its kind, and verifies nothing by chance.
#![no_main]

use kiln_rekor::{Certificate, Digest, HashAlgorithm, KeyDetails, KeyKind, PublicKey, verify_message};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = PublicKey::from_spki_der(bytes) {
        check(&key);
        let longer = [bytes, &[0]].concat();
        assert!(PublicKey::from_spki_der(&longer).is_err(), "something behind the key was read over");
    }
    if let Ok(certificate) = Certificate::from_der(bytes) {
        check(certificate.public_key());
        if let Ok(identity) = certificate.identity() {
            assert!(identity.extensions.len() < bytes.len());
            let _ = (identity.oidc_issuer(), identity.not_before.to_string(), identity.not_after.to_string());
        }
    }
});

fn check(key: &PublicKey) {
    let length = key.as_bytes().len();
    match key.kind() {
        KeyKind::EcdsaP256 => assert_eq!(length, 65),
        KeyKind::EcdsaP384 => assert_eq!(length, 97),
        KeyKind::EcdsaP521 => assert_eq!(length, 133),
        KeyKind::Ed25519 => assert_eq!(length, 32),
        KeyKind::Rsa(bits) => assert!(length > bits / 8),
    }
    let details = KeyDetails::of_key(key.kind()).unwrap_or(KeyDetails::PkixRsaPkcs1v15_2048Sha256);
    let signature = Digest::of(HashAlgorithm::Sha2_512, b"no signature");
    assert!(verify_message(key, details, b"message", signature.as_bytes()).is_err());
}
