//! Fake services, which sign with keys of their own, look at what they are asked, and do what they are told.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kiln_sequencer::Signer;
use kiln_tiles::{KeyName, Note, SigningKey, VerifierKey};
use object_store::StaticCredentialProvider;
use object_store::aws::AwsCredential;
use object_store::gcp::GcpCredential;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::aws::AwsKms;
use crate::gcp::GcpKms;
use crate::key::{KmsKey, Service};
use crate::{KeyReference, KmsError};

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is answered.
    Done,
    /// With the signature of another text, or the key of another.
    Wrong,
    /// With a checksum that is not that of what it is with. AWS has none.
    Damaged,
    /// As if what came had had another checksum.
    Unseen,
    /// In the name of another version of the key.
    Other,
    /// With this status and body.
    Status(u16, &'static str),
    /// With more than anybody reads.
    Huge,
    /// Never.
    Stall,
}

/// What a service was asked.
struct Asked {
    method: String,
    path: String,
    headers: HashMap<String, String>,
    body: Bytes,
}

#[derive(Default)]
struct State {
    fates: VecDeque<Fate>,
    asked: Vec<Asked>,
}

/// A service of both clouds, with one key.
#[derive(Clone)]
struct Fake {
    key: Arc<SigningKey>,
    state: Arc<Mutex<State>>,
    endpoint: String,
}

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const NAME: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";
const TEXT: &str = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

fn name() -> KeyName {
    "example.com/log".parse().unwrap()
}

fn ed25519() -> SigningKey {
    SigningKey::from_seed(name(), [7; 32])
}

fn ecdsa() -> SigningKey {
    SigningKey::ecdsa_from_secret(name(), [7; 32]).unwrap()
}

impl Fake {
    async fn start(key: SigningKey) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { key: Arc::new(key), state: Arc::default(), endpoint };
        let server = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = server.clone();
                let service = service_fn(move |request| fake.clone().answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        fake
    }

    fn aws(&self) -> Box<dyn Service> {
        let Ok(KeyReference::Aws(key)) = format!("awskms:///{ARN}").parse() else { panic!("no reference") };
        let credential = AwsCredential {
            key_id: "AKID".into(),
            secret_key: SECRET.into(),
            token: Some("a session's".into()),
        };
        let credentials = Arc::new(StaticCredentialProvider::new(credential));
        Box::new(AwsKms::with(&key, "eu-west-1".into(), self.endpoint.clone(), credentials).unwrap())
    }

    fn gcp(&self) -> Box<dyn Service> {
        let Ok(KeyReference::Gcp(key)) = format!("gcpkms://{NAME}").parse() else { panic!("no reference") };
        let credentials = Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: "a token".into() }));
        Box::new(GcpKms::with(&key, self.endpoint.clone(), credentials).unwrap())
    }

    fn both(&self) -> [Box<dyn Service>; 2] {
        [self.aws(), self.gcp()]
    }

    fn fate(&self, fates: &[Fate]) {
        self.state().fates = fates.iter().copied().collect();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = parts.headers.iter().map(|(key, value)| (key.to_string(), text(value))).collect();
        let body = body.collect().await.unwrap().to_bytes();
        let asked = Asked { method: parts.method.to_string(), path: parts.uri.to_string(), headers, body };
        let fate = self.state().fates.pop_front().unwrap_or(Fate::Done);
        let (status, body) = match fate {
            Fate::Status(status, body) => (status, body.to_owned()),
            Fate::Huge => (200, " ".repeat(1 << 20)),
            Fate::Stall => std::future::pending().await,
            fate if asked.headers.contains_key("x-amz-target") => {
                (200, self.answer_aws(&asked, fate).to_string())
            }
            fate => (200, self.answer_gcp(&asked, fate).to_string()),
        };
        self.state().asked.push(asked);
        Ok(Response::builder().status(status).body(body.into()).unwrap())
    }

    fn answer_aws(&self, asked: &Asked, fate: Fate) -> Value {
        let input: Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(input["KeyId"], ARN);
        match asked.headers["x-amz-target"].as_str() {
            "TrentService.GetPublicKey" => {
                json!({ "KeyId": ARN, "KeyUsage": "SIGN_VERIFY", "PublicKey": Base64::encode_string(&self.der(fate)) })
            }
            "TrentService.Sign" => {
                assert_eq!(input["MessageType"], "RAW");
                let algorithm = if self.is_ed25519() { "ED25519_SHA_512" } else { "ECDSA_SHA_256" };
                assert_eq!(input["SigningAlgorithm"], algorithm);
                let signature = self.sign(input["Message"].as_str().unwrap(), fate);
                json!({ "KeyId": ARN, "Signature": Base64::encode_string(&signature), "SigningAlgorithm": algorithm })
            }
            other => panic!("{other}"),
        }
    }

    fn answer_gcp(&self, asked: &Asked, fate: Fate) -> Value {
        let name =
            if matches!(fate, Fate::Other) { NAME.replace("Versions/1", "Versions/2") } else { NAME.into() };
        let checksum = |bytes: &[u8]| match fate {
            Fate::Damaged => "0".to_owned(),
            _ => crc(bytes),
        };
        if asked.method == "GET" {
            assert_eq!(asked.path, format!("/v1/{NAME}/publicKey"));
            let der = Base64::encode_string(&self.der(fate));
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
            let algorithm = if self.is_ed25519() { "EC_SIGN_ED25519" } else { "EC_SIGN_P256_SHA256" };
            return json!({ "name": name, "algorithm": algorithm, "pemCrc32c": checksum(pem.as_bytes()), "pem": pem });
        }
        assert_eq!(asked.path, format!("/v1/{NAME}:asymmetricSign"));
        let input: Value = serde_json::from_slice(&asked.body).unwrap();
        let (signed, sum, verified) = if self.is_ed25519() {
            (input["data"].clone(), &input["dataCrc32c"], "verifiedDataCrc32c")
        } else {
            // The service knows the text by its digest alone; this one signs the only text that there is.
            let digest = Base64::decode_vec(input["digest"]["sha256"].as_str().unwrap()).unwrap();
            assert_eq!(digest[..], Sha256::digest(TEXT)[..]);
            assert_eq!(input["digestCrc32c"], crc(&digest));
            (Base64::encode_string(TEXT.as_bytes()).into(), &Value::Null, "verifiedDigestCrc32c")
        };
        let signed = signed.as_str().unwrap();
        assert!(sum.is_null() || *sum == crc(&Base64::decode_vec(signed).unwrap()));
        let signature = self.sign(signed, fate);
        json!({
            "name": name, "signature": Base64::encode_string(&signature), "signatureCrc32c": checksum(&signature),
            verified: !matches!(fate, Fate::Unseen), "protectionLevel": "HSM",
        })
    }

    fn is_ed25519(&self) -> bool {
        self.key.verifier_key().to_typed_bytes()[0] == 1
    }

    fn der(&self, fate: Fate) -> Vec<u8> {
        let typed = self.key.verifier_key().to_typed_bytes();
        match fate {
            Fate::Wrong => vec![0x30, 0x82],
            _ if self.is_ed25519() => {
                let prefix = Base64::decode_vec("MCowBQYDK2VwAyEA").unwrap();
                [&prefix[..], &typed[1..]].concat()
            }
            _ => typed[1..].to_vec(),
        }
    }

    fn sign(&self, base64: &str, fate: Fate) -> Vec<u8> {
        let mut text = String::from_utf8(Base64::decode_vec(base64).unwrap()).unwrap();
        if matches!(fate, Fate::Wrong) {
            text = format!("not {text}");
        }
        (*self.key).sign(text).unwrap().signatures()[0].signature().to_vec()
    }
}

fn crc(bytes: &[u8]) -> String {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes).to_string()
}

async fn open(service: Box<dyn Service>) -> Result<KmsKey, KmsError> {
    KmsKey::of(service, name()).await
}

fn verifies(vkey: &VerifierKey, line: kiln_tiles::NoteSignature) -> bool {
    Note::new(TEXT.into(), vec![line]).unwrap().verify(std::slice::from_ref(vkey)).is_ok()
}

#[tokio::test]
async fn both_clouds_sign_with_both_kinds_of_keys() {
    for key in [ed25519(), ecdsa()] {
        let vkey = key.verifier_key();
        let fake = Fake::start(key).await;
        for service in fake.both() {
            let key = open(service).await.unwrap();
            assert_eq!((key.verifier_key(), key.name()), (vkey.clone(), &name()));
            assert!(verifies(&vkey, key.sign(TEXT).await.unwrap()));
        }
        assert_eq!(fake.state().asked.len(), 4);
    }
}

/// [Signature Version 4](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html), as
/// AWS computes it from what arrives.
fn signature_4(asked: &Asked) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let authorization = &asked.headers["authorization"];
    let signed = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    let headers: String =
        signed.split(';').map(|name| format!("{name}:{}\n", asked.headers[name].trim())).collect();
    let body = hex(&Sha256::digest(&asked.body));
    let canonical = format!("{}\n{}\n\n{headers}\n{signed}\n{body}", asked.method, asked.path);
    let (time, scope) = (&asked.headers["x-amz-date"], "eu-west-1/kms/aws4_request");
    let date = &time[..8];
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{time}\n{date}/{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let key = [date, "eu-west-1", "kms", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| mac(&key, part));
    format!(
        "AWS4-HMAC-SHA256 Credential=AKID/{date}/{scope}, SignedHeaders={signed}, Signature={}",
        hex(&mac(&key, &to_sign))
    )
}

#[tokio::test]
async fn requests_are_signed_as_each_cloud_asks_for() {
    let fake = Fake::start(ed25519()).await;
    for service in fake.both() {
        open(service).await.unwrap().sign(TEXT).await.unwrap();
    }
    let state = fake.state();
    let [get, sign, get_gcp, sign_gcp] = &state.asked[..] else { panic!("not four requests") };
    for asked in [get, sign] {
        assert_eq!(asked.headers["authorization"], signature_4(asked));
        assert_eq!(asked.headers["content-type"], "application/x-amz-json-1.1");
        assert_eq!(asked.headers["x-amz-security-token"], "a session's");
        let signed = ";host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target,";
        assert!(asked.headers["authorization"].contains(signed));
    }
    for asked in [get_gcp, sign_gcp] {
        assert_eq!(asked.headers["authorization"], "Bearer a token");
    }
}

const THROTTLED: Fate = Fate::Status(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#);
const BROKEN: Fate = Fate::Status(500, r#"{"__type":"com.amazonaws.kms#KMSInternalException"}"#);

/// Whatever may be otherwise in a moment is tried again, and nothing else is.
#[tokio::test]
async fn what_passes_is_waited_for() {
    let fake = Fake::start(ed25519()).await;
    for service in fake.both() {
        let key = open(service).await.unwrap();
        for fates in [
            &[Fate::Status(429, ""), Fate::Status(503, "nonsense")][..],
            &[BROKEN],
            &[Fate::Wrong],
            &[Fate::Stall],
        ] {
            fake.fate(fates);
            assert!(verifies(&key.verifier_key(), key.sign(TEXT).await.unwrap()), "{fates:?}");
            assert!(fake.state().fates.is_empty());
        }
    }
    let (aws, gcp) = (open(fake.aws()).await.unwrap(), open(fake.gcp()).await.unwrap());
    for (key, fate) in [(&aws, THROTTLED), (&gcp, Fate::Damaged), (&gcp, Fate::Unseen)] {
        fake.fate(&[fate]);
        assert!(verifies(&key.verifier_key(), key.sign(TEXT).await.unwrap()), "{fate:?}");
    }
}

async fn refused(key: &KmsKey, fake: &Fake, fate: Fate) -> String {
    fake.state().asked.clear();
    fake.fate(&[fate]);
    let error = key.sign(TEXT).await.unwrap_err();
    assert_eq!(fake.state().asked.len(), 1, "asked once: {fate:?}");
    error.to_string()
}

#[tokio::test]
async fn what_does_not_pass_is_told_at_once() {
    let fake = Fake::start(ed25519()).await;
    let (aws, gcp) = (open(fake.aws()).await.unwrap(), open(fake.gcp()).await.unwrap());
    let denied =
        r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:iam::1:user/a is not authorized"}"#;
    let disabled = "{\"__type\":\"com.amazonaws.kms#DisabledException\",\"message\":\"it is\\ndisabled\"}";
    let forbidden = r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"Permission denied"}}"#;
    let destroyed = r#"{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"it is DESTROYED"}}"#;
    for (key, fate, words) in [
        (&aws, Fate::Status(400, denied), "lacks the permission kms:Sign on the key: the KMS answered 400"),
        (&aws, Fate::Status(400, disabled), "answered 400, DisabledException: it is disabled"),
        (&aws, Fate::Status(404, "<html>"), "answered 404"),
        (&aws, Fate::Status(200, "{}"), "makes no sense"),
        (&aws, Fate::Status(200, r#"{"Signature":"?"}"#), "base64"),
        (&aws, Fate::Huge, "longer than any"),
        (&gcp, Fate::Status(403, forbidden), "lacks the permission cloudkms.cryptoKeyVersions.useToSign"),
        (&gcp, Fate::Status(400, destroyed), "answered 400, FAILED_PRECONDITION: it is DESTROYED"),
        (&gcp, Fate::Status(301, ""), "answered 301"),
        (&gcp, Fate::Other, "another key"),
        (&gcp, Fate::Huge, "longer than any"),
    ] {
        let told = refused(key, &fake, fate).await;
        assert!(told.contains(words), "{told}");
    }
}

#[tokio::test]
async fn a_service_that_never_does_its_part_is_given_up_in_seconds() {
    let fake = Fake::start(ecdsa()).await;
    let key = open(fake.aws()).await.unwrap();
    for (fate, words) in [(Fate::Stall, "did not answer within"), (Fate::Wrong, "no signature of this key")] {
        fake.fate(&[fate; 100]);
        let since = Instant::now();
        let told = key.sign(TEXT).await.unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
        assert!(since.elapsed() < Duration::from_millis(4500), "{:?}", since.elapsed());
    }
}

#[tokio::test]
async fn a_key_that_is_none_of_a_log_is_not_opened() {
    let fake = Fake::start(ed25519()).await;
    for service in fake.both() {
        fake.fate(&[Fate::Wrong]);
        let error = open(service).await.unwrap_err();
        assert!(matches!(error, KmsError::KeyType), "{error}");
    }
    let encrypts = r#"{"KeyUsage":"KEY_AGREEMENT","PublicKey":"MCow"}"#;
    fake.fate(&[Fate::Status(200, encrypts)]);
    let error = open(fake.aws()).await.unwrap_err();
    assert!(matches!(error, KmsError::KeyType), "{error}");
    let denied = r#"{"__type":"AccessDeniedException","message":""}"#;
    fake.fate(&[Fate::Status(400, denied)]);
    let error = open(fake.aws()).await.unwrap_err().to_string();
    assert!(error.contains("kms:GetPublicKey"), "{error}");
}
