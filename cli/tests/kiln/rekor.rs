//! A log that speaks Rekor's API, as Sigstore's clients see it. What these clients themselves make of it
//! `interop/sigstore` shows.

use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::world::{Reply, Server, World, free_address, request, testdata};

const ENTRIES: &str = "/api/v2/log/entries";

fn serve(world: &World, options: &[&str]) -> Server {
    world.serve(&[&["log", "--rekor", "--origin", "127.0.0.1"], options].concat())
}

/// What is sent, and what rekor-tiles answered, line by line.
fn recorded(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(testdata("rekor").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn example(name: &str) -> Vec<u8> {
    std::fs::read(testdata("rekor").join(format!("{name}.request.json"))).unwrap()
}

fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

fn body_of(entry: &Value) -> String {
    let body = Base64::decode_vec(entry["canonicalizedBody"].as_str().unwrap()).unwrap();
    String::from_utf8(body).unwrap()
}

/// Each request that rekor-tiles was sent, and what it answered: the same status, code and message, and the same
/// canonical body byte for byte. Where Kiln decides otherwise the recording says so, and why. The words of its JSON
/// parser are its own.
#[test]
fn requests_are_answered_as_rekor_tiles_answers_them() {
    let world = World::new();
    let server = serve(&world, &["--interval", "10ms"]);
    for exchange in recorded("entries.jsonl") {
        let (name, decided) = (&exchange["name"], &exchange["kiln"]);
        let expected = |key: &str| if decided[key].is_null() { &exchange[key] } else { &decided[key] };
        let request = match exchange["request"].as_str().unwrap() {
            "<4194305 spaces>" => vec![b' '; (4 << 20) + 1],
            text => text.as_bytes().to_vec(),
        };
        let method = exchange["method"].as_str().unwrap();
        let reply = server.request(method, exchange["path"].as_str().unwrap(), &[], &request);
        assert_eq!(u64::from(reply.status), expected("status").as_u64().unwrap(), "{name}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/json", "{name}");
        let answer = json(&reply);
        if reply.status == 201 {
            assert_eq!(body_of(&answer), exchange["body"].as_str().unwrap(), "{name}");
            continue;
        }
        assert_eq!(&answer["code"], expected("code"), "{name}");
        assert!(answer["details"].is_array(), "{name}");
        let words_of_a_parser =
            |message: &str| ["proto:", "unexpected EOF"].iter().any(|start| message.starts_with(start));
        if let Some(message) =
            exchange["message"].as_str().filter(|message| decided.is_null() && !words_of_a_parser(message))
        {
            assert_eq!(answer["message"], message, "{name}");
        }
    }
}

#[test]
fn envelopes_are_taken_where_they_are_asked_for() {
    let world = World::new();
    let server = serve(&world, &["--interval", "10ms", "--accept-dsse"]);
    for exchange in recorded("envelopes.jsonl") {
        let name = &exchange["name"];
        let reply = server.post(ENTRIES, exchange["request"].as_str().unwrap().as_bytes());
        assert_eq!(u64::from(reply.status), exchange["status"].as_u64().unwrap(), "{name}: {}", reply.text());
        if reply.status == 201 {
            assert_eq!(body_of(&json(&reply)), exchange["body"].as_str().unwrap(), "{name}");
        } else {
            assert_eq!(json(&reply)["message"], exchange["message"], "{name}");
        }
    }
}

/// A build that runs twice signs the same bytes twice; with RSA the entries are equal. rekor-tiles answers
/// the second one 409, and no client can do anything with that.
#[test]
fn an_entry_that_is_there_is_answered_like_a_new_one() {
    let world = World::new();
    let server = serve(&world, &[]);
    let first = server.post(ENTRIES, &example("ed25519ph-key")).expect(201);
    assert_eq!(first.header("x-log-index"), "");
    server.post(ENTRIES, &example("p256-key")).expect(201);
    let again = server.post(ENTRIES, &example("ed25519ph-key")).expect(201);
    assert_eq!(again.header("x-log-index"), "0");
    let (first, again) = (json(&first), json(&again));
    assert_eq!(first["canonicalizedBody"], again["canonicalizedBody"]);
    assert_eq!([&again["logIndex"], &again["inclusionProof"]["treeSize"]], ["0", "2"], "a fresh proof");
    assert_eq!(server.stop(), Some(0));

    let server = serve(&world, &["--on-duplicate", "conflict"]);
    let reply = server.post(ENTRIES, &example("ed25519ph-key")).expect(409);
    assert_eq!(reply.header("x-log-index"), "0");
    let message = "an equivalent entry already exists in the transparency log with index 0";
    assert_eq!(json(&reply), json!({ "code": 6, "message": message, "details": [] }));
}

/// "invalid hashedrekord request" is all that rekor-tiles says, and people read the source to find out.
#[test]
fn an_error_says_what_was_wrong() {
    let world = World::new();
    let server = serve(&world, &[]);
    let wrong = String::from_utf8(example("p256-key")).unwrap().replace("P256_SHA_256", "P384_SHA_384");
    let reply = json(&server.post(ENTRIES, wrong.as_bytes()).expect(400));
    assert_eq!(reply["message"], "invalid hashedrekord request");
    let detail = &reply["details"][0];
    assert_eq!(detail["@type"], "type.googleapis.com/google.rpc.LocalizedMessage");
    assert!(detail["message"].as_str().unwrap().contains("P-256"), "{detail}");
    assert_eq!(server.stop(), Some(0));

    let server = serve(&world, &["--strict-compat"]);
    let reply = json(&server.post(ENTRIES, wrong.as_bytes()).expect(400));
    assert_eq!(reply, json!({ "code": 3, "message": "invalid hashedrekord request", "details": [] }));
}

/// The log stays what its readers take it for: what is no entry of Rekor's does not get in by another door.
#[test]
fn nothing_but_entries_of_rekor_gets_in() {
    let world = World::new();
    let server = serve(&world, &[]);
    for path in ["/add", "/add-batch"] {
        assert!(server.post(path, b"\x00\x01a").expect(403).text().contains(ENTRIES));
    }
    assert_eq!(server.get("/checkpoint").expect(200).text().lines().nth(1), Some("0"));
    assert_eq!(server.get("/api/v2/checkpoint").expect(200).body, server.get("/checkpoint").body);
    server.post(ENTRIES, &example("p256-certificate")).expect(201);
    for path in ["/tile/0/000.p/1", "/tile/entries/000.p/1"] {
        let below = server.get(&format!("/api/v2{path}")).expect(200);
        assert_eq!(below.body, server.get(path).expect(200).body);
        assert!(below.header("cache-control").contains("immutable"));
    }
    for path in
        ["/api/v2/log.json", "/api/v2/private/head/0", "/api/v2/add", "/api/v2/", "/api/v2/tile/../log.json"]
    {
        server.get(path).expect(404);
    }
}

/// Bodies that are large, deep or full of absurd keys: a clear no, and quickly.
#[test]
fn hostile_requests_are_refused_quickly() {
    let world = World::new();
    let server = serve(&world, &[]);
    let key = |der: &[u8], details: &str| {
        let (content, raw) = (Base64::encode_string(&[1; 64]), Base64::encode_string(der));
        let verifier = json!({ "publicKey": { "rawBytes": raw }, "keyDetails": details });
        let signature = json!({ "content": content, "verifier": verifier });
        let digest = Base64::encode_string(&[1; 32]);
        json!({ "hashedRekordRequestV002": { "digest": digest, "signature": signature } }).to_string()
    };
    let mut rsa_16384 = hex("30820822300d06092a864886f70d01010105000382080f003082080a0282080100");
    rsa_16384.extend([vec![0xff; 2048], hex("0203010001")].concat());
    let off_curve = [&hex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")[..], &[7; 64]].concat();
    let requests = [
        key(&rsa_16384, "PKIX_RSA_PKCS1V15_4096_SHA256"),
        key(&off_curve, "PKIX_ECDSA_P256_SHA_256"),
        key(&vec![0x30; 60_000], "PKIX_ECDSA_P256_SHA_256"),
        "[".repeat(1 << 20),
        format!("{{\"hashedRekordRequestV002\":{}", "{\"signature\":".repeat(100_000)),
        format!("{{\"hashedRekordRequestV002\":{{\"digest\":\"{}\"}}}}", "A".repeat(3 << 20)),
    ];
    for request in requests {
        let started = Instant::now();
        let reply = server.post(ENTRIES, request.as_bytes()).expect(400);
        assert_eq!(json(&reply)["code"], 3);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}: {}", started.elapsed(), &request[..60]);
    }
    let too_large = server.post(ENTRIES, &vec![b' '; (4 << 20) + 1]).expect(400);
    assert_eq!(json(&too_large)["message"], "http: request body too large");
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

#[test]
fn a_log_that_is_only_read_takes_nothing() {
    let world = World::new();
    let server = serve(&world, &[]);
    server.post(ENTRIES, &example("p256-key")).expect(201);
    assert_eq!(server.stop(), Some(0));
    let server = serve(&world, &["--read-only"]);
    let frozen = "This log has been frozen, please switch to the latest log.\n";
    for request in [&example("ed25519ph-key")[..], b"", b"{"] {
        assert_eq!(server.post(ENTRIES, request).expect(405).text(), frozen);
    }
    server.post("/add", b"entry").expect(410);
    assert_eq!(server.get("/api/v2/checkpoint").expect(200).text().lines().nth(1), Some("1"));
    server.get("/readyz").expect(200);
}

/// An origin with a path is none that cosign could verify, and it is for ever: said before there is a log.
#[test]
fn the_origin_is_the_host_of_the_url() {
    let world = World::new();
    let refused = |options: &[&str], words: &[&str]| {
        world
            .kiln(&[&["serve", "log", "--rekor", "--listen", "127.0.0.1:0"], options].concat())
            .fails(2, words);
        assert!(!world.path("log/private/key").exists());
    };
    refused(&["--origin", "rekor.example/2026"], &["rekor.example/2026", "bare host name"]);
    refused(&["--origin", "rekor.example:8080"], &["without port"]);
    refused(
        &["--origin", "rekor.example", "--url", "https://example.com"],
        &["rekor.example", "example.com"],
    );
    let server = world.serve(&["named", "--rekor", "--origin", "rekor.example"]);
    assert!(
        server.printed.contains("trust-config ") && server.printed.contains("--url https://rekor.example ")
    );
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&["log", "--rekor", "--url", "https://rekor.example:8443"]);
    assert_eq!(server.field("origin"), "rekor.example");
}

/// What Sigstore's clients are given is made of what the log says of itself.
#[test]
fn the_files_for_clients_are_written() {
    let world = World::new();
    let server = serve(&world, &[]);
    // It told everybody to use `kiln add`, which a Rekor log refuses.
    assert!(server.printed.contains("kiln rekor trust-config") && !server.printed.contains("kiln add"));
    let config = ["rekor", "trust-config", "log", "--url", &server.url, "--out", "trust"];
    let written = world.kiln(&config).ok().text();
    assert_eq!(written.lines().count(), 3, "{written}");
    let entry = json(&server.post(ENTRIES, &example("p256-key")).expect(201));
    let read = |name: &str| serde_json::from_slice::<Value>(&world.read(&format!("trust/{name}"))).unwrap();
    let (root, signing) = (read("trusted_root.json"), read("signing_config.json"));
    assert_eq!(root["tlogs"][0]["logId"], entry["logId"]);
    assert_eq!(root["tlogs"][0]["baseUrl"], server.url);
    assert_eq!(signing["rekorTlogUrls"][0]["majorApiVersion"], 2);
    assert_eq!(read("client_trust_config.json")["trustedRoot"], root);
    let elsewhere = ["rekor", "trust-config", "log", "--url", "https://rekor.example", "--out", "trust"];
    world.kiln(&elsewhere).fails(2, &["127.0.0.1", "https://rekor.example"]);
}

/// Whoever watches a Rekor knows these names.
#[test]
fn what_is_counted_has_the_names_of_rekor() {
    let world = World::new();
    let admin = free_address();
    let server = serve(&world, &["--admin-listen", &admin]);
    server.post(ENTRIES, &example("p256-key")).expect(201);
    server.post(ENTRIES, &example("p256-key")).expect(201);
    server.post(ENTRIES, b"{}").expect(400);
    let metrics = request(&format!("http://{admin}"), "GET", "/metrics", &[], b"").expect(200).text();
    for line in [
        "rekor_v2_new_hashedrekord_entries_total 1",
        "rekor_v2_duplicate_entries_total 1",
        "rekor_v2_http_requests_total{code=\"201\",method=\"post\"} 2",
        "rekor_v2_http_requests_total{code=\"400\",method=\"post\"} 1",
        "rekor_v2_check_seconds_count 3",
        "kiln_tree_size 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
}

/// A standby that relays submissions relays these too, and hands back what the writer said of it.
#[test]
fn a_standby_hands_requests_on() {
    let world = World::new();
    let server = serve(&world, &[]);
    server.post(ENTRIES, &example("p256-key")).expect(201);
    let standby = serve(&world, &["--standby", "--forward"]);
    let reply = standby.post(ENTRIES, &example("p256-key")).expect(201);
    assert_eq!(reply.header("x-log-index"), "0");
    assert_eq!(json(&reply)["logIndex"], "0");
}
