//! `kiln rekor upload`: what it sends, what it believes of the answer, and what it says of a refusal.

use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use kiln_tiles::SigningKey;
use serde_json::{Value, json};

use crate::liar::Liar;
use crate::rekor_files::{
    bundle, changed, conformance, pem, trust, upload, uploading, world_with_a_signature,
};
use crate::world::World;

#[test]
fn a_signature_becomes_an_entry_with_its_proof() {
    let (world, server) = world_with_a_signature();
    let vkey = world.vkey("log");
    let first = uploading(&world, &server.url, "key", &["--vkey", &vkey, "-o", "entry.json"]).ok();
    let (index, hash) =
        first.text().trim_end().split_once("  ").map(|(i, h)| (i.to_owned(), h.to_owned())).unwrap();
    assert_eq!((index.as_str(), hash.len()), ("0", 64));
    assert!(first.stderr.contains("has taken the entry"), "{}", first.stderr);
    let entry: Value = serde_json::from_slice(&world.read("entry.json")).unwrap();
    assert_eq!((&entry["logIndex"], &entry["kindVersion"]["kind"]), (&json!("0"), &json!("hashedrekord")));

    // The certificate's is another entry, by the trusted root instead of the key.
    trust(&world, &server);
    let options = ["--trusted-root", "trust/trusted_root.json", "--json"];
    let second = uploading(&world, &server.url, "cert", &options).ok().json();
    assert_eq!((&second["index"], &second["known"], &second["size"]), (&json!(1), &json!(false), &json!(2)));
    assert_eq!(second["entry"]["logIndex"], "1");
    world.kiln(&["fsck", "log"]).ok();
}

/// A build that runs twice must not fail, and its owner wants to know.
#[test]
fn a_run_can_be_repeated_and_says_so() {
    let (world, server) = world_with_a_signature();
    let vkey = world.vkey("log");
    let first = upload(&world, &server, "key");
    let again = uploading(&world, &server.url, "key", &["--vkey", &vkey]).ok();
    assert!(again.text().starts_with("0  "), "{}", again.text());
    assert!(again.stderr.contains("had this entry already"), "{}", again.stderr);
    let again = uploading(&world, &server.url, "key", &["--vkey", &vkey, "--json"]).ok().json();
    assert_eq!(
        (&again["known"], &again["entry"]["canonicalizedBody"]),
        (&json!(true), &first["canonicalizedBody"])
    );
}

/// A line of ML-DSA-44 is 3.3 kB, in each bundle; readers of the log itself still get it.
#[test]
fn answers_can_do_without_the_lines_of_others() {
    let (world, server) = world_with_a_signature();
    let signatures = |checkpoint: &str| checkpoint.lines().filter(|line| line.starts_with("— ")).count();
    let shown =
        |entry: &Value| signatures(entry["inclusionProof"]["checkpoint"]["envelope"].as_str().unwrap());
    assert_eq!(shown(&upload(&world, &server, "key")), 2);
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&["log", "--rekor", "--origin", "127.0.0.1", "--rekor-slim-checkpoint"]);
    assert_eq!(shown(&upload(&world, &server, "cert")), 1);
    assert_eq!(signatures(&server.get("/checkpoint").expect(200).text()), 2);
}

/// rekor-tiles answers a duplicate with 409 and an index, no proof: that is in the log's tiles.
#[test]
fn an_entry_that_is_there_is_proved_from_the_log() {
    let (world, server) = world_with_a_signature();
    let entry = upload(&world, &server, "key");
    upload(&world, &server, "cert");
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&["log", "--rekor", "--origin", "127.0.0.1", "--on-duplicate", "conflict"]);
    let vkey = world.vkey("log");
    let again = uploading(&world, &server.url, "key", &["--vkey", &vkey, "-o", "again.json"]).ok();
    assert!(again.stderr.contains("had this entry already"), "{}", again.stderr);
    let proved: Value = serde_json::from_slice(&world.read("again.json")).unwrap();
    assert_eq!(proved["canonicalizedBody"], entry["canonicalizedBody"]);
    assert_eq!(proved["inclusionProof"]["treeSize"], "2");
    let conflict = |index: &'static str| {
        move |_| {
            let message = "an equivalent entry already exists in the transparency log with index 0";
            let body = json!({ "code": 6, "message": message, "details": [] }).to_string();
            ("409 Conflict", format!("x-log-index: {index}\r\n"), body.into_bytes())
        }
    };
    let liar = Liar::answering(world.path("log/public"), conflict("1"));
    uploading(&world, &liar.url, "key", &["--vkey", &vkey]).fails(1, &["has this entry as 1", "another"]);
    // Where it is not read, as at rekor-tiles' own server, the index is the server's word.
    let unread = Liar::answering(world.path("state"), conflict("0"));
    uploading(&world, &unread.url, "key", &["--vkey", &vkey]).fails(3, &["index 0", "could not be verified"]);
    let no_index =
        Liar::answering(world.path("log/public"), |_| ("409 Conflict", String::new(), b"{}".to_vec()));
    uploading(&world, &no_index.url, "key", &["--vkey", &vkey]).fails(3, &["409"]);
}

#[test]
fn nothing_is_sent_whose_signature_does_not_hold() {
    let (world, _server) = world_with_a_signature();
    let vkey = world.vkey("log");
    let liar = Liar::serve(world.path("log/public"), "{}");
    world.write("other.txt", "another artifact");
    world.write("raw.sig", Base64::decode_vec(std::str::from_utf8(&world.read("key.sig")).unwrap()).unwrap());
    let upload = |artifact: &[&str], signature: &str, signer: [&str; 2]| {
        let usual = ["rekor", "upload", &liar.url, "--signature", signature, "--vkey", &vkey];
        world.kiln(&[&usual[..], artifact, &signer].concat())
    };
    let key = ["--public-key", "key.pub"];
    upload(&["--artifact", "other.txt"], "key.sig", key).fails(1, &["signature: ", "other.txt"]);
    upload(&["--artifact", "a.txt"], "cert.sig", key).fails(1, &["signature: "]);
    upload(&["--artifact", "a.txt"], "key.sig", ["--certificate", "cert.pem"]).fails(1, &["signature: "]);
    upload(&["--digest", &"00".repeat(32)], "key.sig", key).fails(1, &["signature: "]);
    upload(&["--digest", &"00".repeat(64)], "key.sig", key).fails(2, &["--digest", "32 bytes"]);
    upload(&["--digest", "00"], "key.sig", key).fails(2, &["--digest"]);
    upload(&["--artifact", "a.txt"], "key.sig", ["--public-key", "a.txt"]).fails(2, &["a.txt", "PEM"]);
    upload(&["--artifact", "a.txt"], "key.sig", ["--certificate", "key.pub"]).fails(2, &["key.pub", "PEM"]);
    upload(&["--artifact", "none"], "key.sig", key).fails(3, &["none"]);
    upload(&["--artifact", "a.txt"], "none", key).fails(3, &["none"]);
    upload(&["--artifact", "a.txt", "--digest", &"00".repeat(32)], "key.sig", key).fails(2, &["--digest"]);
    upload(&[], "key.sig", key).fails(2, &["--artifact"]);
    uploading(&world, &liar.url, "key", &[]).fails(2, &["--trusted-root", "--vkey"]);
    assert_eq!(liar.posts(), 0);
    // The bytes themselves are as good as their base64, and a digest as what it is of.
    let digest = "a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf";
    upload(&["--digest", digest], "raw.sig", key).fails(1, &["the log's answer"]);
    assert_eq!(liar.posts(), 1);
}

/// `openssl pkeyutl -rawin` signs the artifact itself, and "the signature does not verify" sent people to look
/// for a wrong key.
#[test]
fn a_signature_by_pure_ed25519_is_told() {
    let (world, server) = world_with_a_signature();
    let key = SigningKey::from_seed("someone".parse().unwrap(), [7; 32]);
    let text = "an artifact\n";
    world.write("text", text);
    world.write("text.sig", key.sign(text.to_owned()).unwrap().signatures()[0].signature());
    let spki =
        [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], &key.verifier_key().to_typed_bytes()[1..]];
    world.write("text.pub", pem("PUBLIC KEY", &spki.concat()));
    let upload = [
        "rekor",
        "upload",
        &server.url,
        "--artifact",
        "text",
        "--signature",
        "text.sig",
        "--public-key",
        "text.pub",
    ];
    world
        .kiln(&[&upload[..], &["--vkey", &world.vkey("log")]].concat())
        .fails(1, &["signature: ", "pure Ed25519", "Ed25519ph"]);
}

/// An answer is what a server says. Each part of it that is changed is noticed, and nothing is written.
#[test]
fn an_answer_that_does_not_verify_exits_1() {
    let (world, server) = world_with_a_signature();
    let (vkey, entry, other) =
        (world.vkey("log"), upload(&world, &server, "key"), upload(&world, &server, "cert"));
    world.remove("entry.json");
    let answer = |entry: &Value| {
        let body = entry.to_string();
        Liar::answering(world.path("log"), move |_| ("201 Created", String::new(), body.clone().into_bytes()))
    };
    let refused = |entry: &Value, words: &str| {
        let options = ["--vkey", &vkey, "-o", "entry.json"];
        uploading(&world, &answer(entry).url, "key", &options).fails(1, &["the log's answer: ", words]);
        assert!(!world.path("entry.json").exists());
    };
    uploading(&world, &answer(&entry).url, "key", &["--vkey", &vkey]).ok();
    refused(&other, "another one than was sent");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut entry = other.clone();
        change(&mut entry);
        entry
    };
    refused(&with(&|entry| changed(&mut entry["logId"]["keyId"])), "log: ");
    refused(&with(&|entry| changed(&mut entry["canonicalizedBody"])), "inclusion: ");
    refused(&with(&|entry| changed(&mut entry["inclusionProof"]["hashes"][0])), "inclusion: ");
    refused(&with(&|entry| changed(&mut entry["inclusionProof"]["rootHash"])), "inclusion: ");
    refused(&with(&|entry| entry["logIndex"] = json!("0")), "inclusion: ");
    refused(&with(&|entry| entry["inclusionProof"] = Value::Null), "inclusion: ");
    refused(&with(&|entry| entry["inclusionProof"]["checkpoint"] = Value::Null), "checkpoint: ");
    refused(
        &with(&|entry| {
            let note =
                entry["inclusionProof"]["checkpoint"]["envelope"].as_str().unwrap().replace("\n2\n", "\n3\n");
            entry["inclusionProof"]["checkpoint"]["envelope"] = json!(note);
        }),
        "checkpoint: ",
    );
    refused(&json!({}), "kindVersion");
    refused(&json!([]), "JSON");
    world.kiln(&["init", "other", "--origin", "127.0.0.1"]).ok();
    let strangers = ["--vkey", &world.vkey("other")];
    uploading(&world, &answer(&entry).url, "key", &strangers)
        .fails(1, &["log: ", "the given key is that of"]);
}

/// "invalid hashedrekord request" is all that rekor-tiles says; Kiln says why, and so does this command.
#[test]
fn a_refusal_is_told_in_the_words_of_the_server() {
    let (world, server) = world_with_a_signature();
    let vkey = world.vkey("log");
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&[
        "log",
        "--rekor",
        "--origin",
        "127.0.0.1",
        "--client-signing-algorithms",
        "ed25519-ph",
    ]);
    let options = ["--vkey", &vkey];
    let words = ["400", "invalid hashedrekord request", "PKIX_ECDSA_P256_SHA_256 is not accepted"];
    uploading(&world, &server.url, "key", &options).fails(3, &words);
    uploading(&world, &format!("{}/x", server.url), "key", &options).fails(3, &["404", "api/v2/log/entries"]);
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&["log", "--rekor", "--origin", "127.0.0.1", "--read-only"]);
    uploading(&world, &server.url, "key", &options).fails(3, &["405", "frozen"]);
    uploading(&world, "http://127.0.0.1:9", "key", &options).fails(3, &["Run the same again"]);
    uploading(&world, "ftp://127.0.0.1", "key", &options).fails(2, &["https://"]);
    world.write("token", "secret\n");
    let with_token = ["--vkey", &vkey, "--token-file", "token"];
    uploading(&world, "http://192.0.2.1", "key", &with_token).fails(2, &["token"]);
    let hostile = Liar::answering(world.path("log"), |_| {
        let body =
            json!({ "code": 3, "message": "no\u{1b}[2J", "details": [{ "reason": "because" }, { "x": 1 }] });
        ("400 Bad Request", String::new(), body.to_string().into_bytes())
    });
    let said = uploading(&world, &hostile.url, "key", &options).fails(3, &["because", r#"{"x":1}"#]).stderr;
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn a_log_that_is_busy_is_asked_again() {
    let (world, server) = world_with_a_signature();
    let (vkey, entry) = (world.vkey("log"), upload(&world, &server, "key").to_string());
    let busy = json!({ "code": 14, "message": "reached max pushback; retry", "details": [] }).to_string();
    let sometimes = busy.clone();
    let liar = Liar::answering(world.path("log"), move |n| match n {
        0 => ("503 Service Unavailable", "Retry-After: 1\r\n".to_owned(), sometimes.clone().into_bytes()),
        _ => ("201 Created", String::new(), entry.clone().into_bytes()),
    });
    let started = Instant::now();
    uploading(&world, &liar.url, "key", &["--vkey", &vkey]).ok();
    assert!(liar.posts() == 2 && started.elapsed() >= Duration::from_secs(1));
    let liar = Liar::answering(world.path("log"), move |_| {
        ("503 Service Unavailable", "Retry-After: 3600\r\n".to_owned(), busy.clone().into_bytes())
    });
    uploading(&world, &liar.url, "key", &["--vkey", &vkey])
        .fails(3, &["503", "reached max pushback; retry", "Run the same again"]);
    assert_eq!(liar.posts(), 1);
}

/// A log may sign with ECDSA, where its readers ask for it.
#[test]
fn a_log_with_an_ecdsa_key_is_verified_too() {
    let world = World::new();
    world.kiln(&["key", "new", "127.0.0.1", "-o", "log.key", "--type", "ecdsa-p256"]).ok();
    let server = world.serve(&[
        "log",
        "--rekor",
        "--origin",
        "127.0.0.1",
        "--key",
        "log.key",
        "--on-duplicate",
        "conflict",
    ]);
    let vkey = server.field("vkey");
    for name in ["a.txt", "key.pub"] {
        world.write(name, conformance(name));
    }
    let signed = bundle("managed-key-and-trusted-root");
    world.write("key.sig", signed["messageSignature"]["signature"].as_str().unwrap());
    uploading(&world, &server.url, "key", &["--vkey", vkey, "-o", "entry.json"]).ok();
    let config = ["rekor", "trust-config", "log", "--key", "log.key", "--url", &server.url, "--out", "trust"];
    world.kiln(&config).ok();
    let root = ["--trusted-root", "trust/trusted_root.json"];
    let verify = ["rekor", "verify", "--entry", "entry.json", "--artifact", "a.txt", "--key", "key.pub"];
    world.kiln(&[&verify[..], &root].concat()).ok();
    let again = uploading(&world, &server.url, "key", &root).ok();
    assert!(again.stderr.contains("had this entry already"), "{}", again.stderr);
    let shown = world.kiln(&["rekor", "inspect", "trust/trusted_root.json", "--json"]).ok().json();
    assert_eq!(shown["rekor_logs"][0]["vkey"], vkey);
}
