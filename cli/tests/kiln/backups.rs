//! Copies of a log, and the way back from them: `kiln backup`, `kiln recover`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use crate::world::{Ran, Server, World};

const ORIGIN: &[&str] = &["log", "--origin", "backup.example/log"];

/// Adds lines `from` to `to` in one go.
fn add(world: &World, to: &str, lines: std::ops::Range<u64>) {
    let lines: String = lines.map(|n| format!("line {n}\n")).collect();
    world.kiln_reading(&["add", to, "--lines", "--in-order"], lines).ok();
}

/// A log of so many entries, which is stopped.
fn world_with_a_log(entries: u64) -> World {
    let world = World::new();
    let server = world.serve(ORIGIN);
    add(&world, "log", 0..entries);
    assert_eq!(server.stop(), Some(0));
    world
}

fn grow(world: &World, store: &str, lines: std::ops::Range<u64>) {
    let server = world.serve(&[store]);
    add(world, store, lines);
    assert_eq!(server.stop(), Some(0));
}

fn serve_refused(world: &World, arguments: &[&str]) -> Ran {
    world.kiln(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat())
}

/// `SIZE:ROOT`, as people type it.
fn head(world: &World, log: &str) -> String {
    let info = world.kiln(&["info", log, "--json"]).ok().json();
    format!("{}:{}", info["size"], info["root"].as_str().unwrap())
}

fn size(world: &World, log: &str) -> u64 {
    world.kiln(&["info", log, "--json"]).ok().json()["size"].as_u64().unwrap()
}

/// Every line has the index that it was given, and the next one gets the next.
fn goes_on(server: Server, entries: u64) {
    assert_eq!(server.field("size"), entries.to_string());
    for line in [0, entries / 2, entries - 1] {
        let index = server.post("/add", format!("line {line}").as_bytes()).expect(200).text();
        assert_eq!(index, line.to_string(), "an entry keeps its index");
    }
    let next = server.post("/add", format!("line {entries}").as_bytes()).expect(200).text();
    assert_eq!(next, entries.to_string());
    assert_eq!(server.stop(), Some(0));
}

/// The second key was not where the log was brought back, which nobody was told: its lines were missing from then on.
#[test]
fn a_recovery_without_the_second_key_says_so() {
    let world = world_with_a_log(10);
    world.kiln(&["backup", "log", "copy"]).ok();
    world.copy("log/private/key", "key");
    world.copy("log/private/key.ml-dsa-44", "second");
    world.remove("log");
    let said = world.kiln(&["recover", "log", "--from", "copy", "--key", "key"]).ok().stderr;
    assert!(said.contains("a second key, which is not here") && said.contains("key.ml-dsa-44"), "{said}");
    world.remove("log");
    let with_both = ["recover", "log", "--from", "copy", "--key", "key", "--ml-dsa-key", "second"];
    let said = world.kiln(&with_both).ok().stderr;
    assert!(!said.contains("second key"), "{said}");
}

/// A backup was made at 300 entries and the log went on to 700; then its disk was gone. What was put
/// back would sign a second history from 300 on.
#[test]
fn a_restored_backup_is_refused_and_a_mirror_brings_it_up() {
    let world = world_with_a_log(300);
    world.kiln(&["backup", "log", "backup", "--with-key"]).ok();
    grow(&world, "log", 300..700);
    world.kiln(&["backup", "log", "mirror"]).ok();
    world.remove("log");
    world.copy("backup", "log");
    serve_refused(&world, &["log"]).fails(1, &["size 700", "size 300", "went back in time", "kiln recover"]);
    let recovered = world.kiln(&["recover", "log", "--from", "mirror", "--json"]).ok().json();
    assert_eq!((&recovered["recovered"], &recovered["size"]), (&"head".into(), &700.into()), "{recovered}");
    world.kiln(&["fsck", "log"]).ok();
    let again = world.kiln(&["recover", "log", "--from", "mirror"]).ok();
    assert!(again.text().contains("nothing to do"), "{}", again.text());
    goes_on(world.serve(&["log"]), 700);
    world.kiln(&["fsck", "log"]).ok();
}

/// The same from what a server still serves, into an empty folder.
#[test]
fn a_store_that_is_gone_comes_back_from_a_url() {
    let world = world_with_a_log(600);
    let server = world.serve(&["log"]);
    let (key, url) = ("log/private/key", server.url.clone());
    world.kiln(&["recover", "other", "--from", &url, "--key", key]).ok();
    assert_eq!(server.stop(), Some(0));
    assert!(!world.path("other/private/key").exists() && !world.path("other/private/key.ml-dsa-44").exists());
    goes_on(world.serve(&["other", "--key", key]), 600);
}

#[test]
fn a_missing_or_damaged_object_comes_back() {
    let world = world_with_a_log(700);
    world.kiln(&["backup", "log", "backup"]).ok();
    let objects = ["tile/0/000", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/188"];
    for object in objects {
        let (name, whole) = (format!("log/public/{object}"), world.read(&format!("log/public/{object}")));
        for damaged in [None, Some(&whole[1..]), Some(b"?")] {
            match damaged {
                None => world.remove(&name),
                Some(bytes) => drop(world.write(&name, bytes)),
            }
            world.kiln(&["fsck", "log"]).fails(1, &[object]);
            let recovered = world.kiln(&["recover", "log", "--from", "backup", "--json"]).ok().json();
            // What the newest round wrote is written anew by any start.
            assert_eq!(recovered["size"], 700);
            assert_eq!(world.read(&name), whole, "{object}");
            world.kiln(&["fsck", "log"]).ok();
        }
    }
    world.remove("log/public/tile");
    world.kiln(&["recover", "log", "--from", "backup"]).ok();
    world.write("log/public/checkpoint", "torn");
    world.kiln(&["recover", "log", "--from", "backup"]).ok();
    goes_on(world.serve(&["log"]), 700);
    world.kiln(&["fsck", "log"]).ok();
}

/// A cache has what was asked of it, and a mirror what it had when it was cut off: together it is all.
#[test]
fn what_one_holder_lacks_another_may_have() {
    let world = world_with_a_log(700);
    world.kiln(&["backup", "log", "older"]).ok();
    grow(&world, "log", 700..900);
    grow(&world, "log", 900..1000); // a round that the head still holds
    world.copy("log/public", "cache");
    for lacks in ["entries/000", "0/000", "0/001"] {
        world.remove(&format!("cache/tile/{lacks}"));
    }
    world.remove("log/public/tile");
    let recover = |from: &[&str]| world.kiln(&[&["recover", "log", "--from"], from].concat());
    recover(&["cache"]).fails(1, &["cache", "missing"]);
    recover(&["older"]).fails(3, &["size 700"]);
    recover(&["older", "cache"]).ok();
    world.kiln(&["fsck", "log"]).ok();
    // The store itself is the other holder: it lost a bundle that the cache has.
    world.remove("log/public/tile/entries/001");
    recover(&["cache"]).ok();
    world.kiln(&["fsck", "log"]).ok();
    goes_on(world.serve(&["log"]), 1000);
}

/// The readers' half was whole all the time: it is enough.
#[test]
fn a_head_that_went_back_or_is_lost_comes_back_from_the_store_itself() {
    let world = world_with_a_log(300);
    world.copy("log/private/head", "older");
    grow(&world, "log", 300..400);
    world.remove("log/private/head");
    world.copy("older", "log/private/head");
    serve_refused(&world, &["log"]).fails(1, &["size 400", "size 300"]);
    world.kiln(&["recover", "log", "--from", "log"]).ok();
    goes_on(world.serve(&["log"]), 400);
    world.remove("log/private/head");
    serve_refused(&world, &["log"]).fails(1, &["kiln recover"]);
    let recovered = world.kiln(&["recover", "log", "--from", "log", "--json"]).ok().json();
    assert_eq!((&recovered["recovered"], &recovered["objects"]), (&"head".into(), &0.into()), "{recovered}");
    goes_on(world.serve(&["log"]), 401);
}

#[test]
fn without_anybody_who_has_all_of_it_nothing_is_changed() {
    let world = world_with_a_log(300);
    world.kiln(&["backup", "log", "backup", "--with-key"]).ok();
    grow(&world, "log", 300..400);
    world.kiln(&["backup", "log", "newer"]).ok();
    grow(&world, "log", 400..500);
    world.remove("log");
    world.copy("backup", "log");
    let before = (world.read("log/public/checkpoint"), world.read("log/private/head/1"));
    let refused = world.kiln(&["recover", "log", "--from", "backup", "newer"]);
    refused.fails(1, &["the guard knows tree size 500", "size 400", "only a new one remains"]);
    assert_eq!((world.read("log/public/checkpoint"), world.read("log/private/head/1")), before);
    // Nobody is believed who does not answer, and the others count.
    let refused = world.kiln(&["recover", "log", "--from", "nowhere", "newer"]);
    refused.fails(1, &["left aside: nowhere", "size 400"]);
    world.kiln(&["recover", "log", "--from", "nowhere"]).fails(3, &["nowhere"]);
    // There is no other word for it.
    world.kiln(&["recover", "log", "--from", "newer", "--accept-rollback"]).fails(2, &["--accept-rollback"]);
    // A sound store is not brought back by something older, and is none the worse for it.
    let world = world_with_a_log(300);
    world.kiln(&["backup", "log", "backup"]).ok();
    grow(&world, "log", 300..400);
    grow(&world, "log", 400..500);
    world
        .kiln(&["recover", "log", "--from", "backup"])
        .fails(3, &["the head is sound", "size 400", "size 300"]);
    goes_on(world.serve(&["log"]), 500);
}

/// Somebody had started the backup elsewhere, with another guard: two histories from 300 on.
fn forked_world() -> World {
    let world = world_with_a_log(300);
    world.kiln(&["backup", "log", "fork", "--with-key"]).ok();
    grow(&world, "log", 300..400);
    world.kiln(&["backup", "log", "mirror"]).ok();
    let head = head(&world, "fork");
    let server = world.serve(&["fork", "--guard", "other-guard", "--accept-head", &head]);
    add(&world, "fork", 1000..1200);
    assert_eq!(server.stop(), Some(0));
    world
}

#[test]
fn a_fork_is_refused_with_both_trees_and_nothing_is_changed() {
    let world = forked_world();
    let roots = ["log", "fork"]
        .map(|log| world.kiln(&["info", log, "--json"]).ok().json()["root"].as_str().unwrap().to_owned());
    let tile = world.read("log/public/tile/0/001.p/144");
    let refused = world.kiln(&["recover", "log", "--from", "fork"]);
    refused.fails(1, &["forked", "size 400", "size 500", &roots[0], &roots[1]]);
    let refused = world.kiln(&["recover", "log", "--from", "fork", "mirror"]);
    refused.fails(1, &["forked", "mirror", "fork", &roots[0], &roots[1], "— backup.example/log"]);
    let refused = world.kiln(&["recover", "fork", "--from", "mirror", "--guard", "other-guard"]);
    refused.fails(1, &["forked", "size 400", "size 500", &roots[0], &roots[1]]);
    world
        .kiln(&["backup", "fork", "mirror"])
        .fails(1, &["size 400", "size 500", &roots[0], "stays as it is"]);
    assert_eq!(world.read("log/public/tile/0/001.p/144"), tile);
    world.kiln(&["fsck", "log"]).ok();
    world.kiln(&["fsck", "mirror", "--vkey", &world.vkey("log")]).ok();
}

#[test]
fn without_a_guard_a_person_has_to_name_the_tree() {
    let world = world_with_a_log(300);
    world.kiln(&["backup", "log", "backup"]).ok();
    world.remove("log/public/tile");
    world.remove("log/private/head");
    world.remove("state");
    let recover = |accept: &[&str]| world.kiln(&[&["recover", "log", "--from", "backup"], accept].concat());
    let said =
        recover(&[]).fails(1, &["the guard is missing", "--accept-head 300:", "KILN_STATE_DIR"]).stderr;
    assert!(!world.path("log/public/tile").exists(), "nothing was written");
    let head = said.split("--accept-head ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    recover(&["--accept-head", &head.replace("300:", "299:")]).fails(2, &["--accept-head"]);
    recover(&["--accept-head", &head]).ok();
    goes_on(world.serve(&["log"]), 300);
}

#[test]
fn a_backup_is_made_of_a_log_at_work_and_repeats_cheaply() {
    let world = World::new();
    let server = world.serve(ORIGIN);
    add(&world, "log", 0..600);
    let copy = |more: &[&str]| {
        let ran = world.kiln(&[&["backup", "log", "backup", "--json"], more].concat()).ok();
        let value = ran.json();
        ["size", "from", "objects"].map(|field| value[field].as_u64().unwrap())
    };
    assert_eq!(copy(&["--verify"]), [600, 0, 3 + 3 + 1]);
    add(&world, "log", 600..1100);
    assert_eq!(copy(&[]), [1100, 512, 3 + 3 + 1]);
    assert_eq!(copy(&[]), [1100, 1024, 3], "the last bundle, its tile and the one above");
    assert_eq!(world.read("backup/public/checkpoint"), world.read("log/public/checkpoint"));
    assert_eq!(world.read("backup/public/log.json"), world.read("log/public/log.json"));
    assert!(!world.path("backup/private/key").exists());
    world.kiln(&["fsck", "backup", "--vkey", &world.vkey("log")]).ok();
    copy(&["--with-key"]);
    let mode = fs::metadata(world.path("backup/private/key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(server.stop(), Some(0));
    // Nothing newer was signed: the log goes on from it, at another place.
    goes_on(world.serve(&["backup"]), 1100);
    // And the log that it was copied from has gone back since.
    world.kiln(&["backup", "log", "backup"]).fails(1, &["1101", "1100", "went back in time"]);
}

/// After each step of a backup: what is there is an older backup or none, and the next run completes it.
#[test]
fn an_interrupted_backup_is_completed_by_the_next() {
    let world = world_with_a_log(300);
    world.kiln(&["backup", "log", "backup"]).ok();
    world.copy("backup", "older");
    grow(&world, "log", 300..700);
    world.kiln(&["backup", "log", "whole"]).ok();
    let head = head(&world, "log");
    let vkey = world.vkey("log");
    let steps = ["public/tile", "public/checkpoint", "private/head"];
    for older in [false, true] {
        for done in 1..=steps.len() {
            if older {
                world.copy("older", "copy");
            }
            world.write("copy/public/log.json", "");
            for step in &steps[..done] {
                world.copy(&format!("whole/{step}"), &format!("copy/{step}"));
            }
            match (older, done) {
                (false, 1) => drop(world.kiln(&["fsck", "copy", "--vkey", &vkey]).fails(1, &["checkpoint"])),
                (true, 1) => assert_eq!(size_by(&world, "copy", &vkey), 300),
                _ => assert_eq!(size_by(&world, "copy", &vkey), 700),
            }
            world.kiln(&["backup", "log", "copy", "--verify"]).ok();
            world.kiln(&["fsck", "copy", "--vkey", &vkey]).ok();
            assert_eq!(size_by(&world, "copy", &vkey), 700);
            goes_on(
                world.serve(&[
                    "copy",
                    "--key",
                    "log/private/key",
                    "--guard",
                    "state-of-copy",
                    "--accept-head",
                    &head,
                ]),
                700,
            );
            world.remove("copy");
            world.remove("state-of-copy");
        }
    }
}

/// Killed at some moments, and repeated: a process ends where it likes.
#[test]
fn a_run_that_was_killed_is_repeated() {
    let world = world_with_a_log(20_000);
    let vkey = world.vkey("log");
    let kill_after = |milliseconds, arguments: &[&str]| {
        let mut run = world.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        run.kill().unwrap();
        run.wait().unwrap();
    };
    for milliseconds in [2, 5, 10, 20, 40, 80] {
        let to = format!("backup.{milliseconds}");
        kill_after(milliseconds, &["backup", "log", &to]);
        world.kiln(&["backup", "log", &to, "--verify"]).ok();
        assert_eq!(size_by(&world, &to, &vkey), 20_000);
        world.remove("log/public");
        world.remove("log/private/head");
        kill_after(milliseconds, &["recover", "log", "--from", &to]);
        world.kiln(&["recover", "log", "--from", &to]).ok();
        world.kiln(&["fsck", "log"]).ok();
    }
    goes_on(world.serve(&["log"]), 20_000);
}

fn size_by(world: &World, log: &str, vkey: &str) -> u64 {
    world.kiln(&["info", log, "--vkey", vkey, "--json"]).ok().json()["size"].as_u64().unwrap()
}

#[test]
fn a_backup_goes_to_no_other_place_than_its_own() {
    let world = world_with_a_log(10);
    for to in ["log", "log/backup", "log/public", ".", "./log/../log"] {
        world.kiln(&["backup", "log", to]).fails(2, &["one place"]);
    }
    world.write("notes/mine.txt", "mine");
    world.kiln(&["backup", "log", "notes"]).fails(2, &["no log"]);
    world.kiln(&["init", "other", "--origin", "other.example/log"]).ok();
    world.kiln(&["backup", "log", "other"]).fails(1, &["other"]);
    world.remove("other/private/head");
    world.kiln(&["backup", "log", "other"]).fails(1, &["other", "signed by"]);
    world.kiln(&["backup", "nowhere", "backup"]).fails(3, &["nowhere"]);
    world.kiln(&["backup", "log", "backup", "--vkey", &world.vkey("other")]).fails(1, &["signed by"]);
    assert!(!world.path("backup").exists());
    let server = world.serve(&["log"]);
    world.kiln(&["backup", "log", "backup"]).ok();
    world.kiln(&["recover", "log", "--from", "backup"]).fails(3, &["held by kiln serve"]);
    world.kiln(&["recover", "log"]).fails(2, &["--from"]);
    drop(server);
    assert_eq!(size(&world, "log"), 10);
}

/// Disks forget: what fsck finds in a copy comes back from the log, and so does what a repeated run finds.
#[test]
fn a_damaged_backup_is_mended() {
    let world = world_with_a_log(700);
    world.kiln(&["backup", "log", "backup"]).ok();
    let vkey = world.vkey("log");
    for (object, noticed) in [("tile/entries/000", false), ("tile/0/002.p/188", true)] {
        world.write(&format!("backup/public/{object}"), "damaged");
        world.kiln(&["fsck", "backup", "--vkey", &vkey]).fails(1, &[object]);
        let again = world.kiln(&["backup", "log", "backup"]);
        if noticed {
            again.fails(1, &["damaged copy", object, "--mend"]);
        }
        let mended = world.kiln(&["backup", "log", "backup", "--mend", "--json"]).ok().json();
        assert_eq!(mended["objects"], 1, "{object}");
        world.kiln(&["fsck", "backup", "--vkey", &vkey]).ok();
    }
    world.write("backup/public/checkpoint", "damaged");
    world.kiln(&["backup", "log", "backup", "--mend"]).fails(1, &["remove this checkpoint"]);
    world.remove("backup/public/checkpoint");
    world.kiln(&["backup", "log", "backup", "--mend", "--verify"]).ok();
}

/// What is damaged in the log does not get into its backup, and the backup stays what it was.
#[test]
fn a_damaged_log_is_not_copied() {
    let world = world_with_a_log(300);
    world.kiln(&["backup", "log", "backup"]).ok();
    let checkpoint = world.read("backup/public/checkpoint");
    grow(&world, "log", 300..700);
    let mut bundle = world.read("log/public/tile/entries/001");
    bundle[100] ^= 1;
    world.write("log/public/tile/entries/001", bundle);
    world.kiln(&["backup", "log", "backup"]).fails(1, &["tile/entries/001"]);
    assert_eq!(world.read("backup/public/checkpoint"), checkpoint);
    world.kiln(&["fsck", "backup", "--vkey", &world.vkey("log")]).ok();
}
