//! The exit codes: 0 done and verified, 1 bad, 2 wrong usage, 3 could not be done.

use crate::world::World;

/// A served log with one entry, its proof, and a proof of a log of somebody else's.
fn world_with_a_proof() -> (World, String) {
    let world = World::new();
    let server = world.serve(&["log", "--origin", "codes.example/log"]);
    let vkey = world.vkey("log");
    world.write("entry", "an entry\n");
    world.kiln_reading(&["add", "log", "--lines"], "some\nmore\nlines\n").ok();
    world.kiln(&["add", &server.url, "entry", "--proofs", ".", "--vkey", &vkey]).ok();
    assert_eq!(server.stop(), Some(0));
    world.kiln(&["init", "other", "--origin", "codes.example/other"]).ok();
    (world, vkey)
}

#[test]
fn verify_names_the_step_that_fails() {
    let (world, vkey) = world_with_a_proof();
    let proof = String::from_utf8(world.read("entry.tlog-proof")).unwrap();
    world.write("another", "another entry\n");
    world.write("long", "x".repeat(65_536));
    let verify = |proof: &str, entry: &str, vkey: &str| {
        world.write("changed", proof);
        world.kiln(&["verify", "changed", "--entry", entry, "--vkey", vkey])
    };
    verify(&proof, "entry", &vkey).ok();
    verify(&proof, "another", &vkey).fails(1, &["inclusion"]);
    verify(&proof, "long", &vkey).fails(1, &["entry"]);
    verify(&proof.replace("index 3", "index 2"), "entry", &vkey).fails(1, &["inclusion"]);
    verify(&proof.replace("index 3", "index 9"), "entry", &vkey).fails(1, &["inclusion"]);
    verify(&proof.replace("\n4\n", "\n5\n"), "entry", &vkey).fails(1, &["signature: ", "is wrong"]);
    verify(&proof.replace("index 3", "index 03"), "entry", &vkey)
        .fails(1, &["proof: there is no index line"]);
    verify("", "entry", &vkey).fails(1, &["proof: line 1"]);
    verify(&proof, "entry", &world.vkey("other")).fails(
        1,
        &["signature: it is signed by codes.example/log (", "not by the given key, codes.example/other ("],
    );
    verify(&proof, "entry", &vkey.replace("log+", "lag+")).fails(2, &["--vkey", "key ID"]);
    verify(&proof, "none", &vkey).fails(3, &["none"]);
    world.kiln(&["verify", "none", "--entry", "entry", "--vkey", &vkey]).fails(3, &["none"]);
    world.kiln(&["verify", "entry.tlog-proof", "--entry", "entry"]).fails(2, &["--vkey"]);
    world.kiln(&["verify", "entry.tlog-proof", "--vkey", &vkey]).fails(2, &["--entry"]);
    // What nobody vouches for may change: an extra line, a signature by an unknown key.
    let extra = verify(&proof.replace("index 3", "extra AAAA\nindex 3"), "entry", &vkey).ok();
    assert!(extra.text().contains("nothing vouches for"), "{}", extra.text());
    verify(&format!("{proof}— unknown.example AAAAAAAA\n"), "entry", &vkey).ok();
}

#[test]
fn no_changed_byte_of_a_proof_verifies() {
    let (world, vkey) = world_with_a_proof();
    // The last line is by the log's second key, which is not known here: what nobody verifies may change.
    let mut proof = String::from_utf8(world.read("entry.tlog-proof")).unwrap();
    proof.truncate(proof.trim_end().rfind('\n').unwrap() + 1);
    let proof = proof.into_bytes();
    for at in (0..proof.len()).step_by(7) {
        let mut changed = proof.clone();
        changed[at] ^= 1;
        world.write("changed", &changed);
        let ran = world.kiln(&["verify", "changed", "--entry", "entry", "--vkey", &vkey]);
        assert_eq!(ran.code, Some(1), "byte {at}: {}", String::from_utf8_lossy(&changed));
    }
}

#[test]
fn every_command_tells_bad_from_wrong_usage_from_not_done() {
    let (world, vkey) = world_with_a_proof();
    let other = world.vkey("other");
    let wrong = |arguments: &[&str], code: i32| {
        let ran = world.kiln(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}{}", ran.stderr, ran.text());
        assert!(!ran.stderr.is_empty(), "{arguments:?} says nothing");
    };
    let nobody = "http://127.0.0.1:9"; // the discard port, where nobody listens
    let key = |vkey| ["--vkey", vkey];
    for command in [&["info"][..], &["fsck"], &["get"], &["prove"], &["tail"]] {
        let rest: &[&str] = match command[0] {
            "get" => &["0"],
            "prove" => &["--index", "0"],
            "tail" => &["--no-follow"],
            _ => &[],
        };
        let with = |log, vkey| [command, &[log], rest, &key(vkey)].concat();
        assert_eq!(world.kiln(&with("log", &vkey)).code, Some(0), "{command:?}");
        wrong(&with("log", &other), 1);
        wrong(&with("log", "nonsense"), 2);
        wrong(&with("ftp://127.0.0.1", &vkey), 2);
        wrong(&[command, &["log/public"], rest].concat(), 2); // no key
        wrong(&with("none", &vkey), 3);
        wrong(&with("state", &vkey), 3); // no log there
    }
    wrong(&["get", "log", "4"], 3);
    wrong(&["get", "log", "x"], 2);
    wrong(&["prove", "log"], 2);
    wrong(&["prove", "log", "--index", "4"], 3);
    wrong(&["prove", "log", "--index", "0", "--entry", "entry"], 2);
    wrong(&["prove", "log", "--hash", "00"], 2);
    wrong(&["prove", "log", "--hash", &"0".repeat(64)], 3);
    wrong(&["prove", "log", "--entry", "entry", "--to", "3"], 3); // it is number 3
    wrong(&["add", nobody, "none"], 3);
    wrong(&["add", "log", "entry", "--token-file", "none"], 3);
    wrong(&["add", "http://192.0.2.1", "entry", "--token-file", "entry"], 2); // the token would be readable
    wrong(&["add", nobody, "entry"], 2); // no key
    wrong(&["add", nobody, "entry", "--vkey", &vkey], 3);
    wrong(&["key", "show", "none"], 3);
    wrong(&["key", "show", "entry.tlog-proof"], 3); // others can read it
    wrong(&["key", "new", "a b", "-o", "k"], 2);
    wrong(&["vkey", "none"], 3);
    wrong(&["vkey", "log/public"], 2);
    wrong(&["nonsense"], 2);
    wrong(&["serve"], 2);
}

#[test]
fn every_command_has_help_with_an_example() {
    let world = World::new();
    let commands = [
        "serve",
        "init",
        "vkey",
        "add",
        "get",
        "prove",
        "verify",
        "info",
        "tail",
        "fsck",
        "bench",
        "key new",
        "key show",
        "policy check",
        "rekor upload",
        "rekor get",
        "rekor verify",
        "rekor inspect",
        "rekor trust-config",
    ];
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = world.kiln(&arguments).ok().text();
        assert!(help.contains("Example") && help.contains(&format!("kiln {command}")), "{help}");
    }
}

/// What a new user typed, and the answers that led him astray.
#[test]
fn a_mistake_is_answered_with_what_is_wrong() {
    let (world, vkey) = world_with_a_proof();
    // "No such folder", of an address.
    world.kiln(&["info", "127.0.0.1:18080", "--vkey", &vkey]).fails(3, &["http://127.0.0.1:18080"]);
    // "The log's key is not at ...", exit 2, of what is no log.
    for folder in ["state", "none"] {
        world.kiln(&["vkey", folder]).fails(3, &[folder, "no "]);
    }
    world.kiln(&["vkey", "state"]).fails(3, &["no log here"]);
    // "If nobody has: chmod 600", of a folder.
    world.kiln(&["key", "show", "log"]).fails(3, &["is a folder"]);
    // The name of a temporary file, of a folder that is not there.
    for command in [
        &["get", "log", "0", "-o", "none/entry"][..],
        &["prove", "log", "--index", "0", "-o", "none/proof"],
        &["key", "new", "a.example/log", "-o", "none/key"],
    ] {
        let said = world.kiln(command).fails(3, &[command.last().unwrap(), "no such folder"]).stderr;
        assert!(!said.contains(".tmp"), "{said}");
    }
}
