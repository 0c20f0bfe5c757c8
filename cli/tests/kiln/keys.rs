//! The key that a log is verified by: where it comes from, and what is said when it is another log's.

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
}
