//! TLS, as an operator sets it up: files, their replacement, and what is refused.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;

use crate::world::{Ran, Server, World, free_address, request};

const FILES: [&str; 4] = ["--tls-cert", "chain.pem", "--tls-key", "key.pem"];

/// A certificate for this machine by nobody but itself, in `chain.pem`, and its key.
fn make_certificate(world: &World) -> String {
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let chain = CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem();
    world.write("chain.pem", &chain);
    private(world, "key.pem", &key.serialize_pem());
    chain
}

/// "invalid HTTP version parsed" told nobody that one letter was missing in the URL.
#[test]
fn who_speaks_the_other_scheme_is_told_so() {
    let world = World::new();
    let chain = make_certificate(&world);
    world.write("believed.pem", chain);
    let encrypted = world.serve(&[&["log"], &FILES[..]].concat());
    let vkey = world.vkey("log");
    let plain_url = encrypted.url.replace("https://", "http://");
    world.kiln(&["info", &plain_url, "--vkey", &vkey]).fails(3, &["is its URL https://?"]);
    let plain = world.serve(&["other"]);
    let url = plain.url.replace("http://", "https://");
    let told = world.run(
        world.command(&["info", &url, "--vkey", &vkey]).env("SSL_CERT_FILE", world.path("believed.pem")),
    );
    told.fails(3, &["is its URL http://?"]);
}

/// A certificate that had ended passed, and every client refused the log.
#[test]
fn a_check_of_a_configuration_looks_at_the_dates_of_a_certificate() {
    let world = World::new();
    let text = "tls-cert = \"chain.pem\"\ntls-key = \"key.pem\"\n[[log]]\nname = \"a\"\nstore = \"a\"\n";
    world.write("kiln.toml", text);
    make_certificate(&world);
    world.kiln(&["config", "check", "kiln.toml"]).ok();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 31);
    params.not_before = rcgen::date_time_ymd(2019, 1, 31);
    world.write("chain.pem", params.self_signed(&key).unwrap().pem());
    private(&world, "key.pem", &key.serialize_pem());
    let ended = "kiln.toml:1:1: tls-cert: the certificate ended at 2020-01-31T00:00:00Z";
    world.kiln(&["config", "check", "kiln.toml"]).fails(2, &[ended]);
}

fn private(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.write(name, text);
    set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

/// What `kiln info` says, run by somebody who believes the certificates in this file.
fn info(world: &World, server: &Server, believed: &str) -> Ran {
    let vkey = world.vkey("log");
    world.run(
        world.command(&["info", &server.url, "--vkey", &vkey]).env("SSL_CERT_FILE", world.path(believed)),
    )
}

/// Until the server said so.
fn said(server: &Server, words: &str) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if server.stderr().contains(words) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_log_is_read_and_fed_over_tls_and_tells_its_https_url() {
    let world = World::new();
    let chain = make_certificate(&world);
    world.write("believed.pem", chain);
    let admin = free_address();
    let server = world.serve(&[&["log", "--admin-listen", &admin], &FILES[..]].concat());
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let log_json = String::from_utf8(world.read("log/public/log.json")).unwrap();
    assert!(log_json.contains(&server.url), "{log_json}");
    info(&world, &server, "believed.pem").ok();
    info(&world, &server, "key.pem").fails(3, &["certificate"]);
    let (vkey, entry) = (world.vkey("log"), world.write("entry", "an entry"));
    let mut add = world.command(&["add", &server.url, "--vkey", &vkey, entry.to_str().unwrap()]);
    world.run(add.env("SSL_CERT_FILE", world.path("believed.pem"))).ok();
    let metrics = request(&format!("http://{admin}"), "GET", "/metrics", &[], b"").text();
    assert!(metrics.contains("\nkiln_tls_certificate_end_timestamp_seconds "), "{metrics}");
    assert_eq!(server.stop(), Some(0));
}

/// A renewed certificate whose key came a moment later took the log down, when it was restarted in between.
#[test]
fn a_certificate_is_read_again_at_sighup_and_a_bad_one_changes_nothing() {
    let world = World::new();
    let old = make_certificate(&world);
    world.write("old.pem", &old);
    let server = world.serve(&[&["log"], &FILES[..]].concat());
    info(&world, &server, "old.pem").ok();
    let old_key = world.read("key.pem");
    let new = make_certificate(&world);
    let new_key = world.read("key.pem");
    world.write("new.pem", &new);
    world.write("key.pem", old_key);
    server.signal(Signal::HUP);
    assert!(said(&server, "the certificate stays as it was"), "{}", server.stderr());
    info(&world, &server, "old.pem").ok();
    world.write("key.pem", new_key);
    server.signal(Signal::HUP);
    assert!(said(&server, "the certificate was read again"), "{}", server.stderr());
    info(&world, &server, "new.pem").ok();
    info(&world, &server, "old.pem").fails(3, &[]);
    let (code, said) = server.stop_and_tell();
    assert_eq!(code, Some(0), "SIGHUP does not end it");
    assert!(!said.contains("PRIVATE KEY"), "{said}");
}

#[test]
fn a_key_that_others_may_read_and_files_that_do_not_fit_stop_the_start() {
    let world = World::new();
    make_certificate(&world);
    let serve = |files: &[&str]| world.kiln(&[&["serve", "log"], files].concat());
    set_permissions(world.path("key.pem"), Permissions::from_mode(0o640)).unwrap();
    serve(&FILES).fails(3, &["key.pem has mode 640", "chmod 600"]);
    private(&world, "key.pem", &KeyPair::generate().unwrap().serialize_pem());
    serve(&FILES).fails(3, &["chain.pem, ", "key.pem: "]);
    world.write("chain.pem", "no certificate");
    serve(&FILES).fails(3, &["there is no certificate"]);
    serve(&FILES[..2]).fails(2, &["--tls-key"]);
    serve(&["--acme", "log.example.com"]).fails(2, &["--acme-cache"]);
    serve(&["--acme", "*.example.com", "--acme-cache", "acme"]).fails(2, &["not a name such as"]);
    serve(&["--trusted-proxies", "10.0.0.1/8"]).fails(2, &["zeros behind its prefix"]);
    assert!(!world.path("log").exists(), "nothing was made");
}

#[test]
fn a_witness_speaks_tls_and_has_limits_too() {
    let world = World::new();
    let chain = make_certificate(&world);
    world.write("believed.pem", chain);
    let vkey = world.kiln(&["key", "new", "example.com/log", "-o", "log.key"]).ok().text();
    world.write(
        "logs.txt",
        format!(
            "logs/v0
vkey {vkey}"
        ),
    );
    let common = ["w", "--name", "witness.example/w1", "--logs", "logs.txt"];
    let mut server = world.witness(&[&common[..], &["--client-rate-limit", "1/h"]].concat());
    server.post("/add-checkpoint", b"nonsense").expect(400);
    assert!(!server.post("/add-checkpoint", b"nonsense").expect(429).header("retry-after").is_empty());
    server.get("/logs").expect(200);
    assert_eq!(server.stop(), Some(0));
    server = world.witness(&[&common[..], &FILES[..]].concat());
    assert!(crate::world::try_request(&server.url, "GET", "/logs", &[], b"").is_err(), "plain HTTP over TLS");
    assert_eq!(server.stop(), Some(0));
}
