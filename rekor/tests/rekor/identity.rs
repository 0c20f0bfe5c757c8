//! Whom the certificates of real bundles speak of.

use kiln_rekor::{Bundle, Certificate, Identity, SubjectName, VerificationMaterial};

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
