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
