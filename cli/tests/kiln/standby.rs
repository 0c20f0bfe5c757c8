//! Several processes serve one log: one writes, the others stand by.

use std::time::{Duration, Instant};

use crate::world::World;

const STANDBY: [&str; 2] = ["log", "--standby"];

#[test]
fn a_standby_serves_reads_refuses_submissions_and_takes_over() {
    let world = World::new();
    let writer = world.serve(&STANDBY);
    let standby = world.serve(&STANDBY);
    assert_eq!(writer.post("/add", b"first").expect(200).text(), "0");
    let refused = standby.post("/add", b"second").expect(503);
    assert!(refused.text().contains("standing by"), "{}", refused.text());
    assert!(!refused.header("retry-after").is_empty());
    standby.get("/readyz").expect(503);
    standby.get("/healthz").expect(200);
    let since = Instant::now();
    while !standby.get("/checkpoint").expect(200).text().contains("\n1\n") {
        assert!(since.elapsed() < Duration::from_secs(10), "it does not follow");
        std::thread::sleep(Duration::from_millis(50));
    }
    standby.get("/tile/0/000.p/1").expect(200);
    standby.get("/tile/0/000.p/2").expect(404);
    world.kiln(&["fsck", &standby.url, "--vkey", writer.field("vkey")]).ok();

    writer.kill();
    let since = Instant::now();
    while standby.get("/readyz").status != 200 {
        assert!(since.elapsed() < Duration::from_secs(5), "it does not take over");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(standby.post("/add", b"first").expect(200).text(), "0");
    assert_eq!(standby.post("/add", b"second").expect(200).text(), "1");
    assert_eq!(standby.stop(), Some(0));
    world.kiln(&["fsck", "log"]).ok();
}

#[test]
fn a_standby_hands_submissions_on_to_the_writer_if_it_is_told_to() {
    let world = World::new();
    let writer = world.serve(&STANDBY);
    let standby = world.serve(&["log", "--standby", "--forward"]);
    standby.get("/readyz").expect(200);
    assert_eq!(standby.post("/add", b"first").expect(200).text(), "0");
    assert_eq!(writer.post("/add", b"first").expect(200).text(), "0");
    let proof = standby.request("POST", "/add", &[("Accept", "text/x.tlog-proof")], b"second").expect(200);
    assert!(proof.text().starts_with("c2sp.org/tlog-proof@v1"), "{}", proof.text());
    assert_eq!(proof.header("content-type"), "text/x.tlog-proof");
    standby.post("/add", b"").expect(400);
    // What was handed on is not handed on again.
    standby.request("POST", "/add", &[("Kiln-Relayed", "1")], b"third").expect(503);
    writer.kill();
    let answer = standby.post("/add", b"third");
    assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
    world.kiln(&["serve", "log", "--listen", "127.0.0.1:0", "--forward"]).fails(2, &["--standby"]);
}
