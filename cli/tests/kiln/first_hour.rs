//! What a person does in the first hour.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::world::{World, testdata};

#[test]
fn one_command_makes_a_log_and_a_few_more_prove_what_is_in_it() {
    let world = World::new();
    let server = world.serve(&["log"]);
    for words in [
        "A new log was made",
        "alias kiln=/",
        "which is for ever",
        "kiln add http://127.0.0.1:",
        "kiln verify",
    ] {
        assert!(server.printed.contains(words), "{words:?} is not in: {}", server.printed);
    }
    assert_eq!(server.field("size"), "0");
    let vkey = world.vkey("log");
    assert_eq!(server.field("vkey"), vkey);
    assert_eq!(server.field("store"), world.path("log").canonicalize().unwrap().to_str().unwrap());
    let origin = server.field("origin");
    let (_, random) = origin.rsplit_once("/log-").expect("<host>/<folder>-<8 hex>");
    assert!(random.len() == 8 && random.bytes().all(|b| b.is_ascii_hexdigit()), "{origin}");

    let url = server.url.clone();
    world.write("hello.txt", "hello, log\n");
    let added = world.kiln(&["add", &url, "hello.txt", "--proofs", ".", "--vkey", &vkey]).ok().text();
    let (index, hash) = added.trim_end().split_once("  ").unwrap();
    assert_eq!((index, hash.len()), ("0", 64));
    let proof = "hello.txt.tlog-proof";
    let verified = world.kiln(&["verify", proof, "--entry", "hello.txt", "--vkey", &vkey]).ok().text();
    for step in ["proof", "signature", "checkpoint", "inclusion"] {
        assert!(verified.contains(&format!("{step:<12}ok")), "{step}: {verified}");
    }
    assert_eq!(world.kiln(&["get", &url, "0", "--vkey", &vkey]).ok().text(), "hello, log\n");
    for what in [["--index", "0"], ["--entry", "hello.txt"], ["--hash", hash]] {
        let arguments = [&["prove", &url, "--vkey", &vkey, "-o", "again"], &what[..]].concat();
        world.kiln(&arguments).ok();
        assert_eq!(world.read("again"), world.read(proof), "{what:?}");
    }
    let info = world.kiln(&["info", "log", "--json"]).ok().json();
    assert_eq!((info["size"].as_u64(), info["origin"].as_str()), (Some(1), Some(origin)));
    assert_eq!(info["signatures"][0]["verified"], true);
    assert!(world.kiln(&["fsck", "log"]).ok().text().contains("entries/s"));
    world.kiln(&["fsck", &url, "--vkey", &vkey]).ok();
    assert_eq!(server.stop(), Some(0));
    // The log is a folder: it can be read without a server.
    assert_eq!(world.kiln(&["get", "log/public", "0", "--vkey", &vkey]).ok().text(), "hello, log\n");
}

#[test]
fn the_lines_of_a_file_are_added_once_however_often_it_is_tried() {
    let world = World::new();
    let server = world.serve(&["log"]);
    let (lines, vkey) = (testdata("debian-packages.txt"), world.vkey("log"));
    let arguments = ["add", &server.url, "--lines", lines.to_str().unwrap(), "--vkey", &vkey];
    let first = world.kiln(&arguments).ok();
    assert!(first.stderr.contains("410 entries are in the log"), "{}", first.stderr);
    let text = fs::read_to_string(&lines).unwrap();
    assert_eq!(first.text().lines().count(), text.lines().count());
    let again = world.kiln(&[&arguments[..], &["--proofs", "proofs"]].concat()).ok();
    assert_eq!(again.text(), first.text());
    assert_eq!(world.kiln(&["info", "log", "--json"]).ok().json()["size"], 410);
    // A store folder knows its own URL.
    assert_eq!(world.kiln(&["add", "log", "--lines", lines.to_str().unwrap()]).ok().text(), first.text());
    for (index, line) in text.lines().enumerate().step_by(50) {
        world.write("line", line);
        let proof = format!("proofs/{index}.tlog-proof");
        world.kiln(&["verify", &proof, "--entry", "line", "--vkey", &vkey]).ok();
    }
    world.kiln(&["fsck", "log"]).ok();
    // An entry is what is between newlines, but `head -1` and editors keep the newline.
    world.write("line", text.lines().next().unwrap().to_owned() + "\n");
    let verify = ["verify", "proofs/0.tlog-proof", "--entry", "line", "--vkey", &vkey];
    world.kiln(&verify).fails(1, &["inclusion", "Without its last newline the entry would verify"]);
}

#[test]
fn a_line_that_cannot_be_added_stops_it_before_anything_is_sent() {
    let world = World::new();
    let server = world.serve(&["log"]);
    let long = format!("a\n{}\n", "x".repeat(65_536));
    for (lines, number) in [("a\n\nb\n", "line 2"), ("\n", "line 1"), (&long, "line 2")] {
        world.kiln_reading(&["add", &server.url, "--lines"], lines).fails(2, &[number, "nothing was sent"]);
    }
    world.kiln_reading(&["add", &server.url], "").fails(2, &["at least one byte"]);
    world.kiln_reading(&["add", &server.url], "x".repeat(65_536)).fails(2, &["65535"]);
    assert_eq!(world.kiln(&["info", "log", "--json"]).ok().json()["size"], 0);
    // The longest that is possible, and a last line without a newline.
    let lines = format!("{}\nlast", "x".repeat(65_535));
    assert_eq!(world.kiln_reading(&["add", "log", "--lines"], lines).ok().text().lines().count(), 2);
}

#[test]
fn json_is_for_programs() {
    let world = World::new();
    let _server = world.serve(&["log", "--origin", "json.example/log"]);
    let added = world.kiln_reading(&["add", "log", "--json"], [0, 255]).ok().json();
    assert_eq!(added["index"], 0);
    let got = world.kiln(&["get", "log", "0", "--json"]).ok().json();
    assert_eq!((got["entry"].as_str(), &got["hash"]), (Some("AP8="), &added["hash"]));
    let tailed = world.kiln(&["tail", "log", "--no-follow", "--json"]).ok().json();
    assert_eq!(tailed, got);
    assert_eq!(world.kiln(&["fsck", "log", "--json"]).ok().json()["size"], 1);
    assert_eq!(world.kiln(&["vkey", "log", "--json"]).ok().json()["origin"], "json.example/log");
    let proof = world.kiln(&["prove", "log", "--index", "0", "--json"]).ok().json();
    world.write("0.tlog-proof", proof["proof"].as_str().unwrap());
    let hash = added["hash"].as_str().unwrap();
    let vkey = world.vkey("log");
    let verified =
        world.kiln(&["verify", "0.tlog-proof", "--hash", hash, "--vkey", &vkey, "--json"]).ok().json();
    assert_eq!((&verified["verified"], &verified["index"]), (&true.into(), &0.into()));
    // What is written to a file was told to nobody.
    let written = world.kiln(&["get", "log", "0", "-o", "entry", "--json"]).ok().json();
    assert_eq!((&written["file"], &written["hash"]), (&"entry".into(), &added["hash"]));
    assert!(world.kiln(&["get", "log", "0", "-o", "entry"]).ok().stdout.is_empty());
    let failed = world.kiln(&["get", "log", "7", "--json"]).fails(3, &["no entry 7", "1 entry"]);
    assert_eq!(failed.json()["exit"], 3);
}

#[test]
fn tail_shows_what_comes_and_nothing_that_a_terminal_would_obey() {
    let world = World::new();
    let server = world.serve(&["log"]);
    world.kiln_reading(&["add", "log", "--lines"], "one\n\x1b[2Jtwo\nthree\n").ok();
    assert_eq!(world.kiln(&["tail", "log", "--no-follow"]).ok().text(), "0  one\n1  \\x1b[2Jtwo\n2  three\n");
    assert_eq!(world.kiln(&["tail", "log", "--from", "1", "--count", "1"]).ok().text(), "1  \\x1b[2Jtwo\n");
    // The last two were asked for, and the first two of the last ten came.
    let last = world.kiln(&["tail", "log", "--no-follow", "--count", "2"]).ok().text();
    assert_eq!(last, "1  \\x1b[2Jtwo\n2  three\n");
    let raw = world.kiln(&["tail", "log", "--no-follow", "--from", "2", "-0"]).ok();
    assert_eq!(raw.stdout, b"three\0");
    // It waits for the fourth.
    let vkey = world.vkey("log");
    let tail = std::thread::scope(|scope| {
        let tail = scope
            .spawn(|| world.kiln(&["tail", &server.url, "--vkey", &vkey, "--from", "2", "--count", "2"]));
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(server.post("/add", b"four").expect(200).text(), "3");
        tail.join().unwrap()
    });
    assert_eq!(tail.ok().text(), "2  three\n3  four\n");
}

#[test]
fn who_only_looks_around_is_told_so_each_time() {
    let world = World::new();
    let server = world.serve(&["log"]);
    let url = server.url.clone();
    world.kiln(&["info", &url]).fails(2, &["--vkey", "KILN_VKEY"]);
    let look = ["info", &url, "--insecure-trust-on-first-use"];
    for _ in 0..2 {
        assert!(world.kiln(&look).ok().stderr.contains("INSECURE"));
    }
    // Another log at the same place is not the one that was trusted.
    let address = url.strip_prefix("http://").unwrap();
    assert_eq!(server.stop(), Some(0));
    let _other = world.serve(&["other", "--listen", address]);
    world.kiln(&look).fails(1, &["not by the given key"]);
}

#[test]
fn keys_are_made_for_their_owner_alone_and_never_overwritten() {
    let world = World::new();
    let made = world.kiln(&["key", "new", "keys.example/log", "-o", "log.key"]).ok().text();
    let mode = |name: &str| fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("log.key"), 0o600);
    assert!(world.read("log.key").starts_with(b"PRIVATE+KEY+keys.example/log+"));
    assert_eq!(world.kiln(&["key", "show", "log.key"]).ok().text(), made);
    let before = world.read("log.key");
    world.kiln(&["key", "new", "keys.example/log", "-o", "log.key"]).fails(2, &["exists already"]);
    assert_eq!(world.read("log.key"), before);

    let pem = ["key", "new", "keys.example/pem", "-o", "log.pem", "--format", "pkcs8"];
    let made = world.kiln(&pem).ok().text();
    assert_eq!(mode("log.pem"), 0o600);
    assert_eq!(world.kiln(&["key", "show", "log.pem", "--name", "keys.example/pem"]).ok().text(), made);
    world.kiln(&["key", "show", "log.pem"]).fails(2, &["no name"]);
    let init = ["init", "pem", "--origin", "keys.example/pem", "--key", "log.pem"];
    assert_eq!(world.kiln(&init).ok().text(), made);
    assert_eq!(
        (world.vkey("pem") + "\n", mode("pem/private/key"), mode("pem/private")),
        (made, 0o600, 0o700)
    );

    for name in ["log.key", "log.pem"] {
        fs::set_permissions(world.path(name), fs::Permissions::from_mode(0o640)).unwrap();
        world.kiln(&["key", "show", name]).fails(3, &["mode 640", "chmod 600"]);
    }
}

#[test]
fn init_makes_a_log_and_prints_its_vkey_and_nothing_else() {
    let world = World::new();
    let made = world.kiln(&["init", "log", "--origin", "init.example/log"]).ok();
    assert!(made.text().starts_with("init.example/log+") && made.text().lines().count() == 1);
    assert_eq!(world.kiln(&["init", "log", "--origin", "init.example/log"]).ok().text(), made.text());
    world.kiln(&["init", "log", "--origin", "other.example/log"]).fails(2, &["for ever"]);
    assert_eq!(world.kiln(&["info", "log", "--json"]).ok().json()["size"], 0);
    let server = world.serve(&["log"]);
    assert_eq!(format!("{}\n", server.field("vkey")), made.text());
    // Whoever only wants the vkey needs no lock.
    assert_eq!(world.vkey("log") + "\n", made.text());
}

#[test]
fn bench_measures_and_leaves_other_machines_alone() {
    let world = World::new();
    let server = world.serve(&["log"]);
    let closed = ["bench", &server.url, "--connections", "4", "--duration", "300ms", "--json"];
    let measured = world.kiln(&closed).ok().json();
    assert!(measured["entries"].as_u64().unwrap() >= 4, "{measured}");
    assert_eq!(measured["error_count"], 0);
    assert!(measured["add_seconds"]["p99"].as_f64().unwrap() > 0.0);
    assert!(measured["publish_seconds"]["max"].as_f64().unwrap() > 0.0);
    let open = world
        .kiln(&["bench", &server.url, "--rate", "200", "--duration", "300ms", "--batch", "3"])
        .ok()
        .text();
    assert!(open.contains("open loop") && open.contains("errors   0"), "{open}");
    let http2 =
        ["bench", &server.url, "--connections", "2", "--streams", "8", "--duration", "300ms", "--json"];
    let measured = world.kiln(&[&http2[..], &["--no-probes"]].concat()).ok().json();
    assert!(measured["entries"].as_u64().unwrap() >= 16, "{measured}");
    assert_eq!(measured["error_count"], 0);
    assert_eq!(measured["publish_seconds"]["max"], 0.0);
    world.kiln(&["bench", "https://127.0.0.1:1"]).fails(2, &["plain HTTP"]);
    world.kiln(&["bench", "http://192.0.2.1"]).fails(2, &["not this machine"]);
    world.kiln(&["fsck", "log"]).ok();
}
