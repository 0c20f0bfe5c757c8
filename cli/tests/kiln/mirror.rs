//! `kiln mirror`, pushed to and pulling, and `kiln serve --mirror`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use kiln_tiles::{AddCheckpoint, Checkpoint, Hash, Note, Proof, VerifierKey};

use crate::world::{Server, World, free_address};

const ORIGIN: &str = "example.com/log";
const NAME: &[&str] = &["m", "--name", "m.example/1"];

fn add(world: &World, log: &str, lines: std::ops::Range<u64>) {
    let lines: String = lines.map(|n| format!("line {n}\n")).collect();
    let vkey = world.vkey("log");
    world.kiln_reading(&["add", log, "--vkey", &vkey, "--lines", "--in-order"], lines).ok();
}

fn vkeys(mirror: &Server) -> Vec<VerifierKey> {
    mirror.printed.lines().map(|line| line.parse().unwrap()).collect()
}

fn origin_hash() -> String {
    use sha2::Digest;
    Hash::from_bytes(sha2::Sha256::digest(ORIGIN).into()).to_hex()
}

/// The size of a checkpoint, and how many of these keys have signed it.
fn judged(note: &[u8], keys: &[VerifierKey]) -> (u64, usize) {
    let note = Note::parse(note).unwrap();
    let size = note.unverified_text().parse::<Checkpoint>().unwrap().head().size();
    (size, note.verify(keys).map_or(0, |(_, verified)| verified.len()))
}

/// What the mirror shows of the log, once it shows this size: with the log's signature and two cosignatures.
fn shown(world: &World, mirror: &Server, size: u64) -> Vec<u8> {
    let vkey: VerifierKey = world.vkey("log").parse().unwrap();
    let keys = [&[vkey][..], &vkeys(mirror)].concat();
    for _ in 0..1000 {
        let reply = mirror.get(&format!("/{}/checkpoint", origin_hash()));
        if reply.status == 200 && judged(&reply.body, &keys) == (size, 3) {
            return reply.body;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("size {size} is not mirrored: {}", mirror.stderr());
}

/// The tiles and bundles below a folder, by name.
fn tiles(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut folders, mut files) = (vec![folder.join("tile")], BTreeMap::new());
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

/// Everything that the mirror has is what the log has, and nothing full is missing.
fn assert_equal(world: &World) {
    let log = tiles(&world.path("log/public"));
    let copy = tiles(&world.path("m/copies").join(origin_hash()).join("public"));
    for (name, bytes) in &copy {
        assert!(log.get(name).is_none_or(|known| known == bytes), "{name} differs");
    }
    for name in log.keys().filter(|name| !name.contains(".p/")) {
        assert!(copy.contains_key(name), "{name} is missing");
    }
    let copy = format!("m/copies/{}", origin_hash());
    world.kiln(&["fsck", &copy, "--vkey", &world.vkey("log")]).ok();
}

#[test]
fn a_log_pushes_to_its_mirror_whose_lines_are_published() {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", ORIGIN]).ok();
    world.write("logs", format!("logs/v0\nvkey {}\n", world.vkey("log")));
    let mirror = world.mirror(&free_address(), &[NAME, &["--logs", "logs"]].concat());
    let named: Vec<String> = vkeys(&mirror).iter().map(|vkey| format!("{vkey}={}", mirror.url)).collect();
    let server = world.serve(&["log", "--mirror", &named[0], "--mirror", &named[1], "--gc=off"]);
    for size in [1, 700, 20_000] {
        let known = if size == 1 { 0 } else { size / 2 };
        add(&world, &server.url, known..size);
        let size = world.kiln(&["info", "log", "--json"]).ok().json()["size"].as_u64().unwrap();
        shown(&world, &mirror, size);
        let published = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            judged(&server.get("/checkpoint").expect(200).body, &vkeys(&mirror)) == (size, 2)
        });
        assert!(published, "the log shows no lines of its mirror: {}", server.stderr());
    }
    assert_eq!(server.stop(), Some(0));
    assert_equal(&world);
    let page = mirror.get("/").expect(200).text();
    assert!(page.contains("mirror") && page.contains(ORIGIN), "{page}");
    assert_eq!(mirror.stop(), Some(0));
}

/// The mirror is killed, is away, and comes back; the log goes on all the time, and the mirror catches up from where it
/// was.
#[test]
fn a_mirror_that_is_killed_again_and_again_holds_up_no_round_and_catches_up() {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", ORIGIN]).ok();
    world.write("logs", format!("logs/v0\nvkey {}\n", world.vkey("log")));
    let address = free_address();
    let arguments = [NAME, &["--logs", "logs"]].concat();
    let mut mirror = world.mirror(&address, &arguments);
    let named = format!("{}={}", vkeys(&mirror)[0], mirror.url);
    let server = world.serve(&["log", "--mirror", &named, "--gc=off"]);
    for kill in 0..5 {
        add(&world, &server.url, kill * 4000..(kill + 1) * 4000);
        std::thread::sleep(Duration::from_millis(30 * kill));
        mirror.kill();
        server.post("/add", format!("while it is away, {kill}").as_bytes()).expect(200);
        mirror = world.mirror(&address, &arguments);
    }
    shown(&world, &mirror, 20_005);
    assert_eq!(server.stop(), Some(0));
    assert_equal(&world);
    assert_eq!(mirror.stop(), Some(0));
}

#[test]
fn logs_are_pulled_once_or_for_ever_and_reads_have_a_port_of_their_own() {
    let world = World::new();
    let server = world.serve(&["log", "--origin", ORIGIN, "--gc=off"]);
    add(&world, &server.url, 0..700);
    let pull = format!("{}={}", world.vkey("log"), server.url);
    let once = ["mirror", "m", "--name", "m.example/1", "--pull", &pull, "--once"];
    let said = world.kiln(&once).ok();
    assert!(said.text().contains("700 entries mirrored, 700 of them new"), "{}", said.text());
    let said = world.kiln(&[&once[..], &["--json"]].concat()).ok().json();
    assert_eq!((said["size"].as_u64(), said["from"].as_u64()), (Some(700), Some(700)));
    add(&world, &server.url, 700..1500);
    let reads = free_address();
    let more = ["m", "--pull", &pull, "--interval", "50ms", "--read-listen", &reads];
    let mut mirror = world.mirror(&free_address(), &more);
    let submissions = std::mem::replace(&mut mirror.url, format!("http://{reads}"));
    shown(&world, &mirror, 1500);
    add(&world, &server.url, 1500..1600);
    shown(&world, &mirror, 1600);
    mirror.post("/add-checkpoint", b"").expect(404);
    mirror.url = submissions;
    let elsewhere = mirror.get(&format!("/{}/checkpoint", origin_hash())).expect(404);
    assert!(elsewhere.text().contains(&reads), "{}", elsewhere.text());
    mirror.post("/add-checkpoint", b"").expect(400);
    assert_eq!(mirror.stop(), Some(0));
    assert_eq!(server.stop(), Some(0));
    assert_equal(&world);
}

/// What witnesses must have cosigned is not mirrored before they have.
#[test]
fn a_policy_says_what_is_mirrored() {
    let world = World::new();
    let server = world.serve(&["log", "--origin", ORIGIN]);
    add(&world, &server.url, 0..10);
    let vkey = world.vkey("log");
    world.write("list", format!("logs/v0\n\nvkey {vkey}\n"));
    let witness = world.witness(&["w", "--name", "w.example/1", "--logs", "list"]);
    let key = witness.printed.lines().next().unwrap().to_owned();
    let (url, at) = (server.url.clone(), witness.url.clone());
    world.write("policy", format!("log {vkey} {url}\nwitness w {key} {at}\nquorum w\n"));
    let by_file = ["mirror", "m", "--name", "m.example/1", "--pull", "policy", "--once"];
    world.kiln(&by_file).fails(1, &["w"]);
    let pull = format!("{vkey}={url}");
    let by_key = ["mirror", "n", "--name", "n.example/1", "--pull", &pull, "--policy", "policy", "--once"];
    world.kiln(&by_key).fails(1, &["w"]);
    // Nor by who pushes it: anybody can, who has the checkpoint.
    let note = server.get("/checkpoint").expect(200).body;
    let request = AddCheckpoint { old: 0, proof: Proof::default(), checkpoint: Note::parse(&note).unwrap() };
    let mirror = world.mirror(&free_address(), &["m", "--pull", "policy"]);
    mirror.post("/add-checkpoint", request.to_string().as_bytes()).expect(403);
    assert_eq!(mirror.stop(), Some(0));
    assert_eq!(server.stop(), Some(0));
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let server = world.serve(&["log", "--policy", "policy", "--listen", &address]);
    server.post("/add", b"cosigned").expect(200);
    assert!(world.kiln(&by_file).ok().text().contains("11 entries"));
    assert!(world.kiln(&by_key).ok().text().contains("11 entries"));
    assert_eq!(server.stop(), Some(0));
}

/// A log that was set back, and one that was rewritten: nothing is taken back, and scripts are told by the exit code.
#[test]
fn a_log_that_goes_back_or_forks_is_told_by_the_exit_code_and_what_is_mirrored_stays() {
    let world = World::new();
    let server = world.serve(&["log", "--origin", ORIGIN]);
    add(&world, &server.url, 0..300);
    assert_eq!(server.stop(), Some(0));
    world.copy("log", "older");
    let server = world.serve(&["log"]);
    add(&world, &server.url, 300..700);
    assert_eq!(server.stop(), Some(0));
    let vkey = world.vkey("log");
    let pull = |from: &str| {
        let pull = format!("{vkey}={}", world.path(from).display());
        world.kiln(&["mirror", "m", "--name", "m.example/1", "--pull", &pull, "--once"])
    };
    pull("log").ok();
    let copy = world.path("m/copies").join(origin_hash()).join("public/checkpoint");
    let mirrored = fs::read(&copy).unwrap();
    pull("older").fails(1, &["went back"]);
    assert_eq!(fs::read(&copy).unwrap(), mirrored);
    // From there it goes on as another log.
    let head = world.kiln(&["info", "older", "--json"]).ok().json();
    let head = format!("{}:{}", head["size"], head["root"].as_str().unwrap());
    let server = world.serve(&["older", "--guard", "another-guard", "--accept-head", &head]);
    server.post("/add", b"another history").expect(200);
    pull("older").fails(1, &["forked"]);
    add(&world, &server.url, 1000..1500);
    assert_eq!(server.stop(), Some(0));
    pull("older").fails(1, &["forked"]);
    assert_eq!(fs::read(&copy).unwrap(), mirrored);
    let evidence = fs::read_dir(world.path("m/evidence")).unwrap();
    assert!(evidence.count() > 0);
    pull("log").ok();
}

/// `kiln witness` opened the folder of a mirror, and its first start signed by the mirror's keys what was merely pending
/// there: a tree of which the mirror held nothing. The other way round a witness became a mirror.
#[test]
fn a_witness_and_a_mirror_share_no_folder() {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", ORIGIN]).ok();
    world.write("logs", format!("logs/v0\nvkey {}\n", world.vkey("log")));
    let mirror = world.mirror(&free_address(), &[NAME, &["--logs", "logs"]].concat());
    assert_eq!(mirror.stop(), Some(0));
    let witness = world.witness(&["w", "--name", "w.example/1", "--logs", "logs"]);
    assert_eq!(witness.stop(), Some(0));
    let start = |role, folder| world.kiln(&[role, folder, "--listen", "127.0.0.1:0"]);
    start("witness", "m").fails(2, &["not a folder of a witness"]);
    start("mirror", "w").fails(2, &["not a folder of a mirror"]);
    // Nor where its state is gone, and its keys are not.
    fs::remove_file(world.path("m/state.redb")).unwrap();
    start("witness", "m").fails(2, &["not a folder of a witness"]);
}

#[test]
fn what_cannot_be_a_mirror_is_refused() {
    let world = World::new();
    world.kiln(&["init", "log", "--origin", ORIGIN]).ok();
    let vkey = world.vkey("log");
    world.write("logs", format!("logs/v0\nvkey {vkey}\n"));
    let mirror =
        |arguments: &[&str]| world.kiln(&[&["mirror", "m", "--listen", "127.0.0.1:0"], arguments].concat());
    mirror(&["--logs", "logs"]).fails(2, &["--name", "mirror.example.com"]);
    let name = ["--name", "m.example/1"];
    let named = |arguments: &[&str]| mirror(&[&name, arguments].concat());
    named(&[]).fails(2, &["--pull"]);
    named(&["--once"]).fails(2, &["--pull"]);
    named(&["--pull", "https://example.com/log"]).fails(2, &["VKEY=URL"]);
    named(&["--pull", "no-such-file"]).fails(3, &["no-such-file"]);
    world.write("policy", format!("log {vkey}\nquorum none\n"));
    named(&["--pull", "policy"]).fails(2, &["URL"]);
    let twice = format!("{vkey}=http://127.0.0.1:1");
    named(&["--pull", &twice, "--pull", &twice]).fails(2, &["twice"]);
    named(&["--pull", &twice, "--once"]).fails(3, &[ORIGIN]);
    let serve = ["serve", "log", "--listen", "127.0.0.1:0", "--mirror"];
    world.kiln(&[&serve[..], &["https://m.example"]].concat()).fails(2, &["VKEY=URL"]);
    world.kiln(&[&serve[..], &["policy"]].concat()).fails(2, &["URL"]);
    world.kiln(&[&serve[..], &["no-such-file"]].concat()).fails(3, &["no-such-file"]);
    // Others know the mirror by its keys and by what it has cosigned: neither is made anew in silence.
    fs::remove_file(world.path("m/state.redb")).unwrap();
    named(&["--logs", "logs"]).fails(3, &["under a new name"]);
}
