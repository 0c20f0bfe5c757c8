//! A log and its witness, both as they are run: cosigned from the first checkpoint on, and held to it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::world::{Server, World, free_address, request, try_request};

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
    thread::sleep(Duration::from_millis(500));
    assert_eq!(server.get("/checkpoint").expect(200).text(), checkpoint);
    assert!(server.get("/readyz").expect(503).text().contains("too few witnesses"));
}

/// What `log.json` says was written when a log was ready, and it was not while its witnesses were away: old URLs stayed.
#[test]
fn a_log_says_where_it_is_though_its_witnesses_are_away() {
    let (world, witness) = world();
    assert_eq!(witness.stop(), Some(0));
    let address = free_address();
    let flags = ["--policy", "policy", "--url", "https://moved.example.com/", "--listen", &address];
    let _server = world.serve(&[&["log"], &flags[..]].concat());
    let get = |path: &str| request(&format!("http://{address}"), "GET", path, &[], b"");
    assert!(get("/log.json").expect(200).text().contains("https://moved.example.com"));
    assert!(get("/readyz").expect(503).text().contains("too few witnesses"));
}

/// `kiln add` said nothing for minutes, no answer named the witnesses, and the metrics told of nothing that waits.
#[test]
fn without_a_quorum_all_who_wait_are_told_what_for() {
    let (world, witness) = world();
    let admin = free_address();
    let flags =
        ["--witness-timeout", "50ms", "--interval", "20ms", "--pool-entries", "1", "--admin-listen", &admin];
    let server = world.serve(&[&["log", "--policy", "policy"], &flags[..]].concat());
    server.post("/add", b"release 1").expect(200);
    assert_eq!(witness.stop(), Some(0));
    let metrics = || request(&format!("http://{admin}"), "GET", "/metrics", &[], b"").expect(200).text();
    assert!(metrics().contains("kiln_unpublished_entries 0\n"), "{}", metrics());
    server.post("/add?wait=sequenced", b"release 2").expect(200);
    assert!(metrics().contains("kiln_unpublished_entries 1\n"), "{}", metrics());
    world.write("entry", "release 3");
    let mut add = world.command(&["add", &server.url, "entry", "--policy", "policy"]);
    let mut adding = add.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(adding.stderr.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().starts_with("still waiting, after 5 s: a log answers when"));
    // Rounds that are committed wait, too: these fill what there is room for, until one is refused.
    let refused = thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for number in 0..30 {
            let (tell, url) = (tell.clone(), &server.url);
            scope.spawn(move || {
                let path = "/add?wait=sequenced";
                let reply = try_request(url, "POST", path, &[], format!("{number}").as_bytes());
                let _ = reply.map(|reply| tell.send(reply));
            });
            thread::sleep(Duration::from_millis(50));
        }
        drop(tell);
        let refused = told.iter().find(|reply| reply.status == 503).map(|reply| reply.text());
        server.signal(Signal::KILL); // nobody waits for the others
        refused
    });
    let refused = refused.expect("there is no room for all");
    assert!(refused.contains("too few witnesses cosign"), "{refused}");
    let retrying = told.next().unwrap().unwrap();
    assert!(retrying.contains("trying again in"), "{retrying}");
    adding.kill().unwrap();
    adding.wait().unwrap();
    // And so is whoever starts it again, before it can be ready.
    let again = ["serve", "log", "--policy", "policy", "--witness-timeout", "50ms", "--admin-listen", &admin];
    let mut again = world.command(&[&again[..], &["--listen", "127.0.0.1:0"]].concat());
    let mut again = again.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let waiting = || {
        let reply = try_request(&format!("http://{admin}"), "GET", "/metrics", &[], b"").ok()?.text();
        let line = reply.lines().find(|line| line.starts_with("kiln_unpublished_entries "))?;
        line.split(' ').nth(1)?.parse::<u64>().ok()
    };
    let start = Instant::now();
    while waiting().is_none_or(|waiting| waiting < 2) && start.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(20));
    }
    let told = waiting();
    again.kill().unwrap();
    again.wait().unwrap();
    assert!(told.is_some_and(|waiting| waiting >= 2), "{told:?}");
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
