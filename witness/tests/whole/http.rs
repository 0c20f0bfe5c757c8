//! What is asked, and what is answered.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kiln_tiles::{Cosignatures, Note, SignSubtree, Subtree};

use crate::door::Door;
use crate::testing::TestLog;
use crate::world::{NOW, World, cosigners};

fn log() -> TestLog {
    TestLog::new("example.com/log")
}

fn path_of(log: &TestLog) -> String {
    format!("/{}/checkpoint", log.log().origin_hash().to_hex())
}

#[tokio::test]
async fn a_log_grows_and_monitors_see_it() {
    let (world, log) = (World::new(), log());
    let door = Door::open(world.witness(&[&log], None)).await;
    door.get(&path_of(&log)).await.expect(404);
    for (old, size) in [(0, 0), (0, 3), (3, 3), (3, 300), (300, 301)] {
        assert_eq!(door.granted(&log.request(old, size)).await, NOW);
        if size > 0 {
            let conflict = door.add(&log.request(0, 400)).await.expect(409);
            assert_eq!(conflict.body, format!("{size}\n"));
        }
    }
    let reply = door.add(&log.request(3, 400)).await.expect(409);
    assert_eq!((reply.header("content-type"), reply.body.as_str()), ("text/x.tlog.size", "301\n"));
    // What monitors get has the log's signature and what was returned. It may come a moment later.
    let vkeys = [&[log.key.verifier_key()], cosigners().vkeys()].concat();
    let shown = loop {
        let reply = door.get(&path_of(&log)).await.expect(200);
        if reply.body.contains("\n301\n") {
            break reply;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let note: Note = shown.body.parse().unwrap();
    assert_eq!(
        (note.unverified_text(), note.verify(&vkeys).unwrap().1.len()),
        (&*log.checkpoint(301).to_string(), 3)
    );
    let condition = format!("If-None-Match: {}\r\n", shown.header("etag"));
    door.ask("GET", &path_of(&log), &condition, b"").await.expect(304);
    assert_eq!(shown.header("cache-control"), "no-cache");
    door.close().await;
}

#[tokio::test]
async fn the_same_again_has_the_same_bytes_within_a_second_and_a_new_time_later() {
    let (world, log) = (World::new(), log());
    let door = Door::open(world.witness(&[&log], None)).await;
    let request = log.request(0, 5);
    let first = door.add(&request).await.expect(200).body;
    let again = log.request(5, 5);
    assert_eq!(door.add(&again).await.expect(200).body, first);
    world.clock.0.fetch_add(1, Ordering::SeqCst);
    assert_eq!(door.granted(&again).await, NOW + 1);
    door.close().await;
}

#[tokio::test]
async fn what_is_no_request_gets_its_status_and_never_5xx() {
    let (world, log) = (World::new(), log());
    let door = Door::open(world.witness(&[&log], None)).await;
    let good = log.request(0, 5).to_string();
    let long = [good.as_bytes(), &vec![b'x'; 64 << 10]].concat();
    for (method, path, body, status) in [
        ("POST", "/add-checkpoint", &b""[..], 400),
        ("POST", "/add-checkpoint", b"old 0\n\n\xff\xfe", 400),
        ("POST", "/add-checkpoint", b"old 0\n\na\0b\n1\n", 400),
        ("POST", "/add-checkpoint", &long, 413),
        ("GET", "/add-checkpoint", b"", 405),
        ("PUT", "/add-checkpoint", good.as_bytes(), 405),
        ("POST", "/sign-subtree", good.as_bytes(), 400),
        ("POST", "/add-checkpoint/", good.as_bytes(), 404),
        ("POST", "/", b"", 405),
        ("POST", &path_of(&log), b"", 405),
        ("GET", &path_of(&log).to_uppercase(), b"", 404),
        ("GET", "/../keys/ed25519", b"", 404),
        ("GET", "/healthz", b"", 200),
        ("GET", "/readyz", b"", 200),
        ("GET", "/metrics", b"", 404),
    ] {
        assert_eq!(door.ask(method, path, "", body).await.status, status, "{method} {path}");
    }
    let unknown = TestLog::new("example.com/unknown");
    door.add(&unknown.request(0, 5)).await.expect(404);
    door.get(&path_of(&log)).await.expect(404); // nothing of it left a trace
    door.close().await;
}

#[tokio::test]
async fn the_page_says_who_it_is_and_what_it_witnesses() {
    let (world, log) = (World::new(), log());
    let door = Door::open(world.witness(&[&log], Some("24"))).await;
    let page = door.get("/").await.expect(200).body;
    let vkeys = cosigners().vkeys().to_vec();
    let path = path_of(&log);
    for words in [
        &vkeys[0].to_string(),
        &vkeys[1].to_string(),
        "example.com/log",
        "http://w",
        &format!("http://m{path}"),
    ] {
        assert!(page.contains(words), "{words} in {page}");
    }
    let list = door.get("/logs").await.expect(200).body;
    assert_eq!(list, format!("logs/v0\n\nvkey {}\nqpd 24\n", log.key.verifier_key()));
    door.close().await;
}

#[tokio::test]
async fn a_log_may_do_as_much_a_day_as_its_list_says() {
    let (world, log) = (World::new(), log());
    let door = Door::open(world.witness(&[&log], Some("2"))).await;
    door.granted(&log.request(0, 1)).await;
    // Whoever repeats what is public uses up nothing of the log.
    for _ in 0..2 {
        door.granted(&log.request(1, 1)).await;
    }
    door.add(&log.request(1, 1)).await.expect(429);
    door.granted(&log.request(1, 2)).await;
    let reply = door.add(&log.request(2, 3)).await.expect(429);
    assert_eq!(reply.header("retry-after"), "43200");
    // What is refused for other reasons is not counted, and says so.
    door.add(&log.request(0, 3)).await.expect(409);
    world.clock.0.fetch_add(43_200, Ordering::SeqCst);
    assert_eq!(door.granted(&log.request(2, 3)).await, NOW + 43_200);
    door.close().await;
}

#[tokio::test]
async fn a_fork_is_refused_and_kept_as_evidence() {
    let (world, log) = (World::new(), log());
    let door = Door::open(world.witness(&[&log], None)).await;
    door.granted(&log.request(0, 10)).await;
    let fork = log.forked_at(3);
    for _ in 0..2 {
        door.add(&fork.request(10, 10)).await.expect(422);
        door.add(&fork.request(10, 12)).await.expect(422);
    }
    assert_eq!(door.get(&path_of(&log)).await.expect(200).body.lines().nth(1), Some("10"));
    let cases = loop {
        let names = fs::read_dir(world.path("evidence")).unwrap().map(|entry| entry.unwrap().path());
        let cases: Vec<_> = names.filter(|path| !path.to_string_lossy().contains("/.new-")).collect();
        if cases.len() == 2 {
            break cases;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let keys = [log.key.verifier_key()];
    for case in cases {
        let [submitted, recorded] = ["submitted", "recorded"].map(|name| {
            let note: Note = fs::read_to_string(case.join(name)).unwrap().parse().unwrap();
            note.verify(&keys).unwrap().0.to_owned()
        });
        assert_eq!(recorded, log.checkpoint(10).to_string());
        assert!([fork.checkpoint(10).to_string(), fork.checkpoint(12).to_string()].contains(&submitted));
        let request = fs::read(case.join("request")).unwrap();
        assert_eq!(kiln_tiles::AddCheckpoint::parse(&request).unwrap().old, 10);
    }
    door.close().await;
}

#[tokio::test]
async fn a_subtree_is_signed_under_a_checkpoint_of_ours_alone() {
    let (world, log) = (World::new(), log());
    let door = Door::open(world.witness(&[&log], None)).await;
    let reply = door.add(&log.request(0, 14)).await.expect(200);
    let ours = Cosignatures::parse(reply.body.as_bytes()).unwrap();
    let subtree = Subtree::new(8, 13).unwrap();
    let note = Note::new(log.checkpoint(14).to_string(), ours.lines().to_vec()).unwrap();
    let good =
        SignSubtree { subtree, hash: log.hash(subtree), proof: log.prove(subtree, 14), checkpoint: note };
    let sign = async |request: &SignSubtree| {
        door.ask("POST", "/sign-subtree", "", request.to_string().as_bytes()).await
    };
    let signed = sign(&good).await.expect(200);
    let lines = Cosignatures::parse(signed.body.as_bytes()).unwrap();
    let [line] = lines.lines() else { panic!("{lines:?}") };
    let vkey = cosigners().vkeys()[1].clone();
    assert!(vkey.verify_subtree(log.origin(), subtree, log.hash(subtree), line.signature()));
    assert_eq!(vkey.time_of(line), Some(0));

    let by_the_log = SignSubtree { checkpoint: log.note(14), ..good.clone() };
    sign(&by_the_log).await.expect(403);
    let other = SignSubtree { hash: log.hash(Subtree::new(8, 12).unwrap()), ..good.clone() };
    sign(&other).await.expect(422);
    let outside = SignSubtree { subtree: Subtree::new(8, 16).unwrap(), ..good.clone() };
    sign(&outside).await.expect(400);
    let unknown = TestLog::new("example.com/unknown");
    let unknown = SignSubtree {
        checkpoint: unknown.note(14),
        hash: unknown.hash(subtree),
        proof: unknown.prove(subtree, 14),
        ..good.clone()
    };
    sign(&unknown).await.expect(404);
    door.ask("POST", "/sign-subtree", "", good.to_string().replacen("8 13", "9 13", 1).as_bytes())
        .await
        .expect(400);
    let changed = Note::new(log.checkpoint(15).to_string(), good.checkpoint.signatures().to_vec()).unwrap();
    let changed = SignSubtree { proof: log.prove(subtree, 15), checkpoint: changed, ..good };
    sign(&changed).await.expect(403);
    door.close().await;
}
