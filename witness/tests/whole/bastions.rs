//! Behind a bastion: a TLS server that takes one connection after another, and asks over them.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kiln_witness::{BackendKey, Bastion, BastionError, BastionRoots};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::testing::TestLog;
use crate::world::World;

/// What it shows: see `tests/data/README.md`.
const CERTIFICATE: &[u8] = include_bytes!("../data/bastion.crt");
const KEY: &[u8] = include_bytes!("../data/bastion.p8");

/// A bastion on a free port.
struct TestBastion {
    listener: TcpListener,
    tls: TlsAcceptor,
    roots: BastionRoots,
}

/// Takes whatever certificate has a key that signed the handshake, as a bastion does before it looks for it in its list.
#[derive(Debug)]
struct AnyKey;

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl TestBastion {
    async fn new(alpn: &[u8]) -> Self {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyKey))
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        tls.alpn_protocols = vec![alpn.to_vec()];
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            tls: TlsAcceptor::from(Arc::new(tls)),
            roots: BastionRoots::trusting([certificate.to_vec()]).unwrap(),
        }
    }

    fn address(&self) -> String {
        format!("localhost:{}", self.listener.local_addr().unwrap().port())
    }

    /// The next backend: its certificate, and a way to ask it.
    async fn accept(&self) -> (Vec<u8>, SendRequest<Full<Bytes>>) {
        let (stream, _) = self.listener.accept().await.unwrap();
        let stream = self.tls.accept(stream).await.unwrap();
        let tls = stream.get_ref().1;
        assert_eq!(tls.alpn_protocol(), Some(&b"bastion/0"[..]));
        let certificate = tls.peer_certificates().unwrap()[0].to_vec();
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (asking, connection) = handshake.unwrap();
        tokio::spawn(connection);
        (certificate, asking)
    }
}

async fn ask(asking: &mut SendRequest<Full<Bytes>>, method: &str, path: &str, body: String) -> (u16, String) {
    let request = hyper::Request::builder()
        .method(method)
        .uri(format!("https://bastion{path}"))
        .header("X-Forwarded-For", "192.0.2.1")
        .body(Full::from(body))
        .unwrap();
    let response = asking.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap())
}

fn key() -> BackendKey {
    let prefix =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    BackendKey::from_pkcs8(&[&prefix[..], &[5; 32]].concat()).unwrap()
}

#[tokio::test]
async fn a_witness_serves_behind_a_bastion_and_comes_back_to_it() {
    let (world, log) = (World::new(), TestLog::new("example.com/log"));
    let witness = world.witness(&[&log], None);
    let bastion = TestBastion::new(b"bastion/0").await;
    let (tell, stop) = watch::channel(false);
    let backend = Bastion::new(&bastion.address(), &key(), &bastion.roots).unwrap();
    let serving = tokio::spawn(backend.serve(witness, stop));
    for (old, size) in [(0, 4), (4, 9)] {
        let (certificate, mut asking) =
            timeout(Duration::from_secs(10), bastion.accept()).await.expect("it comes back");
        // The key that the bastion knows it by stands in the certificate.
        let public = public_key(&certificate);
        assert_eq!(key().hash(), kiln_tiles::Hash::from_bytes(sha256(&public)).to_hex());
        let (status, _) =
            ask(&mut asking, "POST", "/add-checkpoint", log.request(old, size).to_string()).await;
        assert_eq!(status, 200);
        let (status, body) = ask(&mut asking, "POST", "/add-checkpoint", log.request(0, 2).to_string()).await;
        assert_eq!((status, body), (409, format!("{size}\n")));
        assert_eq!(ask(&mut asking, "GET", "/healthz", String::new()).await.0, 200);
        // The bastion goes away: nobody asks any more.
    }
    tell.send(true).unwrap();
    timeout(Duration::from_secs(15), serving).await.expect("it stops").unwrap();
}

/// What is behind the object identifier of Ed25519, the third time that it stands there.
fn public_key(certificate: &[u8]) -> [u8; 32] {
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let at = certificate.windows(prefix.len()).position(|window| window == prefix).unwrap() + prefix.len();
    certificate[at..at + 32].try_into().unwrap()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

#[tokio::test]
async fn what_is_no_bastion_is_not_served() {
    let (world, log) = (World::new(), TestLog::new("example.com/log"));
    let witness = world.witness(&[&log], None);
    let server = TestBastion::new(b"h2").await;
    let stranger = TestBastion::new(b"bastion/0").await;
    let other = CertificateDer::from_pem_slice(include_bytes!("../data/other.crt")).unwrap();
    let other = BastionRoots::trusting([other.to_vec()]).unwrap();
    let (tell, stop) = watch::channel(false);
    let mut serving = tokio::task::JoinSet::new();
    for (at, roots) in [(&server, &server.roots), (&stranger, &other)] {
        let backend = Bastion::new(&at.address(), &key(), roots).unwrap();
        serving.spawn(backend.serve(witness.clone(), stop.clone()));
    }
    for bastion in [&server, &stranger] {
        let (stream, _) = timeout(Duration::from_secs(10), bastion.listener.accept()).await.unwrap().unwrap();
        assert!(bastion.tls.accept(stream).await.is_err());
    }
    tell.send(true).unwrap();
    timeout(Duration::from_secs(15), serving.join_all()).await.expect("they stop");
    for address in ["bastion.example", "bastion.example:https", ":443", "b b:1"] {
        assert!(Bastion::new(address, &key(), &server.roots).is_err(), "{address}");
    }
    assert!(matches!(BastionRoots::trusting([b"no certificate".to_vec()]), Err(BastionError::NoRoots)));
}
