//! TLS: what is no handshake, half of one, or one after the other; and certificates that change meanwhile.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_http::{Certificates, Identity, IdentityError, Limits, Listener, Tls};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::common::{PATIENCE, Server, statuses};
use crate::siege::{Siege, limits};

const MEBIBYTE: usize = 1 << 20;
const NAME: &str = "kiln.example";

/// A certificate of the name by nobody but itself, and its key, in PEM.
fn made() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn identity((chain, key): &(String, String)) -> Identity {
    Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
}

async fn serve(certificates: &Certificates, limits: Limits) -> Server {
    let tls = Tls::new(certificates);
    Server::start_with(limits, |socket| Listener::from(socket).with_tls(Some(tls))).await
}

/// A client that believes this certificate alone.
fn believing(chain: &str, alpn: &[&str], versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let mut config =
        config.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn connect(server: &Server, connector: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from(NAME).unwrap();
    timeout(PATIENCE, connector.connect(name, stream)).await.expect("a handshake ends")
}

async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = timeout(PATIENCE, stream.read(&mut answer)).await.expect("the server answers").unwrap();
    String::from_utf8(answer[..read].to_vec()).unwrap()
}

#[tokio::test]
async fn both_versions_of_tls_and_of_http_are_spoken() {
    let made = made();
    let server = serve(&Certificates::of(identity(&made)), Limits::default()).await;
    for version in [&TLS12, &TLS13] {
        for alpn in [&[][..], &["http/1.1"], &["unknown", "http/1.1"]] {
            let mut stream = connect(&server, &believing(&made.0, alpn, &[version])).await.unwrap();
            assert_eq!(statuses(&get(&mut stream, "/").await), [200], "{alpn:?}");
        }
        let stream = connect(&server, &believing(&made.0, &["h2", "http/1.1"], &[version])).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = kiln_http::Request::get(format!("https://{NAME}/who")).body(()).unwrap();
        let (response, _) = sender.ready().await.unwrap().send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
        connection.abort();
    }
    let refused = connect(&server, &believing(&made.0, &["smtp"], &[&TLS13])).await;
    assert!(refused.is_err(), "who speaks nothing that is spoken here is told so");
}

/// A restart for each new certificate would have cut off who waits for a round.
#[tokio::test]
async fn a_new_certificate_is_shown_and_connections_stay() {
    let (old, new) = (made(), made());
    let certificates = Certificates::of(identity(&old));
    let server = serve(&certificates, Limits::default()).await;
    let [by_old, by_new] = [&old, &new].map(|made| believing(&made.0, &[], &[&TLS13]));
    let mut kept = connect(&server, &by_old).await.unwrap();
    assert_eq!(statuses(&get(&mut kept, "/").await), [200]);
    assert!(connect(&server, &by_new).await.is_err(), "not yet");
    certificates.replace(identity(&new));
    assert_eq!(statuses(&get(&mut connect(&server, &by_new).await.unwrap(), "/").await), [200]);
    assert_eq!(statuses(&get(&mut kept, "/").await), [200], "it was dropped");
    assert!(certificates.validity().unwrap().not_after > certificates.validity().unwrap().not_before);
}

#[test]
fn files_that_make_no_identity_are_told_apart() {
    let (one, other) = (made(), made());
    let read = |chain: &str, key: &str| Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
    assert!(matches!(read("", &one.1), IdentityError::NoCertificate));
    assert!(matches!(read(&one.0, ""), IdentityError::NoKey));
    assert!(matches!(read(&one.0, &one.0), IdentityError::NoKey));
    assert!(matches!(read(&one.0, &other.1), IdentityError::Key(_)), "the key of another certificate");
    let torn = &one.0[..one.0.len() / 2];
    assert!(matches!(read(torn, &one.1), IdentityError::Chain(_) | IdentityError::NoCertificate));
    assert!(
        !read(&other.0, &one.1).to_string().contains(one.1.lines().nth(1).unwrap()),
        "a key was repeated"
    );
}

/// The handler runs for a request of a client whose handshake is done, over TLS as in the clear.
#[tokio::test]
async fn a_listener_with_tls_speaks_nothing_else() {
    let server = serve(&Certificates::of(identity(&made())), limits()).await;
    let answer = server.connect().await;
    let mut client = answer;
    client.send("GET / HTTP/1.1\r\nHost: kiln\r\n\r\n").await;
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, client.0.read_to_end(&mut bytes)).await.expect("the server closes");
    assert!(!bytes.starts_with(b"HTTP"), "{bytes:?}");
    assert!(server.seen().is_empty());
}

/// Without a certificate yet, as before the first one of an authority, a handshake fails and nothing else does.
#[tokio::test]
async fn without_a_certificate_a_handshake_fails_at_once() {
    let (certificates, made) = (Certificates::default(), made());
    let server = serve(&certificates, Limits::default()).await;
    let connector = believing(&made.0, &[], &[&TLS13]);
    assert!(connect(&server, &connector).await.is_err());
    certificates.replace(identity(&made));
    assert!(connect(&server, &connector).await.is_ok());
}

/// 300 that begin no handshake, or half of one: gone after the handshake time-out, 100 KiB each at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_handshakes_and_garbage() {
    let made = made();
    let certificates = Certificates::of(identity(&made));
    let siege = Siege::of_server(serve(&certificates, limits())).await;
    let hello = client_hello(&made.0);
    let beginnings: [&[u8]; 6] = [
        b"",
        &hello[..hello.len() / 2],
        &hello,
        b"\x16\x03\x01\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff\xff\xff",
    ];
    let start = Instant::now();
    let mut attackers = Vec::new();
    for beginning in beginnings.iter().cycle().take(300) {
        let mut client = siege.server.connect().await;
        client.send(beginning).await;
        attackers.push(client);
    }
    let memory = siege.memory();
    assert!(memory < 300 * 100 * 1024, "{memory} bytes");
    let mut good = connect(&siege.server, &believing(&made.0, &[], &[&TLS13])).await.unwrap();
    assert_eq!(statuses(&get(&mut good, "/").await), [200]);
    for mut client in attackers {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, client.0.read_to_end(&mut rest)).await.expect("the server closes");
    }
    assert!(start.elapsed() < PATIENCE);
    siege.withstood(Duration::from_secs(10), 300 * 100 * 1024).await;
}

/// Handshakes are the dearest that a stranger can ask for. 300 in a row, of which nobody asks for anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_lead_to_nothing() {
    let made = made();
    let certificates = Certificates::of(identity(&made));
    let siege = Siege::of_server(serve(&certificates, limits())).await;
    let connector = believing(&made.0, &["http/1.1"], &[&TLS12, &TLS13]);
    let mut kept = Vec::new();
    for _ in 0..300 {
        kept.push(connect(&siege.server, &connector).await.unwrap());
    }
    let mut good = connect(&siege.server, &connector).await.unwrap();
    assert_eq!(statuses(&get(&mut good, "/").await), [200]);
    siege.withstood(Duration::from_secs(20), 300 * 200 * 1024).await;
}

/// A client that takes nothing of its answer: over TLS its bytes wait here, and no write was seen to wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_over_tls() {
    let made = made();
    let certificates = Certificates::of(identity(&made));
    let siege = Siege::of_server(serve(&certificates, limits())).await;
    let mut client = connect(&siege.server, &believing(&made.0, &[], &[&TLS13])).await.unwrap();
    let asking = async {
        let requests = b"GET / HTTP/1.1\r\nHost: kiln\r\n\r\n".repeat(100);
        while client.write_all(&requests).await.is_ok() && client.flush().await.is_ok() {}
    };
    timeout(PATIENCE, asking).await.expect("the server has enough");
    siege.withstood(Duration::from_secs(10), 30 * MEBIBYTE).await;
}

/// What a client says first.
fn client_hello(chain: &str) -> Vec<u8> {
    let connector = believing(chain, &["http/1.1"], &[&TLS13]);
    let name = ServerName::try_from(NAME).unwrap();
    let mut connection = rustls::ClientConnection::new(connector.config().clone(), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}
