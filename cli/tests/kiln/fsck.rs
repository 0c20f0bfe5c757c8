//! A byte flipped in, a truncation of, and the loss of each kind of object: `fsck` names it.

use std::fs;

use crate::world::{World, copy_testdata, testdata};

/// Each kind of object of Tessera's log of 700 entries.
const OBJECTS: [&str; 8] = [
    "checkpoint",
    "tile/0/000",
    "tile/0/001",
    "tile/0/002.p/188",
    "tile/1/000.p/2",
    "tile/entries/000",
    "tile/entries/001",
    "tile/entries/002.p/188",
];

#[test]
fn damage_is_found_and_named() {
    let world = World::new();
    copy_testdata(&world, "tessera-log", "log");
    let vkey = fs::read_to_string(testdata("tessera-log.vkey")).unwrap();
    let fsck = || world.kiln(&["fsck", "log", "--vkey", vkey.trim_end()]);
    fsck().ok();
    for object in OBJECTS {
        let (name, whole) = (format!("log/{object}"), world.read(&format!("log/{object}")));
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        world.write(&name, &changed);
        fsck().fails(1, &[object]);
        world.write(&name, &whole[..whole.len() - 1]);
        fsck().fails(1, &[object]);
        world.write(&name, [&whole[..], b"!"].concat());
        fsck().fails(1, &[object]);
        world.remove(&name);
        fsck().fails(1, &[object, "missing"]);
        world.write(&name, &whole);
    }
    fsck().ok();
}

#[test]
fn a_partial_tile_may_go_when_the_full_one_is_there() {
    let world = World::new();
    let server = world.serve(&["log"]);
    server.post("/add", b"first").expect(200);
    assert!(world.path("log/public/tile/0/000.p/1").exists());
    let lines: String = (0..300).map(|n| format!("line {n}\n")).collect();
    world.kiln_reading(&["add", "log", "--lines"], lines).ok();
    world.remove("log/public/tile/0/000.p");
    world.remove("log/public/tile/entries/000.p");
    world.kiln(&["fsck", "log"]).ok();
}

/// What readers of earlier trees ask for was not looked at: `fsck` called a log with damaged partial tiles
/// sound.
#[test]
fn partial_tiles_of_earlier_trees_are_verified_as_long_as_they_are_there() {
    let world = World::new();
    let server = world.serve(&["log"]);
    for batch in [1, 3, 257, 600] {
        let lines: String = (0..batch).map(|n| format!("line {n}\n")).collect();
        world.kiln_reading(&["add", "log", "--lines"], lines).ok();
    }
    assert_eq!(server.stop(), Some(0));
    let sound = world.kiln(&["fsck", "log", "--json"]).ok().json();
    // Of sizes 1, 3 and 257: one of each width at level 0, and one at level 1.
    assert_eq!((&sound["earlier_bundles"], &sound["earlier_tiles"]), (&3.into(), &4.into()), "{sound}");
    assert!(
        world.kiln(&["fsck", "log/public", "--vkey", &world.vkey("log")]).ok().text().contains("earlier")
    );
    for object in
        ["tile/0/000.p/1", "tile/0/000.p/3", "tile/1/000.p/1", "tile/entries/000.p/3", "tile/entries/001.p/1"]
    {
        let (name, whole) = (format!("log/public/{object}"), world.read(&format!("log/public/{object}")));
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        let longer = [&whole[..], b"!"].concat();
        for damaged in [&changed[..], &whole[..whole.len() - 1], &longer, b""] {
            world.write(&name, damaged);
            world.kiln(&["fsck", "log"]).fails(1, &[object]);
        }
        world.remove(&name); // which a log may do, too
        world.kiln(&["fsck", "log"]).ok();
        world.write(&name, &whole);
    }
}

/// A running log has tiles that no checkpoint commits to yet, and people leave all kinds of files.
#[test]
fn files_that_are_no_part_of_the_tree_are_told_and_no_error() {
    let world = World::new();
    let server = world.serve(&["log"]);
    server.post("/add", b"first").expect(200);
    assert_eq!(server.stop(), Some(0));
    for beyond in ["0/000.p/2", "entries/000.p/7", "0/007", "5/000.p/1", "entries/x001/000.p/9"] {
        world.write(&format!("log/public/tile/{beyond}"), "?");
    }
    for unknown in ["0/x000/000", "0/00", "0/000.bak/1", "notes.txt", "64/000", "0/000.p/256", "0/000.p/01"] {
        world.write(&format!("log/public/tile/{unknown}"), "?");
    }
    let ran = world.kiln(&["fsck", "log", "--json"]).ok();
    let found = ran.json();
    assert_eq!((&found["beyond"], &found["unknown"]), (&5.into(), &7.into()), "{}", ran.stderr);
    for name in ["tile/0/007", "tile/entries/000.p/7", "tile/notes.txt", "tile/0/000.bak/"] {
        assert!(ran.stderr.contains(name), "{name}: {}", ran.stderr);
    }
}
