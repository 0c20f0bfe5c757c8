//! What strangers get over HTTP: bad input, conditional requests, and which port answers what.

use crate::world::{Server, World, free_address, request};

fn tree_size(server: &Server) -> String {
    server.get("/checkpoint").expect(200).text().lines().nth(1).unwrap().to_owned()
}

#[test]
fn bad_input_is_refused_with_a_sentence_and_nothing_is_logged() {
    let world = World::new();
    let server = world.serve(&["log"]);
    let post = |path: &str, body: &[u8]| server.post(path, body);
    assert!(post("/add", b"").expect(400).text().contains("at least one byte"));
    post("/add", &[0; 65_536]).expect(413);
    assert_eq!(server.get("/add").expect(405).header("allow"), "POST");
    assert_eq!(server.get("/add-batch").expect(405).header("allow"), "POST");
    post("/add?wait=never", b"entry").expect(400);
    let batches: [&[u8]; 5] = [b"", b"\x00", b"\x00\x02a", b"\x00\x01a\x00", b"\x00\x01a\x00\x00"];
    for batch in batches {
        post("/add-batch", batch).expect(400);
    }
    post("/add-batch", &b"\x00\x01a".repeat(4097)).expect(413);
    post("/add-batch", &vec![0; (4 << 20) + 1]).expect(413);
    let proof = ("Accept", "text/x.tlog-proof");
    server.request("POST", "/add-batch", &[proof], b"\x00\x01a").expect(400);
    server.request("POST", "/add?wait=sequenced", &[proof], b"a").expect(400);
    for path in [
        "/tile/0/../../private/key",
        "/private/key",
        "/../private/key",
        "/%2e%2e/private/key",
        "/tile/0/0",
        "/tile/00/000",
        "/tile/0/000.p/256",
        "/tile/0/000",
        "//checkpoint",
        "/checkpoint/",
        "/private/head/0",
    ] {
        server.get(path).expect(404);
    }
    assert_eq!(server.request("DELETE", "/checkpoint", &[], b"").expect(405).header("allow"), "GET, HEAD");
    assert_eq!(tree_size(&server), "0");
    assert_eq!(post("/add-batch", b"\x00\x01a\x00\x01b\x00\x01a").expect(200).text(), "0\n1\n0\n");
    let proof = server.request("POST", "/add", &[proof], b"c").expect(200);
    assert!(proof.text().starts_with("c2sp.org/tlog-proof@v1\nindex 2\n"), "{}", proof.text());
    assert_eq!(tree_size(&server), "3");
}

/// A batch took entries that were longer than --max-entry-bytes: only those that came alone were measured.
#[test]
fn no_entry_is_longer_than_the_log_says_alone_or_in_a_batch() {
    let world = World::new();
    let server = world.serve(&["log", "--max-entry-bytes", "3"]);
    server.post("/add", b"1234").expect(413);
    let refused = server.post("/add-batch", b"\x00\x03123\x00\x041234").expect(413);
    assert!(refused.text().contains("entry 1 of the batch is longer than 3 bytes"), "{}", refused.text());
    assert_eq!(server.post("/add-batch", b"\x00\x03123").expect(200).text().trim_end(), "0");
    world.write("large", "1234");
    world.kiln(&["add", &server.url, "large", "--vkey", server.field("vkey")]).fails(3, &["longer"]);
}

#[test]
fn a_full_pool_answers_503_and_when_to_come_back() {
    let world = World::new();
    let server = world.serve(&["log", "--interval", "500ms", "--pool-entries", "2"]);
    server.post("/add", b"first").expect(200); // the next round is half a second away
    std::thread::scope(|scope| {
        let waiting = [&b"a"[..], b"b"].map(|entry| scope.spawn(|| server.post("/add", entry).status));
        std::thread::sleep(std::time::Duration::from_millis(150));
        let refused = server.post("/add", b"c").expect(503);
        assert!(!refused.header("retry-after").is_empty() && refused.text().contains("try again"));
        for one in waiting {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
    server.post("/add", b"c").expect(200);
}

/// What strangers could make the process hold was bounded by how many of them came.
#[test]
fn bodies_and_bundles_above_what_the_flags_say_are_503() {
    let world = World::new();
    let server = world.serve(&["log", "--body-bytes", "10", "--answer-bytes", "1"]);
    let refused = server.post("/add", b"eleven bytes").expect(503);
    assert!(!refused.header("retry-after").is_empty() && refused.text().contains("in a moment"));
    server.post("/add", b"ten bytes.").expect(200);
    // One bundle is sent whatever the flag says.
    server.get("/tile/entries/000.p/1").expect(200);
}

#[test]
fn reads_are_cacheable_conditional_and_in_parts() {
    let world = World::new();
    let server = world.serve(&["log"]);
    server.post("/add", b"entry").expect(200);
    let head = |path: &str| server.request("HEAD", path, &[], b"");
    for (path, kind, cache) in [
        ("/checkpoint", "text/plain; charset=utf-8", "no-cache"),
        ("/tile/0/000.p/1", "application/octet-stream", "immutable"),
        ("/tile/entries/000.p/1", "application/octet-stream", "immutable"),
        ("/log.json", "application/json", "max-age"),
    ] {
        let whole = server.get(path).expect(200);
        assert_eq!(whole.header("content-type"), kind, "{path}");
        assert!(whole.header("cache-control").contains(cache), "{path}: {}", whole.header("cache-control"));
        assert_eq!(whole.header("access-control-allow-origin"), "*", "{path}");
        let bare = head(path).expect(200);
        assert_eq!(
            (bare.body.len(), bare.header("content-length")),
            (0, whole.header("content-length")),
            "{path}"
        );
        let etag = whole.header("etag").to_owned();
        assert!(etag.starts_with('"'), "{path}: {etag}");
        let unchanged = server.request("GET", path, &[("If-None-Match", &etag)], b"").expect(304);
        assert!(unchanged.body.is_empty(), "{path}");
        server.request("GET", path, &[("If-None-Match", "\"other\"")], b"").expect(200);
        let part = server.request("GET", path, &[("Range", "bytes=1-3")], b"").expect(206);
        assert_eq!(part.body, whole.body[1..4], "{path}");
        server.request("GET", path, &[("Range", "bytes=100000-")], b"").expect(416);
    }
    let etag = server.get("/checkpoint").header("etag").to_owned();
    server.post("/add", b"another").expect(200);
    server.request("GET", "/checkpoint", &[("If-None-Match", &etag)], b"").expect(200);
}

#[test]
fn each_port_answers_what_it_is_for() {
    let world = World::new();
    let server = world.serve(&["log"]);
    assert_eq!(server.get("/healthz").expect(200).text(), "ok\n");
    assert_eq!(server.get("/readyz").expect(200).text(), "ready\n");
    server.get("/metrics").expect(404);
    assert_eq!(server.stop(), Some(0));

    let admin = free_address();
    let server = world.serve(&["log", "--read-listen", "127.0.0.1:0", "--admin-listen", &admin]);
    let (reads, admin) = (server.field("read-url").to_owned(), format!("http://{admin}"));
    assert_eq!(server.post("/add", b"entry").expect(200).text(), "0");
    request(&reads, "POST", "/add", &[], b"entry").expect(404);
    request(&reads, "GET", "/checkpoint", &[], b"").expect(200);
    assert!(server.get("/checkpoint").expect(404).text().contains(&reads));
    for url in [&server.url, &reads, &admin] {
        request(url, "GET", "/healthz", &[], b"").expect(200);
        request(url, "GET", "/readyz", &[], b"").expect(200);
    }
    let metrics = request(&admin, "GET", "/metrics", &[], b"").expect(200).text();
    assert!(metrics.contains("kiln_tree_size 1\n") && metrics.ends_with("# EOF\n"), "{metrics}");
    request(&admin, "GET", "/checkpoint", &[], b"").expect(404);
    request(&admin, "POST", "/add", &[], b"entry").expect(404);
    // Who adds at one port reads the proof at the other.
    let vkey = world.vkey("log");
    world.write("entry", "entry");
    world.kiln(&["add", &server.url, "entry", "--proofs", ".", "--vkey", &vkey]).ok();
    world.kiln(&["verify", "entry.tlog-proof", "--entry", "entry", "--vkey", &vkey]).ok();
}
