//! Partial tiles that full ones supersede: `kiln serve --gc`, `kiln gc`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::world::World;

/// So many lines, each batch a round of its own.
fn add(world: &World, batches: &[u64]) {
    let mut next = fs::read_dir(world.path("")).unwrap().count() as u64 * 100_000;
    for batch in batches {
        let lines: String = (next..next + batch).map(|n| format!("line {n}\n")).collect();
        world.kiln_reading(&["add", "log", "--lines"], lines).ok();
        next += batch;
    }
}

/// The partial tiles and bundles below a folder, by name.
fn partials(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            let is_partial = path.parent().unwrap().extension().is_some_and(|extension| extension == "p");
            if path.is_dir() {
                partials(&path)
            } else {
                Vec::from_iter(is_partial.then(|| path.to_str().unwrap().to_owned()))
            }
        })
        .collect();
    found.sort_unstable();
    found
}

fn names(world: &World) -> Vec<String> {
    let root = world.path("log/public/");
    partials(&root).iter().map(|path| path.strip_prefix(root.to_str().unwrap()).unwrap().to_owned()).collect()
}

/// What the tree of 600 and that of 601 leaves have.
const LEFT: [&str; 6] = [
    "tile/0/002.p/88",
    "tile/0/002.p/89",
    "tile/1/000.p/1",
    "tile/1/000.p/2",
    "tile/entries/002.p/88",
    "tile/entries/002.p/89",
];

#[test]
fn a_server_collects_what_is_superseded() {
    let world = World::new();
    let server = world.serve(&["log", "--gc-grace", "200ms", "--admin-listen", "127.0.0.1:0"]);
    add(&world, &[1, 7, 100, 192, 200, 100, 1]); // 1, 8, 108, 300, 500, 600, 601
    let start = Instant::now();
    while names(&world) != LEFT {
        assert!(start.elapsed() < Duration::from_secs(20), "still there: {:?}", names(&world));
        std::thread::sleep(Duration::from_millis(20));
    }
    // What is gone begins the full one, which is there.
    server.get("/tile/0/000.p/8").expect(404);
    server.get("/tile/0/000").expect(200);
    assert_eq!(server.stop(), Some(0));
    let checked = world.kiln(&["fsck", "log", "--json"]).ok().json();
    assert_eq!(checked["size"], 601, "{checked}");
    let server = world.serve(&["log"]);
    assert_eq!(server.field("size"), "601");
    server.post("/add", b"and it goes on").expect(200);
}

#[test]
fn gc_collects_beside_a_writer_and_says_before_what_it_would_do() {
    let world = World::new();
    let server = world.serve(&["log", "--gc=off"]);
    add(&world, &[1, 7, 100, 192, 200, 100, 1]);
    let before = names(&world);
    let ran = world.kiln(&["gc", "log", "--dry-run", "--json"]).ok().json();
    // Of sizes 1, 8, 108, 300 and 500: a tile and a bundle each.
    assert_eq!((&ran["superseded"], &ran["removed"]), (&10.into(), &0.into()), "{ran}");
    assert_eq!(ran["partial"], before.len() as u64);
    assert_eq!(names(&world), before, "it only looked");

    let vkey = world.vkey("log");
    let ran = world.kiln(&["gc", "log", "--grace", "50ms", "--vkey", &vkey, "--json"]).ok();
    assert!(ran.stderr.contains("waiting 50ms"), "{}", ran.stderr);
    assert_eq!((&ran.json()["removed"], &ran.json()["size"]), (&10.into(), &601.into()));
    assert_eq!(names(&world), LEFT);
    let again = world.kiln(&["gc", "log", "--grace", "1ms"]).ok();
    assert!(again.text().contains("removed  0 of 6"), "{}", again.text());
    world.kiln(&["fsck", "log"]).ok();
    server.post("/add", b"and it goes on").expect(200);
    assert_eq!(server.stop(), Some(0));
}

/// The partial tiles are all that is left of a tile that the disk has lost.
#[test]
fn gc_keeps_the_last_copy_and_says_so() {
    let world = World::new();
    let server = world.serve(&["log", "--gc=off"]);
    add(&world, &[1, 7, 100, 192]);
    assert_eq!(server.stop(), Some(0));
    world.remove("log/public/tile/entries/000");
    let gc = || world.kiln(&["gc", "log", "--grace", "1ms"]);
    gc().fails(1, &["tile/entries/000 is missing", "kiln recover"]);
    let left = names(&world);
    assert!(left.contains(&"tile/entries/000.p/108".to_owned()), "{left:?}");
    assert!(!left.contains(&"tile/0/000.p/108".to_owned()), "the others go: {left:?}");
}

#[test]
fn gc_refuses_what_is_no_log_or_another_one() {
    let world = World::new();
    world.kiln(&["gc", "none"]).fails(3, &["no log here"]);
    assert!(!world.path("none").exists(), "and makes nothing");
    world.kiln(&["init", "log", "--origin", "example.com/one"]).ok();
    world.kiln(&["init", "other", "--origin", "example.com/one"]).ok();
    let other = world.vkey("other");
    world.kiln(&["gc", "log", "--vkey", &other]).fails(1, &["signed by example.com/one"]);
    world.kiln(&["gc", "s3://bucket/log", "--grace", "0s"]).fails(2, &[]);
}
