//! What a log remembers, and what it notices: restarts, crashes, and stores that went back in time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::world::{World, try_request};

const ORIGIN: &[&str] = &["log", "--origin", "restart.example/log"];

fn serve_refused(world: &World) -> crate::world::Ran {
    world.kiln(&["serve", "log", "--listen", "127.0.0.1:0"])
}

#[test]
fn a_restart_keeps_everything_and_adds_nothing_twice() {
    let world = World::new();
    let server = world.serve(ORIGIN);
    for n in 0..5 {
        assert_eq!(server.post("/add", format!("entry {n}").as_bytes()).expect(200).text(), n.to_string());
    }
    let checkpoint = server.get("/checkpoint").expect(200).body;
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(ORIGIN);
    assert_eq!(server.field("size"), "5");
    assert_eq!(server.get("/checkpoint").expect(200).body, checkpoint);
    assert_eq!(server.post("/add", b"entry 3").expect(200).text(), "3");
    assert_eq!(server.stop(), Some(0));
    // The dedup index is a cache: without it the log knows the same.
    world.remove("log/private/dedup");
    let server = world.serve(&["log", "--cache-dir", "cache"]);
    assert_eq!(server.post("/add", b"entry 4").expect(200).text(), "4");
    assert!(!world.path("log/private/dedup").exists());
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&["log", "--dedup", "off"]);
    assert_eq!(server.post("/add", b"entry 4").expect(200).text(), "5");
    world.kiln(&["fsck", "log"]).ok();
}

/// How often the server is killed: more often where somebody has the time.
fn lives() -> u64 {
    std::env::var("KILN_TEST_LIVES").map_or(4, |lives| lives.parse().expect("a number of lives"))
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let world = World::new();
    let mut acknowledged: Vec<(String, u64)> = Vec::new();
    for life in 0..lives() {
        let server = world.serve(ORIGIN);
        let (url, over) = (server.url.clone(), AtomicBool::new(false));
        let answers = std::thread::scope(|scope| {
            let (url, over) = (&url, &over);
            let reader = scope.spawn(move || read_until(url, over));
            let submitters: Vec<_> =
                (0..16).map(|who| scope.spawn(move || submit_until(url, over, life * 16 + who))).collect();
            std::thread::sleep(Duration::from_millis(30 + random_below(250)));
            server.kill();
            over.store(true, Ordering::Relaxed);
            reader.join().unwrap();
            submitters.into_iter().flat_map(|submitter| submitter.join().unwrap()).collect::<Vec<_>>()
        });
        acknowledged.extend(answers);
        // What is published now extends what was published after the life before.
        world.kiln(&["fsck", "log", "--cache", "cache"]).ok();
    }
    assert!(!acknowledged.is_empty());
    let server = world.serve(ORIGIN);
    world.kiln(&["fsck", "log", "--cache", "cache"]).ok();
    let entries = world.kiln(&["tail", "log", "--from", "0", "--no-follow"]).ok().text();
    let entries: Vec<_> = entries.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    for (entry, index) in &acknowledged {
        assert_eq!(entries[usize::try_from(*index).unwrap()], entry);
    }
    let distinct: HashSet<_> = entries.iter().collect();
    assert_eq!(distinct.len(), entries.len(), "an entry was logged twice");
    let (entry, index) = acknowledged.last().unwrap();
    assert_eq!(server.post("/add", entry.as_bytes()).expect(200).text(), index.to_string());
    println!("{} lives, {} entries acknowledged, {} logged", lives(), acknowledged.len(), entries.len());
}

/// A number that is another one each time.
fn random_below(bound: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) % bound
}

/// Reads the checkpoint until the server is gone: its size only grows.
fn read_until(url: &str, over: &AtomicBool) {
    let mut largest = 0;
    while !over.load(Ordering::Relaxed) {
        let Ok(reply) = try_request(url, "GET", "/checkpoint", &[], b"") else { continue };
        let size: u64 = reply.expect(200).text().lines().nth(1).unwrap().parse().unwrap();
        assert!(size >= largest, "the checkpoint went from {largest} to {size}");
        largest = size;
    }
}

/// Submits entries until the server is gone: those that were answered, with their indices.
fn submit_until(url: &str, over: &AtomicBool, who: u64) -> Vec<(String, u64)> {
    let mut answered = Vec::new();
    for number in 0.. {
        let entry = format!("{who} says {number}");
        let reply = try_request(url, "POST", "/add", &[], entry.as_bytes());
        match reply {
            Ok(reply) if reply.status == 200 => answered.push((entry, reply.text().parse().unwrap())),
            _ if over.load(Ordering::Relaxed) => break,
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    answered
}

/// A log of three entries, of which a copy was made when it had two.
fn world_with_an_older_copy() -> World {
    let world = World::new();
    let server = world.serve(ORIGIN);
    server.post("/add", b"one").expect(200);
    server.post("/add", b"two").expect(200);
    assert_eq!(server.stop(), Some(0));
    world.copy("log", "older");
    let server = world.serve(ORIGIN);
    server.post("/add", b"three").expect(200);
    assert_eq!(server.stop(), Some(0));
    world
}

#[test]
fn an_older_copy_of_the_whole_folder_is_refused() {
    let world = world_with_an_older_copy();
    world.remove("log");
    world.copy("older", "log");
    let before = world.read("log/public/checkpoint");
    serve_refused(&world).fails(1, &["size 3", "size 2", "went back in time"]);
    assert_eq!(world.read("log/public/checkpoint"), before, "nothing was signed");
}

#[test]
fn an_older_copy_of_the_private_half_is_refused() {
    let world = world_with_an_older_copy();
    world.remove("log/private");
    world.copy("older/private", "log/private");
    serve_refused(&world).fails(1, &["size 3", "size 2"]);
    // Without the guard, what was published still tells.
    world.remove("state");
    serve_refused(&world).fails(1, &["published checkpoint", "size 3", "size 2"]);
}

#[test]
fn an_older_copy_of_the_public_half_is_made_whole_or_refused() {
    let world = world_with_an_older_copy();
    world.remove("log/public");
    world.copy("older/public", "log/public");
    // The head still holds the last round: it is applied anew.
    let server = world.serve(ORIGIN);
    assert_eq!(server.field("size"), "3");
    assert_eq!(server.post("/add", b"three").expect(200).text(), "2");
    assert_eq!(server.stop(), Some(0));
    world.kiln(&["fsck", "log"]).ok();
    let server = world.serve(ORIGIN);
    server.post("/add", b"four").expect(200);
    assert_eq!(server.stop(), Some(0));
    // Two rounds back is too far: what is missing is named.
    world.remove("log/public");
    world.copy("older/public", "log/public");
    serve_refused(&world).fails(1, &["missing", "kiln fsck"]);
}

#[test]
fn a_log_whose_private_half_is_gone_is_not_made_anew() {
    let world = world_with_an_older_copy();
    world.copy("log/private/key", "log.key");
    world.remove("log/private");
    serve_refused(&world).fails(1, &["private/head"]);
    world.kiln(&["serve", "log", "--key", "log.key", "--listen", "127.0.0.1:0"]).fails(1, &["private/head"]);
    assert!(!world.path("log/private").exists());
}

#[test]
fn a_new_log_with_the_key_of_an_old_one_is_refused() {
    let world = world_with_an_older_copy();
    world.copy("log/private/key", "log.key");
    world.kiln(&["serve", "new", "--key", "log.key", "--listen", "127.0.0.1:0"]).fails(1, &["size 3"]);
}

#[test]
fn a_missing_guard_is_not_passed_over() {
    let world = world_with_an_older_copy();
    world.remove("state");
    let refused = serve_refused(&world).fails(1, &["guard is missing", "--accept-head 3:"]);
    let (_, head) = refused.stderr.split_once("--accept-head ").unwrap();
    let head = head.split_whitespace().next().unwrap();
    let accept = |head: &str| world.kiln(&["serve", "log", "--listen", "127.0.0.1:0", "--accept-head", head]);
    let wrong = format!("2{}", &head[1..]);
    accept(&wrong).fails(2, &["--accept-head"]);
    accept("nonsense").fails(2, &["--accept-head"]);
    let server = world.serve(&["log", "--accept-head", head]);
    assert_eq!(server.field("size"), "3");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(world.serve(ORIGIN).stop(), Some(0));
}

/// It said that every entry that was taken is published, and ended with 0, whatever had happened.
#[test]
fn who_stops_a_log_that_could_not_go_on_is_told() {
    let world = World::new();
    let server = world.serve(ORIGIN);
    server.post("/add", b"one").expect(200);
    world.remove("state");
    server.post("/add", b"two").expect(503);
    while !server.get("/readyz").expect(503).text().contains("alarm") {
        std::thread::sleep(Duration::from_millis(10)); // until the load that follows has seen it
    }
    server.get("/healthz").expect(200);
    let (code, said) = server.stop_and_tell();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the last round may not be published"), "{said}");
    assert!(!said.contains("every entry that was taken is published"), "{said}");
}

#[test]
fn a_damaged_right_edge_is_refused() {
    let world = world_with_an_older_copy();
    // The head carries the last round, so that its tiles are mended; what is below them is needed.
    for object in ["tile/0/000.p/2", "tile/entries/000.p/2"] {
        let (name, whole) = (format!("log/public/{object}"), world.read(&format!("log/public/{object}")));
        let mut changed = whole.clone();
        changed[whole.len() - 1] ^= 1;
        world.write(&name, &changed);
        serve_refused(&world).fails(1, &["damaged", "kiln fsck"]);
        world.remove(&name);
        // The one of the newest tree begins with the same hashes. Without it as well, nothing does.
        let newest = name.replace(".p/2", ".p/3");
        let spare = world.read(&newest);
        world.remove(&newest);
        serve_refused(&world).fails(1, &["missing", "kiln fsck"]);
        world.write(&newest, spare);
        world.write(&name, &whole);
    }
    let server = world.serve(ORIGIN);
    assert_eq!(server.field("size"), "3");
}

#[test]
fn a_published_checkpoint_that_does_not_verify_is_refused() {
    let world = world_with_an_older_copy();
    let whole = String::from_utf8(world.read("log/public/checkpoint")).unwrap();
    world.write("log/public/checkpoint", whole.replace("\n3\n", "\n4\n"));
    serve_refused(&world).fails(1, &["checkpoint", "does not verify"]);
}
