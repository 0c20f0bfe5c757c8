//! What a log refuses, in the words that clients know, and why.

use std::time::{Duration, Instant};

use kiln_rekor::{
    CreateEntryRequest, Digest, Entry, KeyDetails, KeyMaterial, KeyMaterialError, ParseRequestError, Policy,
    PublicKeyError, RequestFault, Verifier,
};

use crate::support::{p256, request, signers, text};

fn parse(body: &str) -> Result<CreateEntryRequest, ParseRequestError> {
    CreateEntryRequest::parse(body.as_bytes(), &Policy::default())
}

fn fault(body: &str) -> RequestFault {
    let invalid = parse(body).unwrap().verify(&Policy::default()).unwrap_err();
    assert_eq!(invalid.to_string(), "invalid hashedrekord request");
    invalid.fault()
}

fn good() -> String {
    text("p256-key.request.json")
}

fn p256_key() -> String {
    good().split_once(r#""publicKey":{"rawBytes":""#).unwrap().1.split_once('"').unwrap().0.to_owned()
}

#[test]
fn a_request_of_no_kind_is_told_which_there_are() {
    for body in ["", " \n", "{}", r#"{"hashedRekordRequestV002":null}"#, &text("dsse.request.json")] {
        assert_eq!(parse(body).unwrap_err().to_string(), "invalid type, must be hashedrekord", "{body}");
    }
    let both = Policy::default().with_dsse();
    for body in ["", "{}", r#"{"dsse_request_v002":null}"#] {
        let error = CreateEntryRequest::parse(body.as_bytes(), &both).unwrap_err();
        assert_eq!(error.to_string(), "invalid type, must be either hashedrekord or dsse");
    }
    assert!(CreateEntryRequest::parse(text("dsse.request.json").as_bytes(), &both).is_ok());
}

#[test]
fn what_is_no_json_of_a_request_is_refused_with_its_place() {
    let good = good();
    for (body, place) in [
        (good.replacen(r#""digest""#, r#""foo""#, 1), "unknown field `foo`"),
        (good.replacen('{', r#"{"foo":1,"#, 1), "unknown field `foo`"),
        (good.replacen(r#""rawBytes""#, r#""rawbytes""#, 1), "unknown field `rawbytes`"),
        (good.replacen(r#""digest":"6G"#, r#""digest":"!!"#, 1), "not base64"),
        (good.replacen("PKIX_ECDSA_P256_SHA_256", "PKIX_ECDSA_P256", 1), "no name of key details"),
        (good.replacen(r#""PKIX_ECDSA_P256_SHA_256""#, "4294967301", 1), "32 bits"),
        (good.replacen(r#""PKIX_ECDSA_P256_SHA_256""#, "5.0", 1), "invalid type"),
        (good.replacen(r#""digest""#, r#""digest":"","digest""#, 1), "duplicate field `digest`"),
        (good.replacen(r#""publicKey""#, r#""public_key":{},"publicKey""#, 1), "duplicate field `publicKey`"),
        (good.clone() + "x", "trailing characters"),
        (good.clone() + "{}", "trailing characters"),
        (good[..good.len() - 1].to_owned(), "EOF"),
        ("[]".to_owned(), "invalid type"),
        ("null".to_owned(), "invalid type"),
        (r#"{"hashedRekordRequestV002":[]}"#.to_owned(), "invalid type"),
        (format!("{}{}", r#"{"hashedRekordRequestV002":"#, "[".repeat(1 << 20)), "invalid type"),
    ] {
        let error = parse(&body).unwrap_err();
        assert!(matches!(error, ParseRequestError::Json(_)), "{error}");
        let message = error.to_string();
        assert!(message.contains(place) && message.contains("line 1 column"), "{message}");
    }
}

#[test]
fn two_members_of_a_oneof_are_refused() {
    let good = good();
    let certificate = good.replacen(r#""publicKey""#, r#""x509Certificate":{},"publicKey""#, 1);
    let kinds = good.replacen('{', r#"{"dsseRequestV002":{},"#, 1);
    for (body, names) in
        [(certificate, "publicKey and x509Certificate"), (kinds, "hashedRekordRequestV002 and dsse")]
    {
        let error = parse(&body).unwrap_err();
        assert!(matches!(error, ParseRequestError::Oneof(_)) && error.to_string().contains(names), "{error}");
    }
}

#[test]
fn other_spellings_of_a_good_request_make_the_same_entry() {
    let good = good();
    let entry = |body: &str| parse(body).unwrap().verify(&Policy::default()).unwrap();
    let expected = entry(&good);
    let snake = good
        .replace("hashedRekordRequestV002", "hashed_rekord_request_v002")
        .replace("publicKey", "public_key")
        .replace("rawBytes", "raw_bytes")
        .replace("keyDetails", "key_details");
    for body in [
        snake,
        good.replace(r#""PKIX_ECDSA_P256_SHA_256""#, "5"),
        good.replace("=\"", "\"").replace("=\"", "\""),
        good.replace('+', "-").replace('/', "_"),
        good.replace('+', "-").replace('/', "_").replace("=\"", "\"").replace("=\"", "\""),
        good.replacen(r#""publicKey""#, r#""x509Certificate":null,"publicKey""#, 1),
        good.replacen('{', r#"{"dsseRequestV002":null,"#, 1),
        good.replace(':', " : ").replace(',', "\n,\t") + "\r\n ",
        good.replace("PKIX", r"\u0050KIX"),
    ] {
        assert_eq!(entry(&body), expected, "{body}");
    }
}

#[test]
fn each_missing_part_of_a_request_is_named_in_the_order_of_the_checks() {
    use RequestFault as F;
    for (body, expected) in [
        ("{}", F::NoSignature),
        (r#"{"signature":{}}"#, F::NoSignature),
        (r#"{"signature":{"content":""}}"#, F::NoSignature),
        (r#"{"signature":{"content":"AA=="}}"#, F::NoVerifier),
        (r#"{"signature":{"content":"AA==","verifier":null},"digest":"AA=="}"#, F::NoVerifier),
        (r#"{"signature":{"content":"AA==","verifier":{}}}"#, F::NoDigest),
        (r#"{"signature":{"content":"AA==","verifier":{}},"digest":""}"#, F::NoDigest),
        (r#"{"signature":{"content":"AA==","verifier":{}},"digest":"AA=="}"#, F::NoKey),
        (
            r#"{"signature":{"content":"AA==","verifier":{"publicKey":{}}},"digest":"AA=="}"#,
            F::Key(KeyMaterialError::Empty),
        ),
        (
            r#"{"signature":{"content":"AA==","verifier":{"x509Certificate":{"rawBytes":""}}},"digest":"AA=="}"#,
            F::Key(KeyMaterialError::Empty),
        ),
        (
            r#"{"signature":{"content":"AA==","verifier":{"publicKey":{"rawBytes":"AA=="}}},"digest":"AA=="}"#,
            F::Key(PublicKeyError::Der.into()),
        ),
    ] {
        assert_eq!(fault(&format!(r#"{{"hashedRekordRequestV002":{body}}}"#)), expected, "{body}");
    }
    let with_details = |details: &str| {
        let key = p256_key();
        let verifier = format!(r#"{{"publicKey":{{"rawBytes":"{key}"}}{details}}}"#);
        fault(&format!(
            r#"{{"hashedRekordRequestV002":{{"signature":{{"content":"AA==","verifier":{verifier}}},"digest":"AA=="}}}}"#
        ))
    };
    assert_eq!(with_details(""), F::NotAccepted(KeyDetails::Unspecified));
    assert_eq!(with_details(r#","keyDetails":24"#), F::UnknownKeyDetails(24));
    assert_eq!(with_details(r#","keyDetails":-1"#), F::UnknownKeyDetails(-1));
    assert_eq!(with_details(r#","keyDetails":"PKIX_ED25519""#), F::NotAccepted(KeyDetails::PkixEd25519));
    assert!(matches!(with_details(r#","keyDetails":13"#), F::Mismatch(_)));
    assert!(matches!(with_details(r#","keyDetails":5"#), F::Digest(_)));
}

#[test]
fn pem_is_refused() {
    let pem = b"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n".to_vec();
    let details = KeyDetails::PkixEcdsaP256Sha256;
    let key = Verifier::new(details, KeyMaterial::PublicKey(pem.clone()));
    let certificate = Verifier::new(details, KeyMaterial::X509Certificate(pem));
    for verifier in [key, certificate] {
        let body = String::from_utf8(request(&[7; 32], vec![7], verifier)).unwrap();
        let RequestFault::Key(error) = fault(&body) else { panic!() };
        assert!(error.to_string().contains("is PEM"), "{error}");
    }
}

/// A point off its curve has the form of a key, and no signature verifies by it.
#[test]
fn a_point_off_its_curve_verifies_nothing() {
    for signer in signers().iter().filter(|signer| signer.details.name().contains("ECDSA")) {
        let mut spki = signer.spki.clone();
        *spki.last_mut().unwrap() ^= 1;
        let verifier = Verifier::new(signer.details, KeyMaterial::PublicKey(spki));
        let digest = Digest::of(signer.hash(), b"artifact");
        let body = String::from_utf8(request(digest.as_bytes(), signer.sign(b"artifact"), verifier)).unwrap();
        assert!(matches!(fault(&body), RequestFault::Signature(_)), "{}", signer.details);
    }
}

/// Keys, certificates and signatures of absurd size: refused, at once.
#[test]
fn absurd_input_costs_nothing() {
    let signature = p256().sign(b"artifact");
    let digest = Digest::of(p256().hash(), b"artifact");
    let padded = |spki: &[u8]| [spki, &vec![0; 3 << 20]].concat();
    let rsa = rsa_spki(16_384);
    let huge_rsa = rsa_spki(8 << 20);
    for (details, material) in [
        (KeyDetails::PkixRsaPkcs1v15_4096Sha256, KeyMaterial::PublicKey(rsa)),
        (KeyDetails::PkixRsaPkcs1v15_4096Sha256, KeyMaterial::PublicKey(huge_rsa)),
        (KeyDetails::PkixEcdsaP256Sha256, KeyMaterial::PublicKey(padded(&p256().spki))),
        (KeyDetails::PkixEcdsaP256Sha256, KeyMaterial::X509Certificate(padded(&[0x30]))),
        (KeyDetails::PkixEcdsaP256Sha256, KeyMaterial::X509Certificate(nested(3 << 20))),
        (KeyDetails::PkixEcdsaP256Sha256, KeyMaterial::PublicKey(nested(3 << 20))),
    ] {
        let verifier = Verifier::new(details, material);
        let body = String::from_utf8(request(digest.as_bytes(), signature.clone(), verifier)).unwrap();
        let start = Instant::now();
        let fault = fault(&body);
        assert!(start.elapsed() < Duration::from_secs(2), "{fault}: {:?}", start.elapsed());
        assert!(matches!(fault, RequestFault::Key(_) | RequestFault::Mismatch(_)), "{fault}");
    }
    let long = String::from_utf8(request(digest.as_bytes(), vec![0x30; 3 << 20], p256().verifier())).unwrap();
    assert!(matches!(fault(&long), RequestFault::Signature(_)));
}

/// The `SubjectPublicKeyInfo` of an RSA key: all bits of the modulus are set.
fn rsa_spki(bits: usize) -> Vec<u8> {
    let modulus = der(0x02, &[&[0][..], &vec![0xff; bits / 8]].concat());
    let key = der(0x30, &[modulus, der(0x02, &[1, 0, 1])].concat());
    let algorithm =
        der(0x30, &[der(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), der(0x05, &[])].concat());
    der(0x30, &[algorithm, der(0x03, &[&[0][..], &key].concat())].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|&byte| byte != 0).unwrap_or(7)..];
    let mut bytes = vec![tag];
    if content.len() >= 0x80 {
        bytes.push(0x80 | u8::try_from(length.len()).unwrap());
    }
    bytes.extend_from_slice(length);
    bytes.extend_from_slice(content);
    bytes
}

/// Sequences in sequences, as many as fit.
fn nested(size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < size {
        let rest = u32::try_from(size - bytes.len()).unwrap().to_be_bytes();
        bytes.extend_from_slice(&[0x30, 0x84]);
        bytes.extend_from_slice(&rest);
    }
    bytes
}

/// rekor-tiles says 500 here. A body of 65,535 bytes is the longest that an entry bundle holds.
#[test]
fn a_body_that_no_log_can_hold_is_refused() {
    let certificate = |padding: usize| {
        let body = text("p256-certificate.request.json");
        let raw = body.split_once(r#""x509Certificate":{"rawBytes":""#).unwrap().1.split_once('"').unwrap().0;
        padded_certificate(raw, padding)
    };
    let sized = |padding| {
        let verifier = Verifier::new(
            KeyDetails::PkixEcdsaP256Sha256,
            KeyMaterial::X509Certificate(certificate(padding)),
        );
        let entry =
            parse(&text("p256-certificate.request.json")).unwrap().verify(&Policy::default()).unwrap();
        let kiln_rekor::Spec::HashedRekord(record) = entry.spec() else { panic!() };
        String::from_utf8(request(record.data.as_bytes(), record.signature.content.clone(), verifier))
            .unwrap()
    };
    let entry = |padding| parse(&sized(padding)).unwrap().verify(&Policy::default());
    let fits = entry(48_000).unwrap();
    assert!(fits.body().len() < 65_535 && fits.body().len() > 60_000);
    assert_eq!(Entry::parse(fits.body()).unwrap(), fits);
    assert!(matches!(fault(&sized(48_700)), RequestFault::TooLong(_)));
    assert!(matches!(fault(&sized(60_000)), RequestFault::Key(_)));
}

/// The certificate of an example, with an extension of that many bytes.
fn padded_certificate(base64: &str, padding: usize) -> Vec<u8> {
    use base64ct::{Base64, Encoding};
    let raw = Base64::decode_vec(base64).unwrap();
    // SEQUENCE { tbs, algorithm, signature }; tbs has no extensions in it yet.
    let tbs_start = 4;
    let tbs_length = usize::from(raw[tbs_start + 2]);
    let tbs = &raw[tbs_start + 3..tbs_start + 3 + tbs_length];
    let rest = &raw[tbs_start + 3 + tbs_length..];
    let extension = der(0x30, &[der(0x06, &[0x2a, 0x03, 0x04]), der(0x04, &vec![0; padding])].concat());
    let extensions = der(0xa3, &der(0x30, &extension));
    let tbs = der(0x30, &[tbs, &extensions].concat());
    der(0x30, &[&tbs, rest].concat())
}
