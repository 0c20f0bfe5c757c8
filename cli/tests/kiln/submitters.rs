//! Who may submit, and how much: tokens, rates, and clients behind proxies.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::world::{Server, World, free_address, request};

/// A new token of this name: itself, and the line for the file.
fn new_token(world: &World, name: &str) -> (String, String) {
    let made = world.kiln(&["token", "new", "--name", name]).ok().text();
    let lines: Vec<_> = made.lines().map(str::to_owned).collect();
    let [token, line] = lines.try_into().unwrap();
    (token, line)
}

fn add(server: &Server, token: Option<&str>, entry: &str) -> u16 {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    server.request("POST", "/add?wait=sequenced", &headers, entry.as_bytes()).status
}

/// Until it is so: files are read again a moment after the signal.
fn soon(what: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_log_with_tokens_takes_entries_of_those_who_have_one_and_is_read_by_all() {
    let world = World::new();
    let (token, line) = new_token(&world, "ci");
    assert!(
        !line.contains(&token) && line.starts_with("ci ") && token.starts_with("kiln_"),
        "{token} {line}"
    );
    world.write("tokens", format!("# who may submit\n{line}\n"));
    let server = world.serve(&["log", "--tokens", "tokens"]);
    let refused = server.post("/add", b"an entry").expect(401);
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    assert!(refused.text().contains("Authorization: Bearer TOKEN"), "{}", refused.text());
    server.post("/add-batch", b"\x00\x01a").expect(401);
    server.get("/checkpoint").expect(200);
    assert_eq!(add(&server, Some("kiln_of-somebody-else-0123456789"), "an entry"), 401);
    assert_eq!(add(&server, Some(&token), "an entry"), 200);
    world.write("mine", &token);
    let vkey = world.vkey("log");
    let sent = ["add", &server.url, "--vkey", &vkey, "input"];
    world.write("input", "another entry");
    world.kiln(&sent).fails(3, &["bearer token"]);
    world.kiln(&[&sent[..], &["--token-file", "mine"]].concat()).ok();
}

/// A token that leaked had to wait for a restart of the log.
#[test]
fn tokens_are_read_again_at_sighup_and_a_bad_file_changes_nothing() {
    let world = World::new();
    let ((old, old_line), (new, new_line)) = (new_token(&world, "old"), new_token(&world, "new"));
    world.write("tokens", &old_line);
    let server = world.serve(&["log", "--tokens", "tokens"]);
    assert_eq!((add(&server, Some(&old), "a"), add(&server, Some(&new), "b")), (200, 401));
    world.write("tokens", format!("{new} is no hash\n"));
    server.signal(Signal::HUP);
    assert!(soon(|| server.stderr().contains("the tokens stay as they were")), "{}", server.stderr());
    assert!(server.stderr().contains("tokens: line 1: "), "{}", server.stderr());
    assert_eq!(add(&server, Some(&old), "c"), 200);
    world.write("tokens", &new_line);
    server.signal(Signal::HUP);
    assert!(soon(|| add(&server, Some(&new), "d") == 200));
    assert_eq!(add(&server, Some(&old), "e"), 401, "it was taken away");
    let (code, said) = server.stop_and_tell();
    assert_eq!(code, Some(0));
    assert!(![old, new].iter().any(|token| said.contains(&token[..12])), "a token was told: {said}");
}

#[test]
fn a_file_of_tokens_with_a_slip_stops_the_start_and_names_the_line() {
    let world = World::new();
    let (token, _) = new_token(&world, "ci");
    world.write("tokens", format!("ci {token}\n"));
    let failed =
        world.kiln(&["serve", "log", "--tokens", "tokens"]).fails(2, &["tokens: line 1: ", "SHA-256"]);
    assert!(!failed.stderr.contains(&token), "{}", failed.stderr);
    assert!(!world.path("log").exists(), "nothing was made");
    world.kiln(&["serve", "log", "--tokens", "none"]).fails(3, &["none"]);
    world.kiln(&["token", "new", "--name", "a b"]).fails(2, &["letters"]);
}

#[test]
fn who_sends_too_much_is_told_when_to_come_back() {
    let world = World::new();
    let admin = free_address();
    let server = world.serve(&["log", "--client-rate-limit", "1/min:2", "--admin-listen", &admin]);
    assert_eq!([1, 2, 3].map(|n| add(&server, None, &n.to_string())), [200, 200, 429]);
    let refused = server.post("/add", b"more").expect(429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(refused.text().starts_with("you may send 1/min:2 "), "{}", refused.text());
    server.get("/checkpoint").expect(200);
    let metrics = request(&format!("http://{admin}"), "GET", "/metrics", &[], b"").text();
    assert!(metrics.contains("kiln_submissions_turned_away_total{reason=\"rate\"} 2\n"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n") && metrics.matches("# EOF").count() == 1);
    let usage =
        world.kiln(&["serve", "other", "--rate-limit", "fast"]).fails(2, &["not a rate such as 100/s"]);
    assert!(usage.stdout.is_empty());
}

/// All clients behind a proxy were one, and the first that sent too much silenced the rest. Whoever is no proxy does not
/// choose whom they are taken for.
#[test]
fn clients_behind_a_trusted_proxy_have_limits_of_their_own() {
    let world = World::new();
    let from = |server: &Server, address: &str, entry: &str| {
        let headers = [("X-Forwarded-For", address)];
        server.request("POST", "/add?wait=sequenced", &headers, entry.as_bytes()).status
    };
    let limit = ["--client-rate-limit", "1/h"];
    let server = world.serve(&[&["log", "--trusted-proxies", "127.0.0.0/8,::1"], &limit[..]].concat());
    assert_eq!([from(&server, "192.0.2.7", "a"), from(&server, "6.6.6.6, 192.0.2.7", "b")], [200, 429]);
    assert_eq!([from(&server, "192.0.2.8", "c"), from(&server, "nonsense", "d")], [200, 200]);
    assert_eq!(from(&server, "more nonsense", "e"), 429, "that one is the proxy itself");
    assert_eq!(server.stop(), Some(0));
    let server = world.serve(&[&["log"], &limit[..]].concat());
    assert_eq!([from(&server, "192.0.2.9", "f"), from(&server, "192.0.2.10", "g")], [200, 429]);
}

/// Rekor's API has a way of its own to a log, and tokens and rates stood beside it.
#[test]
fn rekors_api_asks_for_tokens_too_and_says_so_in_its_own_words() {
    let world = World::new();
    let (token, line) = new_token(&world, "ci");
    world.write("tokens", line);
    let rekor = ["--rekor", "--origin", "rekor.example.com", "--tokens", "tokens", "--rate-limit", "1/h"];
    let server = world.serve(&[&["log"], &rekor[..]].concat());
    let path = "/api/v2/log/entries";
    let refused = server.post(path, b"{}").expect(401);
    assert!(refused.text().contains(r#""code":16"#), "{}", refused.text());
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    let bearer = format!("Bearer {token}");
    let with = [("Authorization", bearer.as_str())];
    server.request("POST", path, &with, b"{}").expect(400);
    let refused = server.request("POST", path, &with, b"{}").expect(429);
    assert!(
        refused.text().contains(r#""code":8"#) && refused.header("retry-after") == "3600",
        "{}",
        refused.text()
    );
    server.get("/api/v2/checkpoint").expect(200);
}
