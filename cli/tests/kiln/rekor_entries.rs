//! `kiln rekor get`, `verify` and `inspect`: entries and bundles of Rekor logs, decoded and verified.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::rekor_files::{
    bundle, bundle_of, changed, conformance, signer, trust, upload, world_with_a_signature,
};
use crate::world::{Ran, World, testdata};

const ROOT: [&str; 2] = ["--trusted-root", "trust/trusted_root.json"];

#[test]
fn an_entry_is_shown_decoded() {
    let (world, server) = world_with_a_signature();
    upload(&world, &server, "key");
    upload(&world, &server, "cert");
    let vkey = world.vkey("log");
    let shown = world.kiln(&["rekor", "get", &server.url, "0", "--vkey", &vkey]).ok().text();
    for line in [
        "kind             hashedrekord",
        "digest           a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf",
        "key details      PKIX_ECDSA_P256_SHA_256",
        "key              ECDSA P-256",
        "signature check  ok: by this key over the digest",
    ] {
        assert!(shown.lines().any(|found| found == line), "{line}: {shown}");
    }
    let shown = world.kiln(&["rekor", "get", "log", "1", "--json"]).ok().json();
    assert_eq!((&shown["index"], &shown["algorithm"]), (&json!(1), &json!("SHA2_256")));
    let certificate = &shown["certificate"];
    assert!(certificate["identity"][0].as_str().unwrap().ends_with("oidc-beacon.yml@refs/heads/main"));
    assert_eq!(certificate["oidc_issuer"], "https://token.actions.githubusercontent.com");
    assert_eq!(certificate["not_before"], "2025-06-12T12:02:16Z");
    assert_eq!(certificate["fulcio"]["GitHub Workflow Trigger"], "workflow_dispatch");
    world.kiln(&["rekor", "get", "log", "2"]).fails(3, &["no entry 2"]);
    world.kiln(&["rekor", "get", "log/public", "0"]).fails(2, &["--vkey"]);
    world.kiln(&["init", "other", "--origin", "127.0.0.1"]).ok();
    world.kiln(&["rekor", "get", "log", "0", "--vkey", &world.vkey("other")]).fails(1, &["checkpoint"]);
}

/// Logs hold what was sent to them before a kind was known, or dropped. It is shown, and not guessed at.
#[test]
fn what_is_not_known_is_shown_as_it_stands() {
    let world = World::new();
    let server = world.serve(&["log"]);
    let old = r#"{"apiVersion":"0.0.1","kind":"intoto","spec":{}}"#;
    for (name, bytes) in [("old", old), ("bytes", "\u{1b}[2Jnot JSON")] {
        world.write(name, bytes);
        world.kiln(&["add", &server.url, name, "--vkey", &world.vkey("log")]).ok();
    }
    let shown = world.kiln(&["rekor", "get", "log", "0"]).ok();
    assert!(shown.stderr.contains("is shown as it stands"), "{}", shown.stderr);
    for words in ["intoto", "0.0.1", old] {
        assert!(shown.text().contains(words), "{words}: {}", shown.text());
    }
    let shown = world.kiln(&["rekor", "get", "log", "0", "--json"]).ok().json();
    assert_eq!((&shown["kind"], &shown["body"]), (&json!("intoto"), &json!(old)));
    let shown = world.kiln(&["rekor", "get", "log", "1"]).ok().text();
    assert!(shown.contains(r"\u{1b}[2Jnot JSON"), "{shown}");
}

/// rekor-tiles took keys under the details of others for a while, and no client verifies these entries.
#[test]
fn an_entry_that_no_log_should_take_exits_1() {
    let world = World::new();
    let server = world.serve(&["log"]);
    let body = String::from_utf8(std::fs::read(testdata("rekor/p256-key.body.json")).unwrap()).unwrap();
    let rsa = body.trim_end().replace("PKIX_ECDSA_P256_SHA_256", "PKIX_RSA_PKCS1V15_2048_SHA256");
    world.write("mislabelled", &rsa);
    world.kiln(&["add", &server.url, "mislabelled", "--vkey", &world.vkey("log")]).ok();
    let shown = world.kiln(&["rekor", "get", "log", "0"]).fails(1, &["no log should take"]);
    assert!(shown.text().contains("signature check  BAD: "), "{}", shown.text());
}

#[test]
fn an_entry_is_verified_offline_with_what_was_signed() {
    let (world, server) = world_with_a_signature();
    let vkey = world.vkey("log");
    upload(&world, &server, "key");
    assert_eq!(server.stop(), Some(0));
    world.write("other.txt", "another artifact");
    let verify = |options: &[&str]| {
        world.kiln(&[&["rekor", "verify", "--entry", "entry.json", "--vkey", &vkey], options].concat())
    };
    let said = verify(&["--artifact", "a.txt", "--key", "key.pub", "--signature", "key.sig"]).ok().text();
    for step in ["log", "checkpoint", "inclusion", "entry", "signature"] {
        assert!(said.contains(&format!("{step:<12}ok: ")), "{step}: {said}");
    }
    assert!(said.contains("not checked whose the key is"), "{said}");
    assert!(said.contains("holds this signature over a.txt, as number 0."), "{said}");
    // The signature is in the entry, so who has lost it can still verify.
    let value = verify(&["--artifact", "a.txt", "--key", "key.pub", "--json"]).ok().json();
    assert_eq!((&value["verified"], &value["index"]), (&json!(true), &json!(0)));
    verify(&["--artifact", "other.txt", "--key", "key.pub"]).fails(1, &["entry.json: entry: ", "artifact"]);
    verify(&["--artifact", "a.txt", "--certificate", "cert.pem"]).fails(1, &["entry: ", "key"]);
    verify(&["--artifact", "a.txt", "--key", "key.pub", "--signature", "cert.sig"])
        .fails(1, &["entry: ", "signature"]);
    verify(&["--artifact", "a.txt"]).fails(2, &["--key"]);
    verify(&["--key", "key.pub"]).fails(2, &["--artifact"]);
    world.write("entry.json", "{}");
    verify(&["--artifact", "a.txt", "--key", "key.pub"]).fails(1, &["entry: "]);
}

fn verify(world: &World, bundle: &Value, options: &[&str]) -> Ran {
    world.write("b.json", bundle.to_string());
    world.kiln(&[&["rekor", "verify", "b.json", "--artifact", "a.txt"], options].concat())
}

#[test]
fn a_bundle_made_of_the_logs_answer_verifies() {
    let (world, server) = world_with_a_signature();
    trust(&world, &server);
    let by_key = bundle_of(&world, "key", &upload(&world, &server, "key"));
    let by_certificate = bundle_of(&world, "cert", &upload(&world, &server, "cert"));
    assert_eq!(server.stop(), Some(0));
    let said = verify(&world, &by_key, &[&ROOT[..], &signer("key")].concat()).ok().text();
    for step in ["bundle", "log", "checkpoint", "inclusion", "entry", "signature"] {
        assert!(said.contains(&format!("{step:<12}ok: ")), "{step}: {said}");
    }
    assert!(said.contains("not checked when it was signed"), "{said}");
    let said = verify(&world, &by_certificate, &ROOT).ok().text();
    assert!(said.contains("identity    the certificate says https://github.com/"), "{said}");
    assert!(said.contains("not checked the certificate: its chain"), "{said}");
    verify(&world, &by_certificate, &[&ROOT[..], &signer("cert")].concat()).ok();
    let value = verify(&world, &by_certificate, &["--vkey", &world.vkey("log"), "--json"]).ok().json();
    assert_eq!(value["signer"]["certificate"]["oidc_issuer"], "https://token.actions.githubusercontent.com");
    assert_eq!(value["steps"].as_array().unwrap().len(), 6);

    verify(&world, &by_key, &ROOT).fails(2, &["--key"]);
    verify(&world, &by_certificate, &[&ROOT[..], &signer("key")].concat()).fails(2, &["certificate"]);
    verify(&world, &by_key, &[]).fails(2, &["--trusted-root"]);
    verify(&world, &by_key, &["--trusted-root", "a.txt"]).fails(2, &["a.txt", "trusted root"]);
    verify(&world, &by_key, &["--trusted-root", "none"]).fails(3, &["none"]);
    let no_artifact = [&["rekor", "verify", "b.json"], &ROOT[..], &signer("key")].concat();
    world.kiln(&no_artifact).fails(2, &["--artifact"]);
    world.write("a.txt", "another artifact");
    verify(&world, &by_key, &[&ROOT[..], &signer("key")].concat()).fails(1, &["another artifact"]);
}

/// Everything that a bundle says is compared or proved: each part, changed, is refused, by the step that
/// says so.
#[test]
fn no_changed_part_of_a_bundle_verifies() {
    let (world, server) = world_with_a_signature();
    // The trusted root knows one key of the log; what another signs may change.
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&["log", "--rekor", "--origin", "127.0.0.1", "--rekor-slim-checkpoint"]);
    trust(&world, &server);
    let other = upload(&world, &server, "cert");
    let good = bundle_of(&world, "key", &upload(&world, &server, "key"));
    assert_eq!(server.stop(), Some(0));
    let options = [&ROOT[..], &signer("key")].concat();
    verify(&world, &good, &options).ok();
    let refused = |words: &str, change: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        assert_ne!(bundle, good, "nothing was changed");
        verify(&world, &bundle, &options).fails(1, &["b.json: ", words]);
    };
    let entry_refused = |words: &str, change: &dyn Fn(&mut Value)| {
        refused(words, &|bundle| change(&mut bundle["verificationMaterial"]["tlogEntries"][0]));
    };
    let note = |change: &dyn Fn(&str) -> String| {
        entry_refused("checkpoint: ", &|entry| {
            let envelope = &mut entry["inclusionProof"]["checkpoint"]["envelope"];
            *envelope = json!(change(envelope.as_str().unwrap()));
        });
    };
    entry_refused("log: ", &|entry| changed(&mut entry["logId"]["keyId"]));
    note(&|text| text.replace("\n2\n", "\n3\n"));
    note(&|text| text.replacen("127.0.0.1", "127.0.0.2", 1));
    note(&|text| text.replace("127.0.0.1 ", "127.0.0.2 "));
    note(&|text| text.replace("\n\n", "\nextension\n\n"));
    note(&|text| {
        let (text, line) = text.trim_end().rsplit_once(' ').unwrap();
        let mut line = json!(line);
        changed(&mut line);
        format!("{text} {}\n", line.as_str().unwrap())
    });
    entry_refused("checkpoint: ", &|entry| entry["inclusionProof"]["checkpoint"] = Value::Null);
    entry_refused("inclusion: ", &|entry| entry["inclusionProof"] = Value::Null);
    entry_refused("inclusion: ", &|entry| changed(&mut entry["inclusionProof"]["hashes"][0]));
    entry_refused("inclusion: ", &|entry| entry["inclusionProof"]["hashes"] = json!([]));
    entry_refused("inclusion: ", &|entry| changed(&mut entry["inclusionProof"]["rootHash"]));
    entry_refused("inclusion: ", &|entry| entry["inclusionProof"]["treeSize"] = json!("3"));
    entry_refused("inclusion: ", &|entry| entry["inclusionProof"]["logIndex"] = json!("0"));
    entry_refused("inclusion: ", &|entry| entry["logIndex"] = json!("0"));
    entry_refused("inclusion: ", &|entry| changed(&mut entry["canonicalizedBody"]));
    entry_refused("entry: ", &|entry| entry["kindVersion"]["kind"] = json!("dsse"));
    entry_refused("entry: ", &|entry| entry["kindVersion"]["version"] = json!("0.0.1"));
    entry_refused("entry: ", &|entry| {
        entry["inclusionPromise"] = json!({ "signedEntryTimestamp": "AAAA" });
    });
    entry_refused("entry: ", &|entry| *entry = other.clone());
    refused("entry: ", &|bundle| changed(&mut bundle["messageSignature"]["signature"]));
    refused("entry: ", &|bundle| changed(&mut bundle["messageSignature"]["messageDigest"]["digest"]));
    refused("log: ", &|bundle| bundle["verificationMaterial"]["tlogEntries"] = json!([]));
    refused("bundle: ", &|bundle| bundle["mediaType"] = json!("application/json"));
    refused("bundle: ", &|bundle| bundle["verificationMaterial"]["publicKey"] = Value::Null);
    refused("bundle: ", &|bundle| bundle["messageSignature"] = Value::Null);
    refused("bundle: ", &|bundle| bundle["more"] = json!(1));
    // What a witness adds, and a log that nobody here knows, change nothing.
    let mut more = good.clone();
    let mut strange = other;
    changed(&mut strange["logId"]["keyId"]);
    more["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap().push(strange);
    let said = verify(&world, &more, &options).ok().text();
    assert!(said.contains("not checked 1 log entry in logs that are not given here"), "{said}");
    world.write("key.pub", conformance("key.pub").to_ascii_lowercase());
    verify(&world, &good, &options).fails(2, &["key.pub"]);
}

#[test]
fn the_bundles_of_sigstores_conformance_suite_are_told_apart() {
    let world = World::new();
    world.write("a.txt", conformance("a.txt"));
    world.write("root.json", conformance("trusted_root.json"));
    let root = ["--trusted-root", "root.json"];
    for good in ["rekor2-happy-path", "rekor2-checkpoint-multiple-cosigs", "rekor2-dsse-happy-path"] {
        verify(&world, &bundle(good), &root).ok();
    }
    for (bad, words) in [
        ("rekor2-checkpoint-missing-log-signature_fail", "checkpoint: "),
        ("rekor2-checkpoint-missing-origin_fail", "checkpoint: "),
        ("rekor2-no-inclusion-proof_fail", "inclusion: "),
        ("rekor2-dsse-mismatch-envelope_fail", "entry: "),
        ("rekor2-dsse-mismatch-sig_fail", "entry: "),
    ] {
        verify(&world, &bundle(bad), &root).fails(1, &[words]);
    }
    // Of Rekor v1 nothing is said here, neither good nor bad.
    world.write("key.pub", conformance("key.pub"));
    let key = [&root[..], &["--key", "key.pub"]].concat();
    verify(&world, &bundle("managed-key-and-trusted-root"), &key)
        .fails(3, &["hashedrekord 0.0.1", "Rekor v2"]);
}

/// An attestation is signed, and the artifact only named in it.
#[test]
fn an_attestation_must_name_the_artifact() {
    let world = World::new();
    world.write("root.json", conformance("trusted_root.json"));
    world.write("other.txt", "another artifact");
    world.write("a.txt", conformance("a.txt"));
    world.write("b.json", bundle("rekor2-dsse-happy-path").to_string());
    let verify = |options: &[&str]| {
        world.kiln(&[&["rekor", "verify", "b.json", "--trusted-root", "root.json"], options].concat())
    };
    let said = verify(&["--artifact", "a.txt"]).ok().text();
    assert!(said.contains("subject     ok: the attestation names a.txt"), "{said}");
    verify(&["--artifact", "other.txt"]).fails(1, &["subject: "]);
    let said = verify(&[]).ok().text();
    assert!(said.contains("not checked whether the attestation is about an artifact of yours"), "{said}");
}

#[test]
fn a_file_is_shown_and_nothing_of_it_is_believed() {
    let (world, server) = world_with_a_signature();
    trust(&world, &server);
    let entry = upload(&world, &server, "cert");
    let body = Base64::decode_vec(entry["canonicalizedBody"].as_str().unwrap()).unwrap();
    world.write("bundle.json", bundle_of(&world, "cert", &entry).to_string());
    world.write("body.json", body);
    world.write("othername.json", std::fs::read(testdata("rekor/othername.bundle.json")).unwrap());
    for (file, what, words) in [
        ("bundle.json", "bundle", "oidc issuer  https://token.actions.githubusercontent.com"),
        ("entry.json", "log entry", "origin      127.0.0.1"),
        ("body.json", "body of an entry", "PKIX_ECDSA_P256_SHA_256"),
        ("trust/trusted_root.json", "trusted root", "vkey        127.0.0.1+"),
        ("trust/client_trust_config.json", "client trust config", "vkey        127.0.0.1+"),
        ("othername.json", "bundle", "identity     foo!oidc.local"),
    ] {
        let shown = world.kiln(&["rekor", "inspect", file]).ok();
        assert!(shown.text().contains(words), "{file}: {}", shown.text());
        assert!(shown.stderr.contains("Nothing of this was verified"), "{file}: {}", shown.stderr);
        assert_eq!(world.kiln(&["rekor", "inspect", file, "--json"]).ok().json()["file"], what);
    }
    // A changed bundle is shown as well: this is the command for it.
    let mut changed_entry = entry.clone();
    changed(&mut changed_entry["inclusionProof"]["rootHash"]);
    world.write("changed.json", changed_entry.to_string());
    world.kiln(&["rekor", "inspect", "changed.json"]).ok();
    for (bytes, words) in [
        ("", "not JSON"),
        ("{}", "neither a bundle"),
        (r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v9+json"}"#, "media type"),
        (r#"{"canonicalizedBody":"?"}"#, "base64"),
    ] {
        world.write("bad.json", bytes);
        world.kiln(&["rekor", "inspect", "bad.json"]).fails(2, &["bad.json", words]);
    }
    world.kiln(&["rekor", "inspect", "none"]).fails(3, &["none"]);
}
