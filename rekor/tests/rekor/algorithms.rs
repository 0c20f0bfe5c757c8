//! Every kind of key that is accepted, under its own name and under every other.

use kiln_rekor::{
    CreateEntryRequest, Digest, Entry, EntrySignatureError, HashedRekord, KeyDetails, KeyMaterial, LogKey,
    Policy, RekorLog, RequestFault, Signature, Spec, Verifier,
};
use kiln_tiles::{Checkpoint, Hash, TreeHead};

use crate::support::{Signer, ed25519, p256, request, signers};

fn verify(body: &[u8]) -> Result<Entry, RequestFault> {
    let request = CreateEntryRequest::parse(body, &Policy::default()).unwrap();
    request.verify(&Policy::default()).map_err(|invalid| invalid.fault())
}

#[test]
fn every_accepted_kind_of_key_signs() {
    for signer in signers() {
        let entry = verify(&signer.request(b"artifact"))
            .unwrap_or_else(|fault| panic!("{}: {fault}", signer.details));
        let Spec::HashedRekord(record) = entry.spec() else { panic!() };
        assert_eq!(record.data, Digest::of(signer.hash(), b"artifact"));
        assert_eq!(record.signature.verifier, signer.verifier());
        assert_eq!(record.verify(), Ok(()));
        assert_eq!(Entry::parse(entry.body()).unwrap(), entry);
    }
}

/// rekor-tiles once took such entries, and no client verifies them.
#[test]
fn no_key_passes_under_the_name_of_another() {
    for signer in signers() {
        for details in KeyDetails::all().filter(|details| *details != signer.details) {
            let verifier = Verifier::new(details, KeyMaterial::PublicKey(signer.spki.clone()));
            let digest = Digest::of(signer.hash(), b"artifact");
            let fault = verify(&request(digest.as_bytes(), signer.sign(b"artifact"), verifier)).unwrap_err();
            match fault {
                RequestFault::NotAccepted(refused) => assert!(!details.is_accepted() && refused == details),
                RequestFault::Mismatch(mismatch) => {
                    assert!(details.is_accepted() && mismatch.details == details);
                }
                other => panic!("{} as {details}: {other}", signer.details),
            }
        }
    }
}

#[test]
fn a_signature_over_something_else_is_refused() {
    for signer in signers() {
        let digest = Digest::of(signer.hash(), b"another artifact");
        let body = request(digest.as_bytes(), signer.sign(b"artifact"), signer.verifier());
        assert!(matches!(verify(&body), Err(RequestFault::Signature(_))), "{}", signer.details);
    }
}

#[test]
fn a_changed_signature_is_refused() {
    for signer in signers() {
        let signature = signer.sign(b"artifact");
        let digest = Digest::of(signer.hash(), b"artifact");
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            for changed in [changed, signature[..at].to_vec(), [&signature[..], &[0]].concat()] {
                if changed.is_empty() {
                    continue;
                }
                let body = request(digest.as_bytes(), changed, signer.verifier());
                assert!(
                    matches!(verify(&body), Err(RequestFault::Signature(_))),
                    "{} at {at}",
                    signer.details
                );
            }
        }
    }
}

#[test]
fn the_digest_has_the_length_that_goes_with_the_key() {
    for signer in signers() {
        for size in
            [1, 20, 31, 32, 33, 48, 64, 65].into_iter().filter(|size| *size != signer.hash().digest_size())
        {
            let body = request(&vec![7; size], signer.sign(b"artifact"), signer.verifier());
            assert!(matches!(verify(&body), Err(RequestFault::Digest(_))), "{} {size}", signer.details);
        }
    }
}

#[test]
fn pure_ed25519_is_no_signature_over_a_digest() {
    let digest = Digest::of(ed25519().hash(), b"artifact");
    for signed in [&b"artifact"[..], digest.as_bytes()] {
        let body = request(digest.as_bytes(), ed25519().sign_pure(signed), ed25519().verifier());
        assert!(matches!(verify(&body), Err(RequestFault::Signature(_))));
    }
}

#[test]
fn a_policy_narrows_what_is_taken() {
    let policy = Policy::default().narrowed_to(&[KeyDetails::PkixEcdsaP256Sha256]).unwrap();
    for signer in signers() {
        let request = CreateEntryRequest::parse(&signer.request(b"artifact"), &policy).unwrap();
        let taken = request.verify(&policy).map_err(|invalid| invalid.fault());
        match signer.details {
            KeyDetails::PkixEcdsaP256Sha256 => assert!(taken.is_ok()),
            details => assert_eq!(taken.unwrap_err(), RequestFault::NotAccepted(details)),
        }
    }
}

/// A note that a key signed which is not of Ed25519.
fn signed_note(signer: &Signer, log: &RekorLog, text: &str, signature: &[u8]) -> Vec<u8> {
    let bytes = [&log.id().key_id().as_bytes()[..], signature].concat();
    assert_eq!(log.key().spki_der(), signer.spki);
    format!("{text}\n— {} {}\n", log.origin(), base64(&bytes)).into_bytes()
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(bytes)
}

#[test]
fn logs_sign_checkpoints_with_keys_of_every_kind() {
    let head = TreeHead::new(1, Hash::leaf(b"x")).unwrap();
    let text = Checkpoint::new("log.example.com", head).unwrap().to_string();
    for signer in signers() {
        let key = LogKey::from_spki_der(&signer.spki).unwrap();
        let log = RekorLog::new("log.example.com".parse().unwrap(), key);
        let pure = signer.details == KeyDetails::PkixEd25519Ph;
        let sign =
            |text: &str| if pure { signer.sign_pure(text.as_bytes()) } else { signer.sign(text.as_bytes()) };
        let note = signed_note(signer, &log, &text, &sign(&text));
        assert_eq!(log.open_checkpoint(&note), Ok(head), "{}", signer.details);
        let forged = signed_note(signer, &log, &text.replace("\n1\n", "\n2\n"), &sign(&text));
        assert!(log.open_checkpoint(&forged).is_err(), "{}", signer.details);
        let other = text.replace("log.example.com", "other.example");
        let foreign = signed_note(signer, &log, &other, &sign(&other));
        assert!(log.open_checkpoint(&foreign).is_err(), "{}", signer.details);
    }
    let log = RekorLog::new("log.example.com".parse().unwrap(), LogKey::from_spki_der(&p256().spki).unwrap());
    let unsigned = format!("{text}\n— log.example.com AAAAAAAA\n");
    assert!(log.open_checkpoint(unsigned.as_bytes()).is_err());
}

/// Logs hold such entries from before their rule about key details. A monitor says so.
#[test]
fn an_entry_that_no_client_verifies_is_told() {
    let signature = |details, signer: &Signer| {
        let verifier = Verifier::new(details, KeyMaterial::PublicKey(signer.spki.clone()));
        Signature { content: signer.sign(b"artifact"), verifier }
    };
    let data = Digest::of(p256().hash(), b"artifact");
    let mislabelled = signature(KeyDetails::PkixRsaPkcs1v15_2048Sha256, p256());
    let entry =
        Entry::new(Spec::HashedRekord(HashedRekord { data: data.clone(), signature: mislabelled })).unwrap();
    let Spec::HashedRekord(record) = Entry::parse(entry.body()).unwrap().spec().clone() else { panic!() };
    assert!(matches!(record.verify(), Err(EntrySignatureError::Verifier(_))));

    let signature = signature(p256().details, p256());
    let long = Digest::of(ed25519().hash(), b"artifact");
    let record = HashedRekord { data: long, signature: signature.clone() };
    assert!(matches!(record.verify(), Err(EntrySignatureError::DigestAlgorithm { .. })));
    let record = HashedRekord { data: Digest::of(p256().hash(), b"other"), signature };
    assert!(matches!(record.verify(), Err(EntrySignatureError::Signature(_))));
}
