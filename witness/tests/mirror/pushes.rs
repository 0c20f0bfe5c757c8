//! Logs that push.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kiln_tiles::{AddCheckpoint, Cosignatures, VerifierKey};

use crate::world::{ENTRIES, NOW, World, cosigners, framed, implied, log, shown_size, upload, verify};

#[tokio::test]
async fn what_is_pushed_is_mirrored_byte_for_byte_and_cosigned() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.read(&log, "checkpoint").await.expect(404);
    for (old, size) in [(0, 0), (0, 1), (1, 255), (255, 256), (256, 600), (600, 601), (601, 1300)] {
        door.pend(&log, old, size).await;
        assert_eq!(door.mirrored(&log, old, size).await, NOW);
        for (path, body) in implied(&log, size) {
            let reply = door.read(&log, &path).await.expect(200);
            assert!(reply.body == body, "{path} of {size}");
            assert!(reply.header("cache-control").contains("immutable"));
            assert!(world.public(&log, &path) == Some(body), "{path} of {size}, as a file");
        }
    }
    let shown = loop {
        let shown = door.read(&log, "checkpoint").await.expect(200);
        if shown_size(&log, &shown.body) == 1300 {
            break shown;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(world.public(&log, "checkpoint"), Some(shown.body), "for who serves the folder");
    door.close().await;
}

/// Anybody may ask for the same again: each time the partial tiles were written anew and the state twice, which is
/// several waits for the disk under the lock of the log.
#[tokio::test]
async fn the_same_again_has_the_same_bytes_and_writes_nothing() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 300).await;
    let first = door.add_entries(&upload(&log, 0, 300, b"", 9)).await.expect(200).body;
    while world.public(&log, "checkpoint").is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await; // what is kept is written behind the answer
    let written = world.written();
    for _ in 0..3 {
        let again = door.add_entries(&upload(&log, 300, 300, b"", 0)).await.expect(200);
        assert_eq!(again.body, first);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.written(), written);
    // It is signed anew after a while.
    world.clock.0.fetch_add(60, Ordering::SeqCst);
    let later = door.add_entries(&upload(&log, 300, 300, b"", 0)).await.expect(200);
    assert_eq!(verify(&log, 300, &later.body), NOW + 60);
    door.close().await;
}

/// A log signed two texts of one tree, which differ in an extension line: the cosignature of the first was returned,
/// and published, for the second, under which it is wrong.
#[tokio::test]
async fn another_text_of_the_same_tree_has_a_cosignature_of_its_own() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 300).await;
    let first = door.add_entries(&upload(&log, 0, 300, b"", 9)).await.expect(200).body;
    let text = format!("{}an extension\n", log.checkpoint(300));
    let checkpoint = log.key.sign(text.clone()).unwrap();
    door.add_checkpoint(&AddCheckpoint { checkpoint, ..log.request(300, 300) }).await.expect(200);
    let second = door.add_entries(&upload(&log, 300, 300, b"", 0)).await.expect(200).body;
    assert_ne!(first, second);
    let lines = Cosignatures::parse(&second).unwrap();
    let signed = |vkey: &VerifierKey| lines.lines().iter().any(|line| vkey.verify(&text, line.signature()));
    assert!(cosigners().vkeys().iter().all(signed));
    door.close().await;
}

/// A mirror that showed entries before their checkpoint would show what a power cut may tear.
#[tokio::test]
async fn nobody_sees_entries_that_wait_for_the_rest_of_their_tree() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 600).await;
    let info = door.add_entries(&upload(&log, 0, 600, b"", 2)).await.expect(202).info();
    assert_eq!((info.size(), info.next()), (600, 512));
    assert_eq!(world.public(&log, "tile/entries/000"), Some(framed(&log, 0, 256)));
    for path in ["tile/entries/000", "tile/0/000", "checkpoint"] {
        door.read(&log, path).await.expect(404);
    }
    let reply = door.add_entries(&upload(&log, 512, 600, info.ticket(), 9)).await.expect(200);
    verify(&log, 600, &reply.body);
    door.read(&log, "tile/entries/000").await.expect(200);
    door.read(&log, "tile/entries/003").await.expect(404);
    door.close().await;
}

/// The log grew while an upload was under way, and strangers may make its checkpoints pending: the upload that had
/// begun could never end.
#[tokio::test]
async fn an_upload_goes_on_to_the_tree_that_it_began_with() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 600).await;
    let info = door.add_entries(&upload(&log, 0, 600, b"", 1)).await.expect(202).info();
    for size in 600..620 {
        door.pend(&log, size, size + 1).await; // more than are remembered
    }
    let info = door.add_entries(&upload(&log, 256, 600, info.ticket(), 1)).await.expect(202).info();
    assert_eq!((info.size(), info.next()), (600, 512), "with the ticket the older tree is still known");
    let unknown = door.add_entries(&upload(&log, 512, 600, b"", 1)).await.expect(409).info();
    assert_eq!((unknown.size(), unknown.next()), (620, 512), "and without it the newest is named");
    let forged = door.add_entries(&upload(&log, 512, 600, &[info.ticket(), b"x"].concat(), 1)).await;
    forged.expect(409);
    let reply = door.add_entries(&upload(&log, 512, 600, info.ticket(), 1)).await.expect(200);
    verify(&log, 600, &reply.body);
    // The one before the last few is remembered without a ticket.
    door.mirrored(&log, 600, 619).await;
    let behind = door.add_entries(&upload(&log, 600, 600, info.ticket(), 0)).await.expect(409).info();
    assert_eq!(behind.size(), 620, "the mirror never goes back, not even with a ticket");
    assert_eq!(shown_size(&log, &world.public(&log, "checkpoint").unwrap()), 619);
    door.close().await;
}

#[tokio::test]
async fn what_was_whole_before_the_connection_broke_is_kept() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 1000).await;
    let body = upload(&log, 0, 1000, b"", 4);
    let third = upload(&log, 0, 1000, b"", 2).len() + 100;
    let headers = format!("Content-Length: {}\r\n{ENTRIES}", body.len());
    let said = door.send("POST", "/add-entries", &headers, &body[..third]).await;
    assert!(said.is_none_or(|reply| reply.status == 202), "an answer, if there is one, says where to go on");
    let next = loop {
        let info = door.add_entries(&upload(&log, 1000, 1000, b"", 0)).await.expect(409).info();
        if info.next() > 0 {
            break info.next();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(next, 512);
    door.mirrored(&log, next, 1000).await;
    door.close().await;
}

#[tokio::test]
async fn a_body_may_be_compressed_and_one_that_is_none_is_refused() {
    use flate2::write::GzEncoder;
    use std::io::Write;
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 1000).await;
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let headers = format!("Content-Encoding: gzip\r\n{ENTRIES}");
    let send = async |body: &[u8]| door.ask("POST", "/add-entries", &headers, body).await;
    let good = upload(&log, 0, 1000, b"", 4);
    send(&good).await.expect(400); // not gzip
    let compressed = gzip(&good);
    let broken = [&compressed[..compressed.len() / 2], &[0xff; 100]].concat();
    assert!(matches!(send(&broken).await.status, 400 | 202));
    // 64 MiB of nothing, in 64 KiB: it ends with the first package, of empty entries.
    let bomb = [upload(&log, 0, 1000, b"", 0), vec![0; 64 << 20]].concat();
    send(&gzip(&bomb)).await.expect(422);
    let reply = send(&compressed).await.expect(200);
    verify(&log, 1000, &reply.body);
    assert_eq!(reply.header("accept-encoding"), "gzip");
    let cut = send(&compressed[..compressed.len() / 2]).await;
    assert!(matches!(cut.status, 400 | 202), "{}", cut.status);
    door.close().await;
}

#[tokio::test]
async fn many_may_push_the_same_at_once() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 2000).await;
    let (door, log) = (&door, &log);
    let one = async |most: usize| {
        let mut start = 0;
        loop {
            let reply = door.add_entries(&upload(log, start, 2000, b"", most)).await;
            match reply.status {
                200 => return verify(log, 2000, &reply.body),
                202 | 409 => start = reply.info().next().min(2000),
                status => panic!("{status}: {}", reply.text()),
            }
        }
    };
    tokio::join!(one(1), one(2), one(3), one(8), one(1), one(2), one(3));
    for (path, body) in implied(log, 2000) {
        assert!(world.public(log, &path) == Some(body), "{path}");
    }
}

/// A log with a round each second left a partial bundle for each of them: a mirror of it had filled its disk within days.
#[tokio::test]
async fn partial_tiles_go_when_full_ones_supersede_them() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    let mut known = 0;
    for size in (10..=1000).step_by(30) {
        door.pend(&log, known, size).await;
        door.mirrored(&log, known, size).await;
        known = size;
        for (path, body) in implied(&log, size) {
            assert!(door.read(&log, &path).await.expect(200).body == body, "{path} of {size}");
        }
    }
    let partial = |name: &String| name.contains(".p/");
    let left: Vec<_> = world.all_public(&log).into_keys().filter(partial).collect();
    // Those of the last block, and of the one tile above the leaves, which is not full yet.
    let of_old_blocks = |name: &&String| {
        ["000.p", "001.p", "002.p"].iter().any(|block| name.contains(block) && !name.starts_with("tile/1"))
    };
    assert_eq!(left.iter().filter(of_old_blocks).count(), 0, "{left:?}");
    assert!(left.len() < 40, "{left:?}");
    door.close().await;
}

/// A client of one log that pauses in the middle of its upload holds up nobody.
#[tokio::test]
async fn an_upload_that_pauses_holds_up_nobody() {
    use tokio::io::AsyncWriteExt;
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 600).await;
    let body = upload(&log, 0, 600, b"", 3);
    let mut paused = tokio::net::TcpStream::connect(door.address).await.unwrap();
    let head =
        format!("POST /add-entries HTTP/1.1\r\nHost: m\r\n{ENTRIES}Content-Length: {}\r\n\r\n", body.len());
    paused.write_all(&[head.as_bytes(), &body[..3000]].concat()).await.unwrap();
    door.mirrored(&log, 0, 600).await;
    drop(paused);
    door.close().await;
}

/// Sixteen connections with 16 KB each, which unpack to a package that is never whole, took all the room there was: for
/// five minutes the mirror answered 503, to every log and whatever was asked.
#[tokio::test]
async fn uploads_that_unpack_to_much_leave_room_for_other_clients() {
    use std::io::Write;
    use tokio::io::AsyncWriteExt;
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 600).await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&upload(&log, 0, 600, b"", 0)).unwrap();
    gzip.write_all(&vec![0xff; 256 * (2 + 65_535) - 1]).unwrap();
    gzip.flush().unwrap();
    let bomb = gzip.get_ref().clone();
    assert!(bomb.len() < 20_000);
    let head = format!(
        "POST /add-entries HTTP/1.1\r\nHost: m\r\n{ENTRIES}Content-Encoding: gzip\r\nContent-Length: 9999999\r\n\r\n"
    );
    let mut stalled = Vec::new();
    for _ in 0..18 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut stream = socket.connect(door.address).await.unwrap();
        stream.write_all(&[head.as_bytes(), &bomb].concat()).await.unwrap();
        stalled.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    door.pend(&log, 600, 700).await;
    door.mirrored(&log, 0, 700).await;
    drop(stalled);
    door.close().await;
}

/// All packages had come and were kept, and the connection broke before the end of gzip's: it was 400, and nothing was
/// signed though everything was there.
#[tokio::test]
async fn an_upload_whose_packages_are_all_there_is_finished_whatever_becomes_of_its_end() {
    use std::io::Write;
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 600).await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&upload(&log, 0, 600, b"", 9)).unwrap();
    let whole = gzip.finish().unwrap();
    let headers = format!("Content-Encoding: gzip\r\n{ENTRIES}");
    let reply = door.ask("POST", "/add-entries", &headers, &whole[..whole.len() - 3]).await.expect(200);
    verify(&log, 600, &reply.body);
    door.close().await;
}
