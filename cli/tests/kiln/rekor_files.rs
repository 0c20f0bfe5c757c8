//! What Sigstore's own tests have signed: an artifact, by a key and by a certificate of Fulcio's.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::world::{Ran, Server, World, testdata};

/// A world with a Rekor log at work, and `a.txt`; `key.pub` and `key.sig`; `cert.pem` and `cert.sig`. The
/// signatures are base64, as cosign writes them.
pub(crate) fn world_with_a_signature() -> (World, Server) {
    let world = World::new();
    let server = world.serve(&["log", "--rekor", "--origin", "127.0.0.1"]);
    world.write("a.txt", conformance("a.txt"));
    world.write("key.pub", conformance("key.pub"));
    let signed = bundle("managed-key-and-trusted-root");
    world.write("key.sig", signed["messageSignature"]["signature"].as_str().unwrap());
    let signed = bundle("rekor2-happy-path");
    let der = signed["verificationMaterial"]["certificate"]["rawBytes"].as_str().unwrap();
    world.write("cert.sig", signed["messageSignature"]["signature"].as_str().unwrap());
    world.write("cert.pem", pem("CERTIFICATE", &Base64::decode_vec(der).unwrap()));
    (world, server)
}

pub(crate) fn conformance(name: &str) -> Vec<u8> {
    std::fs::read(testdata("rekor/conformance").join(name)).unwrap()
}

pub(crate) fn bundle(name: &str) -> Value {
    serde_json::from_slice(&conformance(&format!("{name}.bundle.json"))).unwrap()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Uploads what is signed by `key` or `cert`, and returns the entry that comes back.
pub(crate) fn upload(world: &World, server: &Server, by: &str) -> Value {
    let vkey = world.vkey("log");
    uploading(world, &server.url, by, &["--vkey", &vkey, "-o", "entry.json"]).ok();
    serde_json::from_slice(&world.read("entry.json")).unwrap()
}

/// `kiln rekor upload` of what is signed by `key` or `cert`.
pub(crate) fn uploading(world: &World, url: &str, by: &str, options: &[&str]) -> Ran {
    let signature = format!("{by}.sig");
    let usual = ["rekor", "upload", url, "--artifact", "a.txt", "--signature", &signature];
    world.kiln(&[&usual[..], &signer(by), options].concat())
}

/// The option that names who signed.
pub(crate) fn signer(by: &str) -> [&'static str; 2] {
    if by == "key" { ["--public-key", "key.pub"] } else { ["--certificate", "cert.pem"] }
}

/// A bundle as a signer makes it of a log's answer.
pub(crate) fn bundle_of(world: &World, by: &str, entry: &Value) -> Value {
    let signature = String::from_utf8(world.read(&format!("{by}.sig"))).unwrap();
    let digest = "oM/HEnHW4njlfNMy/5V8P3BD/do1TEy7GQow1W76Ab8="; // of a.txt
    let mut material = if by == "key" {
        json!({ "publicKey": { "hint": "the key" } })
    } else {
        json!({ "certificate": bundle("rekor2-happy-path")["verificationMaterial"]["certificate"] })
    };
    material["tlogEntries"] = json!([entry]);
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": material,
        "messageSignature": {
            "messageDigest": { "algorithm": "SHA2_256", "digest": digest }, "signature": signature,
        },
    })
}

/// Writes the trusted root of the log.
pub(crate) fn trust(world: &World, server: &Server) {
    world.kiln(&["rekor", "trust-config", "log", "--url", &server.url, "--out", "trust"]).ok();
}

/// Base64 with another bit in the middle.
pub(crate) fn changed(text: &mut Value) {
    let mut bytes = Base64::decode_vec(text.as_str().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *text = json!(Base64::encode_string(&bytes));
}
