//! Whom the certificates of real bundles speak of.

use kiln_rekor::{
    Bundle, Certificate, CertificateError, Identity, IdentityError, PublicKeyError, SubjectName,
    VerificationMaterial,
};

use crate::support::file;

fn identity(bundle: &str) -> Identity {
    let bundle = Bundle::parse(&file(bundle)).unwrap();
    let VerificationMaterial::Certificate(der) = bundle.material() else { panic!("no certificate") };
    Certificate::from_der(der).unwrap().identity().unwrap()
}

#[test]
fn a_workflow_is_named_by_its_uri_and_tells_where_it_ran() {
    let identity = identity("conformance/rekor2-happy-path.bundle.json");
    let workflow = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
    assert_eq!(identity.names, [SubjectName::Uri(workflow.to_owned())]);
    assert_eq!(identity.oidc_issuer(), Some("https://token.actions.githubusercontent.com"));
    assert_eq!(identity.serial, "246a39aa0c8a263fd35f53f6dd58487055b4822e");
    assert_eq!(identity.subject, "");
    assert_eq!(identity.issuer, "CN=sigstore-intermediate,O=sigstore.dev");
    assert_eq!(identity.not_before.to_string(), "2025-06-12T12:02:16Z");
    assert_eq!(identity.not_after.to_string(), "2025-06-12T12:12:16Z");
    let known = identity.extensions.iter().map(|extension| (extension.number, extension.name().unwrap()));
    assert_eq!(known.clone().count(), 21);
    assert!(known.clone().any(|found| found == (11, "Runner Environment")));
    assert_eq!(identity.extension(11), Some("github-hosted"));
    assert_eq!(identity.extension(4), Some("Extremely dangerous OIDC beacon"));
    assert_eq!(identity.extension(7), None);
}

#[test]
fn fulcios_other_name_is_read() {
    let identity = identity("othername.bundle.json");
    assert_eq!(identity.names, [SubjectName::Fulcio("foo!oidc.local".to_owned())]);
    assert_eq!(identity.oidc_issuer(), Some("http://oidc.local:8080"));
    assert_eq!(identity.extension(1), identity.extension(8));
}

fn certificate() -> Vec<u8> {
    use base64ct::{Base64, Encoding};
    let request: serde_json::Value = serde_json::from_slice(&file("p256-certificate.request.json")).unwrap();
    let verifier = &request["hashedRekordRequestV002"]["signature"]["verifier"];
    Base64::decode_vec(verifier["x509Certificate"]["rawBytes"].as_str().unwrap()).unwrap()
}

/// Replaces the first occurrence of some bytes.
fn replaced(der: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = der.windows(from.len()).position(|window| window == from).unwrap();
    [&der[..at], to, &der[at + from.len()..]].concat()
}

#[test]
fn each_fault_of_a_certificate_has_its_error() {
    let good = certificate();
    let ecdsa_with_sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let ecdsa_with_sha384 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
    let p256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let p192 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x01];
    for (der, error) in [
        (b"-----BEGIN CERTIFICATE-----".to_vec(), CertificateError::Pem),
        (vec![0x30; Certificate::MAX_SIZE + 1], CertificateError::TooLong),
        (Vec::new(), CertificateError::Der),
        ([&good[..], &[0]].concat(), CertificateError::Der),
        (good[..good.len() - 1].to_vec(), CertificateError::Der),
        (replaced(&good, &ecdsa_with_sha256, &ecdsa_with_sha384), CertificateError::Algorithms),
        (replaced(&good, &p256, &p192), CertificateError::Key(PublicKeyError::Curve)),
    ] {
        assert_eq!(Certificate::from_der(&der).unwrap_err(), error);
    }
    let plain = Certificate::from_der(&good).unwrap().identity().unwrap();
    assert_eq!((&plain.subject[..], &plain.names[..], plain.oidc_issuer()), ("CN=probe", &[][..], None));
}

#[test]
fn extensions_that_are_no_text_are_an_error() {
    let bundle = Bundle::parse(&file("othername.bundle.json")).unwrap();
    let VerificationMaterial::Certificate(good) = bundle.material() else { panic!("no certificate") };
    let identity = |der: &[u8]| Certificate::from_der(der).unwrap().identity().unwrap_err();
    // The tag of the UTF8String within extension 8 becomes that of an OCTET STRING.
    assert_eq!(identity(&replaced(good, b"\x0c\x16http", b"\x04\x16http")), IdentityError::Extension(8));
    // Extension 1 becomes another 8.
    let fulcio = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01];
    let (first, eighth) = ([&fulcio[..], &[1]].concat(), [&fulcio[..], &[8]].concat());
    assert_eq!(identity(&replaced(good, &first, &eighth)), IdentityError::Extension(8));
    assert_eq!(identity(&replaced(good, b"\x0c\x0efoo!", b"\x04\x0efoo!")), IdentityError::Names);
}
