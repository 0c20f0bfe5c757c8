//! What is refused, with which status.

use std::fs;
use std::time::Duration;

use kiln_tiles::{AddEntries, Cosigner, Note, Policy, SignSubtree, Subtree};

use crate::testing::TestLog;
use crate::world::{ENTRIES, World, cosigners, framed, log, shown_size, upload};

/// Each rule of the specification, in its order: the first that is broken counts.
#[tokio::test]
async fn each_rule_of_add_entries_has_its_status() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    let unknown = TestLog::new("example.com/unknown");
    door.add_entries(&upload(&unknown, 0, 5, b"", 1)).await.expect(404);
    door.add_entries(&upload(&log, 0, 5, b"", 1)).await.expect(422);
    door.pend(&log, 0, 10_000).await;
    let all = |start: u64, most: usize| upload(&log, start, 10_000, b"", most);
    let header = |origin: &[u8], start: u64, end: u64| {
        let length = u16::try_from(origin.len()).unwrap().to_be_bytes();
        [&length[..], origin, &start.to_be_bytes(), &end.to_be_bytes(), &[0, 0]].concat()
    };
    let with_proof_of = |hashes: u8| {
        let package = [framed(&log, 0, 256), vec![hashes], vec![7; 32 * usize::from(hashes)]].concat();
        [header(log.origin().as_bytes(), 0, 10_000), package].concat()
    };
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("nothing", Vec::new(), 400),
        ("half a header", all(0, 0)[..20].to_vec(), 400),
        ("the end before the start", header(log.origin().as_bytes(), 7, 5), 400),
        ("an end above 2^63 - 1", header(log.origin().as_bytes(), 0, 1 << 63), 400),
        ("an end that overflows", header(log.origin().as_bytes(), 0, u64::MAX), 400),
        ("no origin", header(b"", 0, 5), 404),
        ("an origin that is no text", header(b"\xff\xfe", 0, 5), 404),
        ("an origin with a newline", header(b"example.com/log\n", 0, 5), 404),
        ("a NUL", header(b"example.com/log\0", 0, 5), 404),
        ("no pending checkpoint of that size", upload(&log, 0, 300, b"", 1), 409),
        ("... nor is there one of 0", upload(&log, 0, 0, b"", 1), 409),
        ("a ticket of one's own", upload(&log, 0, 300, &[7; 500], 1), 409),
        ("a start above the next entry", all(256, 1), 409),
        ("no package", all(0, 0), 400),
        ("half a package", all(0, 1)[..2000].to_vec(), 400),
        ("a proof of 64 hashes", with_proof_of(64), 400),
        ("a proof of 63 hashes, all wrong", with_proof_of(63), 422),
        ("no proof", with_proof_of(0), 422),
        ("entries of a fork", upload(&log.forked_at(3), 0, 10_000, b"", 1), 422),
    ];
    for (what, body, status) in cases {
        let reply = door.add_entries(&body).await;
        assert_eq!(reply.status, status, "{what}: {}", String::from_utf8_lossy(&reply.body));
        if status == 409 {
            assert_eq!((reply.info().size(), reply.info().next()), (10_000, 0), "{what}");
        }
    }
    // One after another that is right: what was right is kept, and the rest is refused as it would be first.
    let good = all(0, 1);
    let fork = upload(&log.forked_at(300), 256, 10_000, b"", 1);
    let package_of_fork = &fork[AddEntries::split(&fork).unwrap().unwrap().0.to_bytes().len()..];
    door.add_entries(&[&good, package_of_fork].concat()).await.expect(422);
    let info = door.add_entries(&all(10_000, 0)).await.expect(409).info();
    assert_eq!(info.next(), 256);
    let broken = [&all(256, 1)[..], &[0xff; 300]].concat();
    assert_eq!(door.add_entries(&broken).await.expect(202).info().next(), 512, "the rest never comes");
    // As much may be sent again as one request has, and no more.
    assert_eq!(door.add_entries(&all(512, 31)).await.expect(202).info().next(), 32 * 256 + 256);
    door.add_entries(&all(256, 1)).await.expect(202);
    door.add_entries(&all(0, 1)).await.expect(409);
    let whole = [&all(8448, 9)[..], b"x"].concat();
    door.add_entries(&whole).await.expect(400); // something follows the last
    door.add_entries(&all(10_000, 0)).await.expect(200);
    // Behind the mirror checkpoint.
    door.pend(&log, 10_000, 10_001).await;
    door.mirrored(&log, 10_000, 10_001).await;
    let info = door.add_entries(&all(10_000, 0)).await.expect(409).info();
    assert_eq!((info.size(), info.next()), (10_001, 10_001));
    door.close().await;
}

#[tokio::test]
async fn what_is_no_request_gets_its_status_and_never_5xx() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 5).await;
    let body = upload(&log, 0, 5, b"", 1);
    let other = "Content-Type: text/plain\r\n";
    let brotli = format!("Content-Encoding: br\r\n{ENTRIES}");
    let twice = format!("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n{ENTRIES}");
    for (method, path, headers, status) in [
        ("POST", "/add-entries", "", 415),
        ("POST", "/add-entries", other, 415),
        ("POST", "/add-entries", &brotli, 415),
        ("POST", "/add-entries", &twice, 415),
        ("GET", "/add-entries", ENTRIES, 405),
        ("PUT", "/add-entries", ENTRIES, 405),
        ("POST", "/add-entries/", ENTRIES, 404),
        ("POST", "/add-checkpoint", "", 400),
        ("POST", "/sign-subtree", "", 400),
        ("GET", "/../keys/ed25519", "", 404),
        ("GET", "/copies", "", 404),
        ("GET", "/healthz", "", 200),
        ("GET", "/readyz", "", 200),
        ("GET", "/metrics", "", 404),
    ] {
        assert_eq!(door.ask(method, path, headers, &body).await.status, status, "{method} {path} {headers}");
    }
    let page = door.get("/").await.expect(200);
    for words in ["mirror", "mirror.example/m1", "add-entries", "http://r", "example.com/log"] {
        assert!(page.text().contains(words), "{words} in {}", page.text());
    }
    door.close().await;
}

/// The log signs two trees: the mirror stays with the one it knows, whoever uploads the other.
#[tokio::test]
async fn a_fork_is_refused_and_kept_as_evidence() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 300).await;
    let fork = log.forked_at(3);
    door.add_checkpoint(&fork.request(300, 300)).await.expect(422);
    door.add_checkpoint(&fork.request(300, 310)).await.expect(422);
    door.add_entries(&upload(&fork, 0, 300, b"", 2)).await.expect(422);
    door.mirrored(&log, 0, 300).await;
    assert_eq!(shown_size(&log, &world.public(&log, "checkpoint").unwrap()), 300);
    let kept = || fs::read_dir(world.path("evidence")).unwrap().map(|entry| entry.unwrap().file_name());
    while kept().filter(|name| name.to_string_lossy().starts_with("fork-")).count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    door.close().await;
}

/// A mirror that signed what is merely pending would say that it has what it has not.
#[tokio::test]
async fn a_subtree_is_signed_under_what_is_mirrored_and_not_under_what_is_pending() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 14).await;
    let subtree = Subtree::new(8, 13).unwrap();
    let request = |checkpoint: Note| {
        SignSubtree { subtree, hash: log.hash(subtree), proof: log.prove(subtree, 14), checkpoint }
            .to_string()
    };
    let sign =
        async |checkpoint: Note| door.ask("POST", "/sign-subtree", "", request(checkpoint).as_bytes()).await;
    sign(log.note(14)).await.expect(403);
    let reply = door.add_entries(&upload(&log, 0, 14, b"", 1)).await.expect(200);
    let lines = kiln_tiles::Cosignatures::parse(&reply.body).unwrap();
    let cosigned = Note::new(log.checkpoint(14).to_string(), lines.lines().to_vec()).unwrap();
    let signed = sign(cosigned).await.expect(200);
    let lines = kiln_tiles::Cosignatures::parse(&signed.body).unwrap();
    let [line] = lines.lines() else { panic!("{lines:?}") };
    let vkey = cosigners().vkeys()[1].clone();
    assert!(vkey.verify_subtree(log.origin(), subtree, log.hash(subtree), line.signature()));
    door.close().await;
}

/// Who had stolen the log's key pushed a tree that no witness had seen: the policy was asked of what the mirror pulled,
/// and of nothing else.
#[tokio::test]
async fn what_is_pushed_must_be_witnessed_as_what_is_pulled() {
    let (world, log) = (World::new(), log());
    let witness = Cosigner::ed25519_from_seed("w.example/w".parse().unwrap(), [3; 32]);
    let (vkey, key) = (log.key.verifier_key(), witness.verifier_key());
    let policy: Policy = format!("log {vkey}\nwitness w {key}\nquorum w\n").parse().unwrap();
    let door = world.door(&[&log]).await;
    door.mirror.logs().trust(vec![policy.trusted_log(log.origin()).unwrap()]);
    door.add_checkpoint(&log.request(0, 300)).await.expect(403);
    door.add_entries(&upload(&log, 0, 300, b"", 9)).await.expect(422);
    let mut request = log.request(0, 300);
    let line = witness.cosign(&log.checkpoint(300), 5).unwrap();
    request.checkpoint = request.checkpoint.with(line).unwrap();
    door.add_checkpoint(&request).await.expect(200);
    door.mirrored(&log, 0, 300).await;
    door.close().await;
}
