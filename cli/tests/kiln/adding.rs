//! `kiln add`: what it believes, and what it leaves behind.

use crate::liar::Liar;
use crate::world::World;

/// A folder `log` with three entries, and `other`, a log with another key.
fn world_with_a_log() -> (World, String) {
    let world = World::new();
    let server = world.serve(&["log", "--origin", "adding.example/log"]);
    world.kiln_reading(&["add", "log", "--lines"], "zero\none\ntwo\n").ok();
    assert_eq!(server.stop(), Some(0));
    world.kiln(&["init", "other", "--origin", "adding.example/log"]).ok();
    let vkey = world.vkey("log");
    (world, vkey)
}

/// With a wrong key, or none, `kiln add` sent everything and exited 0: whoever had been led to a forged
/// log found out later, or never.
#[test]
fn nothing_is_sent_to_a_log_that_does_not_verify() {
    let (world, _) = world_with_a_log();
    let server = Liar::serve(world.path("log/public"), "1\n");
    world.write("entry", "one");
    let add = ["add", &server.url, "entry"];
    world.kiln(&add).fails(2, &["--vkey", "KILN_VKEY"]);
    world
        .kiln(&[&add[..], &["--vkey", &world.vkey("other")]].concat())
        .fails(1, &["not by the given key, adding.example/log ("]);
    assert_eq!(server.posts(), 0);
}

/// An index that a server answered was printed as if it were a fact.
#[test]
fn what_a_server_says_and_the_log_does_not_hold_exits_1() {
    let (world, vkey) = world_with_a_log();
    world.write("entry", "one");
    for (answer, words) in [
        ("2\n", "entry 2, but the log has another entry there"),
        ("3\n", "entry 3, but its published checkpoint has 3 entries"),
    ] {
        let server = Liar::serve(world.path("log/public"), answer);
        let ran = world.kiln(&["add", &server.url, "entry", "--vkey", &vkey]).fails(1, &[words]);
        assert_eq!((ran.text().as_str(), server.posts()), ("", 1), "{answer}");
    }
    let server = Liar::serve(world.path("log/public"), "1\n");
    let ran = world.kiln(&["add", &server.url, "entry", "--vkey", &vkey]).ok();
    assert!(ran.text().starts_with("1  "), "{}", ran.text());
}

/// Batches that raced got their indices in any order, and the help did not say so.
#[test]
fn new_lines_keep_their_order_on_demand() {
    let world = World::new();
    let _server = world.serve(&["log"]);
    let lines: String = (0..13_000).map(|n| format!("line {n}\n")).collect();
    let added = world.kiln_reading(&["add", "log", "--lines", "--in-order"], lines).ok().text();
    for (index, line) in added.lines().enumerate() {
        assert!(line.starts_with(&format!("{index}  ")), "{line} stands in line {index}");
    }
    assert!(world.kiln(&["add", "--help"]).ok().text().contains("--in-order"));
}

/// The proof of another entry, whose file had the same name, was silently replaced.
#[test]
fn no_proof_of_another_entry_is_overwritten() {
    let world = World::new();
    let _server = world.serve(&["log"]);
    let size = || world.kiln(&["info", "log", "--json"]).ok().json()["size"].clone();
    world.write("one/file", "one");
    world.write("two/file", "two");
    let add = |file: &str| world.kiln(&["add", "log", file, "--proofs", "proofs", "--json"]);
    assert_eq!(add("one/file").ok().json()["proof"], "proofs/file.tlog-proof");
    let first = world.read("proofs/file.tlog-proof");
    add("two/file").fails(2, &["proofs/file.tlog-proof", "nothing was sent"]);
    assert_eq!((world.read("proofs/file.tlog-proof"), size()), (first, 1.into()));
    // A proof of the same entry may take its place, and does.
    world.kiln_reading(&["add", "log", "--lines"], "another\n").ok();
    add("one/file").ok();
    let vkey = world.vkey("log");
    let verify = ["verify", "proofs/file.tlog-proof", "--entry", "one/file", "--vkey", &vkey];
    world.kiln(&verify).ok();
    // What a file of that index is, shows only when the index is known.
    world.write("proofs/2.tlog-proof", "not a proof");
    world
        .kiln_reading(&["add", "log", "--lines", "--proofs", "proofs"], "third\n")
        .fails(3, &["2.tlog-proof"]);
    assert_eq!(world.read("proofs/2.tlog-proof"), b"not a proof");
}
