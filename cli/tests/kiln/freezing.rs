//! The end of a log: `kiln freeze`, and what is left of the log afterwards.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::world::{Server, World, free_address};

const NEXT: &str = "https://logs.example/next";

/// A log of so many entries, which is stopped.
fn world_with_a_log(entries: u64) -> World {
    let world = World::new();
    let server = world.serve(&["log", "--origin", "ended.example/log"]);
    add(&world, &server, 0..entries);
    assert_eq!(server.stop(), Some(0));
    world
}

fn add(world: &World, server: &Server, lines: std::ops::Range<u64>) {
    let lines: String = lines.map(|n| format!("line {n}\n")).collect();
    let vkey = server.field("vkey");
    world.kiln_reading(&["add", &server.url, "--lines", "--in-order", "--vkey", vkey], lines).ok();
}

/// The vkey of a log that goes on in the place of this one.
fn next_vkey(world: &World) -> String {
    world.kiln(&["key", "new", "ended.example/next", "-o", "next.key"]).ok().text().trim_end().to_owned()
}

fn freeze(world: &World, store: &str, vkey: &str) {
    let named = ["--successor-vkey", vkey, "--successor-url", NEXT];
    world.kiln(&[&["freeze", store, "--yes"], &named[..]].concat()).ok();
}

/// It takes nothing, says which log goes on, and is read and found whole.
fn has_ended(world: &World, server: &Server, size: u64, next: &str) {
    for path in ["/add", "/add-batch", "/add?wait=sequenced"] {
        let gone = server.post(path, b"too late").expect(410).text();
        assert!(gone.contains("frozen") && gone.contains(&format!("{size} entries")), "{gone}");
        assert!(gone.contains(next), "{gone}");
    }
    // An entry that the log has is refused as well: nothing answers for it but the proofs that anybody can make.
    server.post("/add", b"line 0").expect(410);
    server.get("/readyz").expect(200);
    let checkpoint = server.get("/checkpoint").expect(200).text();
    assert!(checkpoint.contains(&format!("\n{size}\n")), "{checkpoint}");
    world.kiln(&["fsck", &server.url, "--vkey", server.field("vkey")]).ok();
    assert_eq!(server.field("size"), size.to_string());
    assert_eq!(json(&server.get("/log.json").expect(200).body)["frozen"], true);
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_frozen_log_is_read_for_ever_and_takes_nothing() {
    let world = world_with_a_log(300);
    let vkey = next_vkey(&world);
    freeze(&world, "log", &vkey);
    let stored = json(&world.read("log/public/log.json"));
    assert_eq!((&stored["frozen"], &stored["successor"]["url"]), (&true.into(), &NEXT.into()), "{stored}");
    assert_eq!(stored["successor"]["vkey"], *vkey);
    assert_eq!(stored["origin"], "ended.example/log", "what else it says stays");
    assert!(stored["end"].as_str().unwrap().starts_with("kiln-end-of-log/v1\nended.example/log\n300\n"));

    for arguments in
        [&["log"][..], &["log", "--standby"], &["log", "--read-only"], &["log", "--dedup", "off"]]
    {
        let admin = free_address();
        let server = world.serve(&[arguments, &["--admin-listen", &admin]].concat());
        has_ended(&world, &server, 300, NEXT);
        let metrics = crate::world::request(&format!("http://{admin}"), "GET", "/metrics", &[], b"").text();
        assert!(metrics.contains("kiln_frozen 1") && metrics.contains("kiln_ready 1"), "{metrics}");
        assert!(server.get("/").expect(200).text().contains(NEXT));
        // Nobody needs leave to write it: as many as like may serve it.
        let another = world.serve(&["log"]);
        has_ended(&world, &another, 300, NEXT);
        world.kiln_reading(&["add", &server.url, "--vkey", server.field("vkey")], "late").fails(3, &[NEXT]);
        assert_eq!((another.stop(), server.stop()), (Some(0), Some(0)));
    }
    let info = world.kiln(&["info", "log"]).ok().text();
    assert!(info.contains("frozen     at size 300") && info.contains(NEXT), "{info}");
    let info = world.kiln(&["info", "log", "--json"]).ok().json();
    assert_eq!((&info["frozen"], &info["successor"]["vkey"]), (&true.into(), &(*vkey).into()));
    world.kiln(&["gc", "log", "--grace", "10ms"]).ok();
    world.kiln(&["fsck", "log"]).ok();
    assert_eq!(
        world.kiln(&["init", "log", "--origin", "ended.example/log"]).ok().text().trim(),
        world.vkey("log")
    );
}

#[test]
fn only_who_means_it_ends_a_log_that_nobody_serves() {
    let world = world_with_a_log(3);
    world.kiln(&["freeze", "log"]).fails(2, &["--yes", "ended.example/log", "for good"]);
    world.kiln(&["freeze", "nowhere", "--yes"]).fails(3, &["no log here"]);
    let own = world.vkey("log");
    let named = |vkey: &str, url: &str| {
        world.kiln(&["freeze", "log", "--yes", "--successor-vkey", vkey, "--successor-url", url])
    };
    named(&own, NEXT).fails(2, &["another origin"]);
    named(&next_vkey(&world), "logs.example/next").fails(2, &["https://"]);
    world.kiln(&["freeze", "log", "--yes", "--successor-url", NEXT]).fails(2, &["--successor-vkey"]);

    let server = world.serve(&["log"]);
    world.kiln(&["freeze", "log", "--yes"]).fails(3, &["kiln serve", "stop that one first"]);
    assert_eq!(server.post("/add", b"line 3").expect(200).text(), "3", "nothing has happened to it");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(world.kiln(&["info", "log", "--json"]).ok().json()["frozen"], false);
}

/// First nobody knew what would come next; then somebody did, and the log was being served.
#[test]
fn the_successor_may_come_later() {
    let world = world_with_a_log(5);
    let first = world.kiln(&["freeze", "log", "--yes", "--json"]).ok().json();
    assert_eq!((&first["was_frozen"], &first["size"]), (&false.into(), &5.into()), "{first}");
    assert_eq!(first["successor"], Value::Null);
    let server = world.serve(&["log"]);
    has_ended(&world, &server, 5, "takes no more");
    assert_eq!(json(&server.get("/log.json").expect(200).body)["successor"], Value::Null);

    freeze(&world, "log", &next_vkey(&world));
    let again = world.kiln(&["freeze", "log", "--yes", "--json"]).ok().json();
    assert_eq!((&again["was_frozen"], &again["successor"]["url"]), (&true.into(), &NEXT.into()), "{again}");
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&["log"]);
    has_ended(&world, &server, 5, NEXT);
}

/// An empty log may end as well, and one that was never served has no `log.json` yet.
#[test]
fn a_log_that_was_never_used_ends_too() {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", "ended.example/log"]).ok();
    freeze(&world, "log", &next_vkey(&world));
    let stored = json(&world.read("log/public/log.json"));
    assert_eq!(
        (&stored["origin"], &stored["vkeys"][0]),
        (&"ended.example/log".into(), &(*world.vkey("log")).into())
    );
    let server = world.serve(&["log"]);
    has_ended(&world, &server, 0, NEXT);
}

/// It slept while the log was frozen, and woke up to write.
#[test]
fn a_standby_that_slept_finds_the_log_frozen() {
    let world = world_with_a_log(10);
    let writer = world.serve(&["log", "--standby"]);
    let standby = world.serve(&["log", "--standby"]);
    standby.signal(Signal::STOP);
    assert_eq!(writer.stop(), Some(0));
    freeze(&world, "log", &next_vkey(&world));
    standby.signal(Signal::CONT);
    let since = Instant::now();
    while standby.post("/add", b"too late").status != 410 {
        assert!(since.elapsed() < Duration::from_secs(20), "it does not find that the log has ended");
        std::thread::sleep(Duration::from_millis(50));
    }
    has_ended(&world, &standby, 10, NEXT);
    assert_eq!(standby.stop(), Some(0));
}

#[test]
fn rekors_api_says_it_as_rekor_does() {
    let world = World::new();
    let rekor = ["log", "--rekor", "--origin", "127.0.0.1"];
    assert_eq!(world.serve(&rekor).stop(), Some(0));
    freeze(&world, "log", &next_vkey(&world));
    let server = world.serve(&rekor);
    let frozen = "This log has been frozen, please switch to the latest log.\n";
    for body in [&b"{}"[..], b"?"] {
        assert_eq!(server.post("/api/v2/log/entries", body).expect(405).text(), frozen);
    }
    server.get("/api/v2/checkpoint").expect(200);
    server.post("/add", b"entry").expect(410);
}

/// Whatever of a log that has ended is lost, none of the ways back lets it take entries again.
#[test]
fn nothing_brings_a_frozen_log_back_to_life() {
    let world = world_with_a_log(300);
    let (vkey, head) = (next_vkey(&world), "log/private/head");
    world.copy(head, "head-before");
    world.kiln(&["backup", "log", "backup-before", "--with-key"]).ok();
    freeze(&world, "log", &vkey);
    world.copy(head, "head-frozen");
    world.kiln(&["backup", "log", "backup", "--with-key"]).ok();
    world.kiln(&["backup", "log", "backup"]).ok();
    let ended = |store: &str, arguments: &[&str]| {
        let server = world.serve(&[&[store], arguments].concat());
        has_ended(&world, &server, 300, NEXT);
        assert_eq!(server.stop(), Some(0));
    };
    let put_back = |name: &str| {
        world.remove(head);
        world.copy(name, head);
    };

    // A copy has ended as well, and so has what is recovered from it, in place and elsewhere.
    ended("backup", &[]);
    world.kiln(&["recover", "log", "--from", "backup"]).ok();
    ended("log", &[]);
    world.remove("log/public/tile");
    world.kiln(&["recover", "log", "--from", "backup"]).ok();
    ended("log", &[]);
    world.kiln(&["recover", "other", "--from", "backup", "--key", "log/private/key"]).ok();
    ended("other", &["--key", "log/private/key"]);
    let frozen = b"kiln-frozen/v1";
    let holds_frozen = |folder: &str| {
        let slots =
            fs::read_dir(world.path(folder)).unwrap().map(|slot| fs::read(slot.unwrap().path()).unwrap());
        slots.into_iter().any(|slot| slot.windows(frozen.len()).any(|window| window == frozen))
    };
    assert!(holds_frozen("other/private/head"), "its head says so itself");

    // The head is gone: the readers' half has the end.
    world.remove(head);
    world.kiln(&["recover", "log", "--from", "log"]).ok();
    assert!(holds_frozen(head));
    ended("log", &[]);
    // The head went back: the note of its end is a voice. Freezing it again mends the head.
    put_back("head-before");
    ended("log", &[]);
    assert!(!holds_frozen(head));
    freeze(&world, "log", &vkey);
    assert!(holds_frozen(head));
    // The note is gone: the head is enough, and nobody remembers the successor but who runs it again.
    world.remove("log/public/log.json");
    world.kiln(&["recover", "log", "--from", "backup-before"]).ok();
    let server = world.serve(&["log"]);
    has_ended(&world, &server, 300, "takes no more");
    assert_eq!(server.stop(), Some(0));
    freeze(&world, "log", &vkey);
    ended("log", &[]);
}

/// Somebody went on with an old copy, whose guard knew nothing. Both trees are signed: that is for people.
#[test]
fn a_copy_that_went_on_is_told() {
    let world = world_with_a_log(20);
    world.kiln(&["backup", "log", "copy", "--with-key"]).ok();
    freeze(&world, "log", &next_vkey(&world));
    let server = world.serve(&["copy"]);
    add(&world, &server, 20..30);
    assert_eq!(server.stop(), Some(0));
    world.kiln(&["serve", "log", "--listen", "127.0.0.1:0"]).fails(1, &["size 30", "size 20"]);
    world
        .kiln(&["recover", "log", "--from", "copy"])
        .fails(1, &["has ended", "size 30", "Nothing was changed"]);
    world.kiln(&["backup", "copy", "log"]).fails(1, &["has ended", "stays as it is"]);
    world.copy("log/public/log.json", "copy/public/log.json");
    world
        .kiln(&["serve", "copy", "--listen", "127.0.0.1:0"])
        .fails(1, &["ended at tree size 20", "has size 30"]);
    world.kiln(&["info", "copy"]).fails(1, &["ended at size 20"]);
}

/// Killed at any moment, the log goes on or has ended; and running it again ends it.
#[test]
fn an_interrupted_freeze_is_run_again() {
    let world = world_with_a_log(300);
    let vkey = next_vkey(&world);
    let (mut cut_off, mut whole) = (0, 0);
    for milliseconds in [0, 5, 10, 15, 20, 30, 40, 60, 200] {
        let store = format!("log-{milliseconds}");
        world.copy("log", &store);
        let mut command = world.command(&["freeze", &store, "--yes"]);
        let mut freezing = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = freezing.kill();
        *(if freezing.wait().unwrap().success() { &mut whole } else { &mut cut_off }) += 1;
        freeze(&world, &store, &vkey);
        let server = world.serve(&[&store]);
        has_ended(&world, &server, 300, NEXT);
        assert_eq!(server.stop(), Some(0));
    }
    assert!(cut_off > 0, "{whole} were too fast");
}
