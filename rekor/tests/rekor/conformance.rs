//! Bundles of Sigstore's conformance suite: the log part of those that are good verifies, and of those that
//! are bad in it does not.

use kiln_rekor::{
    Bundle, BundleContent, Digest, Expected, ExpectedEntryError, HashAlgorithm, ParseBundleError,
    TrustedRoot, VerifyBundleError, VerifyLogEntryError,
};

use crate::support::file;

fn bundle(name: &str) -> Result<Bundle, ParseBundleError> {
    Bundle::parse(&file(&format!("conformance/{name}.bundle.json")))
}

fn root() -> TrustedRoot {
    TrustedRoot::parse(&file("conformance/trusted_root.json")).unwrap()
}

fn artifact() -> Digest {
    Digest::of(HashAlgorithm::Sha2_256, &file("conformance/a.txt"))
}

fn verify(name: &str) -> Result<usize, VerifyBundleError> {
    let artifact = artifact();
    let expected = Expected { public_key: None, artifact: Some(&artifact) };
    let bundle = bundle(name).unwrap();
    bundle.verify_log_entries(&root(), expected).map(|entries| entries.len())
}

#[test]
fn good_bundles_are_in_their_log() {
    for name in [
        "rekor2-happy-path",
        "rekor2-checkpoint-cosigned",
        "rekor2-checkpoint-multiple-cosigs",
        "rekor2-checkpoint-origin-not-first",
        "rekor2-checkpoint-two-sigs-cosigned",
        "rekor2-checkpoint-two-sigs-from-origin",
        "rekor2-dsse-happy-path",
    ] {
        assert_eq!(verify(name).unwrap_or_else(|error| panic!("{name}: {error}")), 1);
    }
}

#[test]
fn bad_bundles_are_not() {
    use VerifyBundleError::{LogEntry, OtherEntry};
    for name in [
        "rekor2-checkpoint-missing-log-signature_fail",
        "rekor2-checkpoint-missing-origin_fail",
        "rekor2-checkpoint-missing-root-hash_fail",
        "rekor2-checkpoint-missing-size_fail",
        "rekor2-checkpoint-no-matching-signature_fail",
    ] {
        let error = verify(name).unwrap_err();
        assert!(matches!(error, LogEntry(VerifyLogEntryError::Checkpoint(_))), "{name}: {error}");
    }
    let error = verify("rekor2-no-inclusion-proof_fail").unwrap_err();
    assert!(matches!(error, LogEntry(VerifyLogEntryError::NoProof)), "{error}");
    for name in [
        "rekor2-dsse-invalid-sig_fail",
        "rekor2-dsse-mismatch-envelope_fail",
        "rekor2-dsse-mismatch-sig_fail",
    ] {
        let error = verify(name).unwrap_err();
        assert!(matches!(error, OtherEntry), "{name}: {error}");
    }
}

#[test]
fn a_bundle_for_another_artifact_is_refused() {
    use ExpectedEntryError as E;
    let bundle = bundle("rekor2-happy-path").unwrap();
    let other = Digest::of(HashAlgorithm::Sha2_256, b"another artifact");
    let long = Digest::of(HashAlgorithm::Sha2_512, &file("conformance/a.txt"));
    let good = artifact();
    for (public_key, artifact, expected) in [
        (None, Some(&other), E::OtherArtifact),
        (None, Some(&long), E::DigestAlgorithm(HashAlgorithm::Sha2_256)),
        (None, None, E::NoArtifact),
        (Some(&b"key"[..]), Some(&good), E::UnusedKey),
    ] {
        let error = bundle.verify_log_entries(&root(), Expected { public_key, artifact }).unwrap_err();
        assert!(matches!(error, VerifyBundleError::Expected(error) if error == expected), "{error}");
    }
}

#[test]
fn a_bundle_of_a_log_that_nobody_knows_is_refused() {
    let artifact = artifact();
    let expected = Expected { public_key: None, artifact: Some(&artifact) };
    let bundle = bundle("rekor2-happy-path").unwrap();
    let error = bundle.verify_log_entries(&TrustedRoot::default(), expected).unwrap_err();
    assert!(matches!(error, VerifyBundleError::NoKnownLog));
}

#[test]
fn bundles_of_rekor_v1_are_read_and_not_believed() {
    for (name, kind) in [
        ("managed-key-and-trusted-root", "hashedrekord"),
        ("happy-path-v0.1", "hashedrekord"),
        ("happy-path-v0.2", "hashedrekord"),
        ("happy-path-v0.3", "hashedrekord"),
        ("happy-path-intoto-in-dsse-v3", "dsse"),
    ] {
        let bundle = bundle(name).unwrap();
        let entry = &bundle.log_entries()[0];
        assert_eq!(entry.kind_version(), (kind, "0.0.1"), "{name}");
        assert!(entry.has_inclusion_promise() && entry.integrated_time() > 0, "{name}");
        assert_eq!(matches!(bundle.content(), BundleContent::DsseEnvelope(_)), kind == "dsse", "{name}");
        if let Some(log) = root().rekor_log(entry.log_id()) {
            let log = log.to_rekor_log().unwrap();
            assert!(matches!(entry.verify(&log), Err(VerifyLogEntryError::Promise)), "{name}");
        }
    }
}

#[test]
fn what_is_no_bundle_is_not_read() {
    use ParseBundleError as E;
    assert!(matches!(bundle("bundle-unknown-version_fail"), Err(E::MediaType)));
    assert!(matches!(bundle("bundle-negative-log-index_fail"), Err(E::LogEntry(_))));
    assert!(matches!(bundle("bundle-invalid-base64-signature_fail"), Err(E::Json(_))));
    assert!(matches!(bundle("bundle-malformed-json_fail"), Err(E::Json(_))));
    let error = bundle("bundle-empty-certificate-chain_fail").unwrap_err();
    assert!(matches!(error, E::Field("x509CertificateChain")), "{error}");
}

#[test]
fn the_trusted_root_of_sigstore_is_read_and_written() {
    let root = root();
    assert_eq!(TrustedRoot::parse(root.to_json().as_bytes()).unwrap(), root);
    let origins = root.tlogs.iter().map(|log| log.to_rekor_log().unwrap().origin().to_string());
    assert_eq!(
        origins.collect::<Vec<_>>(),
        [
            "rekor.sigstage.dev",
            "log2025-alpha1.rekor.sigstage.dev",
            "log2025-alpha2.rekor.sigstage.dev",
            "log2025-alpha3.rekor.sigstage.dev"
        ]
    );
}
