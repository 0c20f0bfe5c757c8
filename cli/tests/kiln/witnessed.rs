//! A log and its witness, both as they are run: cosigned from the first checkpoint on, and held to it.

use crate::world::{Server, World};

/// A log, a witness of it, and the policy that asks for both of the witness's keys.
fn world() -> (World, Server) {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", "example.com/log"]).ok();
    let vkey = world.vkey("log");
    world.write("list", format!("logs/v0\n\nvkey {vkey}\n"));
    let witness = world.witness(&["w", "--name", "w.example/1", "--logs", "list"]);
    let url = &witness.url;
    let names = ["classic", "quantum"].into_iter().zip(witness.printed.lines());
    let lines: String = names.map(|(name, key)| format!("witness {name} {key} {url}\n")).collect();
    let rule = "group both all classic quantum\nquorum both\n";
    world.write("policy", format!("log {vkey}\n{lines}{rule}"));
    (world, witness)
}

#[test]
fn what_is_published_is_cosigned_and_a_proof_of_it_verifies_by_the_policy_alone() {
    let (world, witness) = world();
    let server = world.serve(&["log", "--policy", "policy"]);
    world.write("entry", "release 1");
    world.kiln(&["add", &server.url, "entry", "--policy", "policy", "--proofs", "."]).ok();
    assert_eq!(server.stop(), Some(0));
    assert_eq!(witness.stop(), Some(0));
    let verify = ["verify", "entry.tlog-proof", "--entry", "entry", "--policy", "policy"];
    let said = world.kiln(&verify).ok();
    assert!(said.text().contains("classic") && said.text().contains("quantum"), "{}", said.text());
    // What is published already is served without the witness, and nothing more is published.
    let server = world.serve(&["log", "--policy", "policy", "--witness-timeout", "100ms"]);
    let checkpoint = server.get("/checkpoint").expect(200).text();
    server.post("/add?wait=sequenced", b"release 2").expect(200);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(server.get("/checkpoint").expect(200).text(), checkpoint);
    assert!(server.get("/readyz").expect(503).text().contains("too few witnesses"));
}

/// Store and guard were restored together: the guard cannot notice, and the witness does.
#[test]
fn a_log_that_went_back_is_refused_by_name_of_its_witness() {
    let (world, _witness) = world();
    let server = world.serve(&["log", "--policy", "policy"]);
    server.post("/add", b"one").expect(200);
    assert_eq!(server.stop(), Some(0));
    world.copy("log", "older");
    let server = world.serve(&["log", "--policy", "policy"]);
    server.post("/add", b"two").expect(200);
    assert_eq!(server.stop(), Some(0));
    let older = ["older", "--policy", "policy", "--guard", "another-guard", "--accept-head"];
    let head = world.kiln(&["info", "older", "--json"]).ok().json();
    let head = format!("{}:{}", head["size"], head["root"].as_str().unwrap());
    let serve = [&["serve"], &older[..], &[&head, "--listen", "127.0.0.1:0"]].concat();
    world.kiln(&serve).fails(1, &["classic", "size 2"]);
}
