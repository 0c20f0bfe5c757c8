//! How `kiln serve` starts, refuses to start, and ends.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::world::World;

#[test]
fn a_second_one_on_the_same_folder_names_the_first_and_harms_nothing() {
    let world = World::new();
    let server = world.serve(&["log"]);
    server.post("/add", b"before").expect(200);
    let holder = format!("process {}", server.process());
    for _ in 0..3 {
        world
            .kiln(&["serve", "log", "--listen", "127.0.0.1:0"])
            .fails(3, &["kiln serve", &holder, "--standby"]);
    }
    // It has the port as well, and is what a person has to know of.
    let address = server.url.strip_prefix("http://").unwrap();
    world.kiln(&["serve", "log", "--listen", address]).fails(3, &["kiln serve", &holder, "--standby"]);
    assert_eq!(server.post("/add", b"before").expect(200).text(), "0", "the dedup index is whole");
    assert_eq!(server.post("/add", b"after").expect(200).text(), "1");
    world.kiln(&["fsck", "log"]).ok();
    assert_eq!(server.stop(), Some(0));
    assert_eq!(world.serve(&["log"]).field("size"), "2");
}

/// A fifth of all CPU went into pages that the allocator had given back since the round before.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_kept_from_round_to_round() {
    let kept = |server: &crate::world::Server| {
        let environment = fs::read_to_string(format!("/proc/{}/environ", server.process())).unwrap();
        environment.split('\0').find_map(|it| it.strip_prefix("MIMALLOC_PURGE_DELAY=").map(str::to_owned))
    };
    let world = World::new();
    let server = world.serve(&["log"]);
    assert_eq!(kept(&server).as_deref(), Some("10000"));
}

#[test]
fn a_port_that_is_taken_makes_no_log() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    world
        .kiln(&["serve", "log", "--listen", &address])
        .fails(3, &["another program has this port", "--listen"]);
    assert!(!world.path("log").exists());
    world.kiln(&["init", "log", "--origin", "port.example/log"]).ok();
    world.kiln(&["serve", "log", "--listen", &address]).fails(3, &["another program has this port"]);
    let admin = ["serve", "log", "--listen", "127.0.0.1:0", "--admin-listen", &address];
    world.kiln(&admin).fails(3, &["--admin-listen"]);
    world.kiln(&["serve", "log", "--listen", "nonsense"]).fails(2, &["127.0.0.1:8080"]);
}

#[test]
fn what_is_no_log_is_left_alone() {
    let world = World::new();
    let serve = |arguments: &[&str]| world.kiln(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
    world.write("mine/notes.txt", "mine");
    serve(&["mine"]).fails(2, &["something that is no log"]);
    serve(&["mine/notes.txt"]).fails(2, &["something that is no log"]);
    world.kiln(&["init", "mine"]).fails(2, &["something that is no log"]);
    assert_eq!(fs::read_dir(world.path("mine")).unwrap().count(), 1);
    world.kiln(&["init", "log", "--origin", "one.example/log"]).ok();
    serve(&["log", "--origin", "two.example/log"]).fails(2, &["one.example/log", "for ever"]);
    for origin in ["a b", "a+b", "", &"o".repeat(256)] {
        serve(&["new", "--origin", origin]).fails(2, &["--origin"]);
    }
    world.kiln(&["key", "new", "one.example/log", "-o", "wrong.key"]).ok();
    serve(&["log", "--key", "wrong.key"]).fails(1, &["another log than that of this key"]);
    serve(&["s3://bucket/prefix"]).fails(2, &["no bucket holds a key"]);
    serve(&["ftp://bucket/prefix"]).fails(2, &["s3://bucket/prefix"]);
    let in_one_bucket = ["s3://bucket/log", "--key", "wrong.key", "--guard", "s3://bucket/guard"];
    serve(&in_one_bucket).fails(2, &["another bucket"]);
    serve(&["new", "--guard", "new/private/guard"]).fails(2, &["outside"]);
    assert!(!world.path("new/private/key").exists());
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", "mode.example/log"]).ok();
    for mode in [0o640, 0o604, 0o610, 0o666] {
        fs::set_permissions(world.path("log/private/key"), fs::Permissions::from_mode(mode)).unwrap();
        world.kiln(&["serve", "log", "--listen", "127.0.0.1:0"]).fails(3, &["mode", "chmod 600"]);
    }
    fs::set_permissions(world.path("log/private/key"), fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(world.serve(&["log"]).stop(), Some(0));
}

#[test]
fn the_key_may_be_elsewhere() {
    let world = World::new();
    let vkey = world.kiln(&["key", "new", "key.example/log", "-o", "log.key"]).ok().text();
    let server = world.serve(&["log", "--key", "log.key"]);
    assert_eq!(format!("{}\n", server.field("vkey")), vkey);
    assert!(!world.path("log/private/key").exists(), "it stays where it is");
    assert_eq!(server.stop(), Some(0));
    world.kiln(&["serve", "log", "--listen", "127.0.0.1:0"]).fails(2, &["--key"]);
    let key = String::from_utf8(world.read("log.key")).unwrap();
    let from_environment = world.run(world.command(&["vkey", "log"]).env("KILN_KEY", key.trim_end()));
    assert_eq!(from_environment.ok().text(), vkey);
    world.kiln(&["key", "new", "other.example/log", "-o", "other.key"]).ok();
    let other = world.kiln(&["serve", "log", "--key", "other.key", "--listen", "127.0.0.1:0"]);
    other.fails(1, &["another log"]);
}

#[test]
fn a_signal_ends_it_after_the_round_and_every_entry_has_its_answer() {
    for signal in [Signal::TERM, Signal::INT] {
        let world = World::new();
        let server = world.serve(&["log", "--interval", "600ms"]);
        server.post("/add", b"first").expect(200);
        let answer = std::thread::scope(|scope| {
            // It waits for the next round, and the signal comes first.
            let waiting = scope.spawn(|| server.post("/add", b"second"));
            std::thread::sleep(Duration::from_millis(150));
            server.signal(signal);
            waiting.join().unwrap()
        });
        assert_eq!(answer.expect(200).text(), "1");
        assert_eq!(server.ended(), Some(0));
        assert_eq!(world.kiln(&["info", "log", "--json"]).ok().json()["size"], 2);
    }
}

#[test]
fn log_json_says_where_the_log_is() {
    let world = World::new();
    let server = world.serve(&["log", "--origin", "json.example/log", "--max-entry-bytes", "1KiB"]);
    let served: serde_json::Value =
        serde_json::from_slice(&server.get("/log.json").expect(200).body).unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&world.read("log/public/log.json")).unwrap();
    assert_eq!(served, stored);
    assert_eq!(served["origin"], "json.example/log");
    assert_eq!(served["vkeys"][0], *world.vkey("log"));
    assert_eq!(
        (&served["submission_url"], &served["read_url"]),
        (&(*server.url).into(), &(*server.url).into())
    );
    assert_eq!(served["limits"]["entry_bytes"], 1024);
    server.post("/add", &[b'x'; 1025]).expect(413);
    server.post("/add", &[b'x'; 1024]).expect(200);
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&["log", "--url", "https://log.example/", "--read-url", "https://cdn.example"]);
    assert_eq!(server.field("url"), "https://log.example");
    let stored: serde_json::Value = serde_json::from_slice(&world.read("log/public/log.json")).unwrap();
    assert_eq!(
        (&stored["submission_url"], &stored["read_url"]),
        (&"https://log.example".into(), &"https://cdn.example".into())
    );
}

#[test]
fn messages_are_text_or_json_and_as_many_as_asked_for() {
    let world = World::new();
    let server = world.serve(&["log", "--log-format", "json"]);
    server.signal(Signal::TERM);
    let said = loop {
        let said = server.stderr();
        if said.contains("stopped") {
            break said;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    for line in said.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(message["level"], "INFO", "{line}");
    }
    let mut quiet = world.command(&["serve", "log", "--listen", "127.0.0.1:0"]);
    let mut quiet =
        quiet.env("KILN_LOG", "error").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    rustix::process::kill_process(rustix::process::Pid::from_child(&quiet), Signal::TERM).unwrap();
    assert_eq!(quiet.wait().unwrap().code(), Some(0));
    assert_eq!(quiet.wait_with_output().unwrap().stderr, b"");
}

/// With an interval of a minute everybody waited for one, however much there was to write.
#[test]
fn a_round_starts_early_when_much_waits() {
    let world = World::new();
    let server = world.serve(&["log", "--interval", "1m", "--round-bytes", "1MiB"]);
    world.write("entry", "the first one starts a round at once");
    world.kiln(&["add", &server.url, "entry", "--vkey", world.vkey("log").trim()]).ok();
    let lines: String = (0..2_000).map(|n| format!("{n:0>1000}\n")).collect();
    world.write("lines", lines);
    let started = Instant::now();
    world.kiln(&["add", &server.url, "lines", "--lines", "--vkey", world.vkey("log").trim()]).ok();
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!(server.stop(), Some(0));
}
