//! `dsse` requests, which sigstore-js sends.

use kiln_rekor::{
    CreateEntryRequest, Dsse, Entry, Envelope, EnvelopeSignature, KeyDetails, KeyMaterial, Policy,
    RequestFault, Spec, Verifier,
};

use crate::support::{Signer, ed25519, p256, signers};

fn envelope(signatures: Vec<Vec<u8>>) -> Envelope {
    let signatures = signatures.into_iter().map(|sig| EnvelopeSignature { sig, keyid: "hint".to_owned() });
    Envelope {
        payload: b"payload".to_vec(),
        payload_type: "text/plain".to_owned(),
        signatures: signatures.collect(),
    }
}

fn encoding() -> Vec<u8> {
    envelope(Vec::new()).pre_authentication_encoding()
}

fn verify(envelope: &Envelope, verifiers: &[Verifier]) -> Result<Entry, RequestFault> {
    let policy = Policy::default().with_dsse();
    let body = CreateEntryRequest::dsse_json(envelope, verifiers);
    let request = CreateEntryRequest::parse(body.as_bytes(), &policy).unwrap();
    request.verify(&policy).map_err(|invalid| {
        assert_eq!(invalid.to_string(), "invalid dsse request");
        invalid.fault()
    })
}

#[test]
fn every_kind_of_key_signs_envelopes() {
    for signer in signers() {
        let envelope = envelope(vec![signer.sign(&encoding())]);
        let entry = verify(&envelope, &[signer.verifier()]).unwrap();
        let Spec::Dsse(dsse) = entry.spec() else { panic!() };
        assert_eq!(dsse.verify(&envelope), Ok(()));
        assert!(dsse.verify(&Envelope { payload: b"other".to_vec(), ..envelope.clone() }).is_err());
        assert!(dsse.verify(&Envelope { payload_type: "other".to_owned(), ..envelope }).is_err());
        assert_eq!(Entry::parse(entry.body()).unwrap(), entry);
    }
}

#[test]
fn pure_ed25519_signs_envelopes_under_its_own_name() {
    let envelope = envelope(vec![ed25519().sign_pure(&encoding())]);
    let pure = Verifier::new(KeyDetails::PkixEd25519, KeyMaterial::PublicKey(ed25519().spki.clone()));
    let entry = verify(&envelope, &[pure]).unwrap();
    assert_eq!(entry.signatures()[0].verifier.details(), KeyDetails::PkixEd25519);
    assert!(matches!(verify(&envelope, &[ed25519().verifier()]), Err(RequestFault::Signature(_))));
}

#[test]
fn signatures_are_sorted_and_each_has_its_verifier() {
    let signers: Vec<&Signer> = signers().iter().collect();
    let signatures: Vec<_> = signers.iter().map(|signer| signer.sign(&encoding())).collect();
    let verifiers: Vec<_> = signers.iter().rev().map(|signer| signer.verifier()).collect();
    let entry = verify(&envelope(signatures.clone()), &verifiers).unwrap();
    let mut sorted = signatures.clone();
    sorted.sort();
    let logged: Vec<_> = entry.signatures().iter().map(|signature| signature.content.clone()).collect();
    assert_eq!(logged, sorted);
    for (signer, signature) in signers.iter().zip(signatures) {
        let logged = entry.signatures().iter().find(|logged| logged.content == signature).unwrap();
        assert_eq!(logged.verifier, signer.verifier());
    }
}

#[test]
fn a_signature_that_is_there_twice_is_logged_once() {
    let signature = p256().sign(&encoding());
    let entry = verify(&envelope(vec![signature.clone(), signature]), &[p256().verifier()]).unwrap();
    assert_eq!(entry.signatures().len(), 1);
}

#[test]
fn each_fault_of_an_envelope_has_its_error() {
    use RequestFault as F;
    let good = p256().sign(&encoding());
    let verifier = p256().verifier();
    let too_many = Dsse::MAX_SIGNATURES + 1;
    for (signatures, verifiers, fault) in [
        (vec![], vec![verifier.clone()], F::SignatureCount(0)),
        (vec![good.clone(); too_many], vec![verifier.clone()], F::SignatureCount(too_many)),
        (vec![good.clone()], vec![], F::NoVerifier),
        (vec![good.clone()], vec![verifier.clone(); too_many], F::TooManyVerifiers(too_many)),
        (vec![good.clone(), vec![]], vec![verifier.clone()], F::NoSignature),
    ] {
        assert_eq!(verify(&envelope(signatures), &verifiers), Err(fault));
    }
    // One signature that nobody made spoils the envelope.
    let bad = p256().sign(b"something else");
    let spoilt = verify(&envelope(vec![good, bad]), &[verifier]);
    assert!(matches!(spoilt, Err(F::Signature(_))), "{spoilt:?}");
}

#[test]
fn an_envelope_must_be_there() {
    let policy = Policy::default().with_dsse();
    for body in [r#"{"dsseRequestV002":{}}"#, r#"{"dsse_request_v002":{"envelope":null,"verifiers":null}}"#] {
        let request = CreateEntryRequest::parse(body.as_bytes(), &policy).unwrap();
        assert_eq!(request.verify(&policy).unwrap_err().fault(), RequestFault::NoEnvelope);
    }
}
