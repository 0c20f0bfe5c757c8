//! The key that a log is verified by: where it comes from, and what is said when it is another log's.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::world::World;

fn two_logs() -> (World, [String; 2]) {
    let world = World::new();
    let server = world.serve(&["log", "--origin", "keys.example/log"]);
    world.write("entry", "one");
    world.kiln(&["add", "log", "entry", "--proofs", "."]).ok();
    assert_eq!(server.stop(), Some(0));
    world.kiln(&["init", "other", "--origin", "keys.example/other"]).ok();
    let vkeys = ["log", "other"].map(|log| world.vkey(log));
    (world, vkeys)
}

/// "The note has no signature by a known key": who had pasted the wrong key could not see that he had.
#[test]
fn a_wrong_key_is_named_beside_the_one_that_signed() {
    let (world, [_, other]) = two_logs();
    for command in [
        &["info", "log"][..],
        &["get", "log", "0"],
        &["fsck", "log"],
        &["tail", "log", "--no-follow"],
        &["prove", "log", "--index", "0"],
        &["add", "log", "entry"],
        &["verify", "entry.tlog-proof", "--entry", "entry"],
    ] {
        let words = ["signed by keys.example/log (", "not by the given key, keys.example/other ("];
        let ran = world.kiln(&[command, &["--vkey", &other]].concat()).fails(1, &words);
        let key_id = other.split('+').nth(1).unwrap();
        assert!(ran.stderr.contains(key_id), "{key_id}: {}", ran.stderr);
    }
}

/// `export KILN_VKEY=` made every command fail, and name an option that nobody had given; so did a key
/// with a newline, as a file has it.
#[test]
fn a_variable_may_be_empty_and_have_space_around_it() {
    let (world, [vkey, _]) = two_logs();
    let with =
        |name: &str, value: &str, arguments: &[&str]| world.run(world.command(arguments).env(name, value));
    let padded = format!(" {vkey}\r\n");
    for empty in ["", " ", "\n"] {
        with("KILN_VKEY", empty, &["info", "log"]).ok();
        with("KILN_VKEY", empty, &["info", "log/public"]).fails(2, &["no key"]);
        with("KILN_VKEY", empty, &["info", "log/public", "--vkey", &padded]).ok();
        with("KILN_VKEY", empty, &["verify", "entry.tlog-proof", "--entry", "entry"]).fails(2, &["--vkey"]);
        with("KILN_CACHE", empty, &["info", "log"]).ok();
        with("KILN_TOKEN", empty, &["add", "log", "entry"]).fails(3, &["no connection"]);
    }
    with("KILN_VKEY", &padded, &["info", "log/public"]).ok();
    with("KILN_VKEY", &padded, &["verify", "entry.tlog-proof", "--entry", "entry"]).ok();
    for command in [&["info", "log"][..], &["verify", "entry.tlog-proof", "--entry", "entry"]] {
        let said = with("KILN_VKEY", "nonsense", command).fails(2, &["KILN_VKEY: "]).stderr;
        assert!(!said.contains("--vkey"), "{said}");
    }
    with("KILN_CACHE", "cache", &["info", "log"]).ok();
    assert!(world.path("cache").is_dir());
}

/// The origin was said to be chosen by Kiln, of a log whose operator had given a key with a name.
#[test]
fn the_name_of_a_given_key_is_not_chosen_by_kiln() {
    let world = World::new();
    world.kiln(&["key", "new", "named.example/log", "-o", "named.key"]).ok();
    let server = world.serve(&["log", "--key", "named.key"]);
    assert!(server.printed.contains("its name, which is for ever\n"), "{}", server.printed);
    let server = world.serve(&["other"]);
    assert!(server.printed.contains("chosen for you"), "{}", server.printed);
}

/// A log of Rekor's may have an ECDSA key: made here, or by OpenSSL.
#[test]
fn a_log_can_sign_with_ecdsa() {
    let world = World::new();
    let new = &["key", "new", "rekor.example", "-o", "rekor.key", "--type", "ecdsa-p256"];
    let vkey = world.kiln(new).ok().text();
    assert!(vkey.starts_with("rekor.example+") && vkey.contains("+AjBZMBMGByqGSM49"), "{vkey}");
    world.kiln(&["init", "log", "--key", "rekor.key"]).ok();
    assert_eq!(world.kiln(&["vkey", "log", "--key", "rekor.key"]).ok().text(), vkey);
    let server = world.serve(&["log", "--key", "rekor.key"]);
    world.write("entry", "one");
    world.kiln(&["add", &server.url, "entry", "--proofs", ".", "--vkey", vkey.trim()]).ok();
    assert_eq!(server.stop(), Some(0));
    world.kiln(&["verify", "entry.tlog-proof", "--entry", "entry", "--vkey", vkey.trim()]).ok();
    world.kiln(&["fsck", "log/public", "--vkey", vkey.trim()]).ok();

    world
        .kiln(&["key", "new", "pem.example", "-o", "key.pem", "--type", "ecdsa-p256", "--format", "pkcs8"])
        .ok();
    let pem = String::from_utf8(world.read("key.pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49"), "{}", pem.len());
    world.kiln(&["init", "other", "--key", "key.pem", "--origin", "pem.example"]).ok();
    // Under another name it is a key that looks as good, and nothing of the log verifies by it.
    for command in ["vkey", "init"] {
        let mistyped = world.kiln(&[command, "other", "--key", "key.pem", "--origin", "pen.example"]);
        mistyped.fails(2, &["\"pem.example\"", "\"pen.example\""]);
        world.kiln(&[command, "other", "--key", "key.pem", "--origin", "pem.example"]).ok();
    }
}

/// A log signs with two keys, so that one that is broken one day is not the end: both are made with it, and its
/// folder keeps both.
#[test]
fn a_new_log_in_a_folder_gets_a_second_key() {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", "keys.example/log"]).ok();
    let (first, second) = ("log/private/key", "log/private/key.ml-dsa-44");
    let vkey = |arguments: &[&str]| world.kiln(&[&["vkey", "log"], arguments].concat()).ok().text();
    assert_eq!(vkey(&[]), vkey(&["--type", "ed25519"]));
    assert_eq!(vkey(&[]), world.kiln(&["key", "show", first]).ok().text());
    let ml_dsa = vkey(&["--type", "ml-dsa-44"]);
    assert!(ml_dsa.starts_with("keys.example/log+") && ml_dsa.lines().count() == 1, "{ml_dsa}");
    assert_eq!(ml_dsa, world.kiln(&["key", "show", second]).ok().text());
    world.kiln(&["vkey", "log", "--type", "ecdsa-p256"]).fails(2, &["no key of this type: ECDSA"]);
    for key in [first, second] {
        assert_eq!(fs::metadata(world.path(key)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    // Either is enough to verify the log by.
    for vkey in [vkey(&[]), ml_dsa.clone()] {
        world.kiln(&["fsck", "log/public", "--vkey", &vkey]).ok();
    }
    let signatures = world.kiln(&["info", "log", "--json"]).ok().json()["signatures"].clone();
    assert_eq!(signatures.as_array().unwrap().len(), 2, "{signatures}");

    // Once more, and both stay what they are.
    world.kiln(&["init", "log", "--origin", "keys.example/log"]).ok();
    assert_eq!(vkey(&["--type", "ml-dsa-44"]), ml_dsa);
}

#[test]
fn an_old_log_can_be_given_a_second_key() {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", "keys.example/log"]).ok();
    let second = "log/private/key.ml-dsa-44";
    world.remove(second); // as Kiln made logs before
    world.kiln(&["vkey", "log", "--type", "ml-dsa-44"]).fails(2, &["kiln key new ORIGIN --type ml-dsa-44"]);
    world.kiln(&["init", "log"]).ok();
    assert!(!world.path(second).exists(), "nobody asked for it");
    let new = |name: &str| world.kiln(&["key", "new", name, "--type", "ml-dsa-44", "-o", second]);
    let made = new("keys.example/log").ok().text();
    assert_eq!(world.kiln(&["vkey", "log", "--type", "ml-dsa-44"]).ok().text(), made);
    new("keys.example/log").fails(2, &["exists already"]);

    // One of another log, one of another kind, one that others can read: none is taken.
    let vkey = || world.kiln(&["vkey", "log", "--type", "ml-dsa-44"]);
    world.remove(second);
    new("keys.example/other").ok();
    vkey().fails(2, &[second, "keys.example/other, not keys.example/log"]);
    world.remove(second);
    let ed25519 = &["key", "new", "keys.example/log", "--type", "ed25519-cosigner", "-o", second];
    world.kiln(ed25519).ok();
    vkey().fails(2, &[second, "one of ML-DSA-44"]);
    fs::set_permissions(world.path(second), fs::Permissions::from_mode(0o640)).unwrap();
    vkey().fails(3, &[second, "640", "chmod 600"]);
}

/// A log in a bucket has its keys elsewhere, as one in a folder may.
#[test]
fn a_second_key_can_be_kept_elsewhere() {
    let world = World::new();
    world.kiln(&["key", "new", "keys.example/log", "-o", "first.key"]).ok();
    let new = &["key", "new", "keys.example/log", "-o", "second.key", "--type", "ml-dsa-44"];
    let ml_dsa = world.kiln(new).ok().text();
    let server = world.serve(&["log", "--key", "first.key"]);
    assert_eq!(server.stop(), Some(0));
    assert!(!world.path("log/private/key.ml-dsa-44").exists(), "a secret where the first one is not");

    let vkey = &["vkey", "log", "--key", "first.key", "--type", "ml-dsa-44"];
    world.kiln(vkey).fails(2, &["no key of this type"]);
    assert_eq!(world.kiln(&[vkey, &["--ml-dsa-key", "second.key"][..]].concat()).ok().text(), ml_dsa);
    let secret = String::from_utf8(world.read("second.key")).unwrap();
    assert_eq!(world.run(world.command(vkey).env("KILN_ML_DSA_KEY", &secret)).ok().text(), ml_dsa);
    let said = world.run(world.command(vkey).env("KILN_ML_DSA_KEY", secret.replace("log+", "lag+")));
    let said = said.fails(2, &["KILN_ML_DSA_KEY: ", "a part was changed"]).stderr;
    assert!(!said.contains("PRIVATE"), "{said}");
    world.kiln(&[vkey, &["--ml-dsa-key", "first.key"][..]].concat()).fails(2, &["one of ML-DSA-44"]);
}

#[test]
fn a_key_that_cosigns_is_shown_and_runs_no_log() {
    let world = World::new();
    for (kind, typed) in [("ml-dsa-44", "ML-DSA-44 cosignature"), ("ed25519-cosigner", "Ed25519 cosignature")]
    {
        let file = format!("{kind}.key");
        let new = &["key", "new", "witness.example/w1", "-o", &file, "--type", kind];
        let vkey = world.kiln(new).ok().text();
        let shown = world.kiln(&["key", "show", &file, "--json"]).ok().json();
        assert_eq!((&shown["vkey"], &shown["type"]), (&vkey.trim_end().into(), &typed.into()));
        world.kiln(&["key", "show", &file, "--name", "witness.example/w2"]).fails(2, &["witness.example/w1"]);
        world.kiln(&["init", "log", "--key", &file]).fails(2, &["makes cosignatures", typed]);
        world.kiln(&[new, &["--format", "pkcs8"][..]].concat()).fails(2, &["PKCS#8"]);
    }
}

#[test]
fn a_backup_has_both_keys_or_none() {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", "keys.example/log"]).ok();
    world.kiln(&["backup", "log", "without"]).ok();
    assert!(!world.path("without/private/key.ml-dsa-44").exists());
    world.kiln(&["backup", "log", "with", "--with-key"]).ok();
    for key in ["private/key", "private/key.ml-dsa-44"] {
        assert_eq!(world.read(&format!("with/{key}")), world.read(&format!("log/{key}")));
    }
    // Again, to no effect; but not over the key of another log.
    world.kiln(&["backup", "log", "with", "--with-key"]).ok();
    world.remove("with/private/key.ml-dsa-44");
    let other = "with/private/key.ml-dsa-44";
    world.kiln(&["key", "new", "keys.example/log", "-o", other, "--type", "ml-dsa-44"]).ok();
    world.kiln(&["backup", "log", "with", "--with-key"]).fails(2, &[other, "another key"]);
}

/// A key in a KMS is asked for nothing before it is known that the command makes sense.
#[test]
fn a_key_in_a_kms_is_named_whole() {
    let world = World::new();
    let gcp = "gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k";
    for (reference, words) in [
        ("azurekms://vault/key", "other services are not known here"),
        ("awskms:///arn:aws:s3:::bucket", "awskms:///ARN"),
        (gcp, "name the version"),
    ] {
        let shown = world.kiln(&["key", "show", reference, "--name", "keys.example/log"]);
        shown.fails(2, &[words]);
        world.kiln(&["serve", "log", "--key", reference]).fails(2, &[words]);
        let mut vkey = world.command(&["vkey", "log", "--origin", "keys.example/log"]);
        world.kiln(&["init", "log"]).ok();
        world.run(vkey.env("KILN_KEY", reference)).fails(2, &["KILN_KEY: ", words]);
        fs::remove_dir_all(world.path("log")).unwrap();
    }
    let key = "awskms:///alias/releases?region=eu-west-1";
    world.kiln(&["init", "log", "--key", key]).fails(2, &["no name of its own", "give the log's origin"]);
    assert!(!world.path("log/private/key").exists());
}

/// And where it cannot be asked, the log cannot be made: nothing stands in for it.
#[test]
fn a_kms_that_is_not_there_makes_no_log() {
    let world = World::new();
    let arguments = ["init", "log", "--origin", "keys.example/log", "--key", "awskms:///alias/releases"];
    let mut init = world.command(&arguments);
    init.env("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9").env("AWS_REGION", "eu-west-1");
    init.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "not to be shown");
    let ran = world.run(&mut init).fails(3, &["awskms:///alias/releases: the KMS could not be asked"]);
    assert!(!ran.stderr.contains("not to be shown"), "{}", ran.stderr);
    assert!(!world.path("log/private/key").exists());
}
