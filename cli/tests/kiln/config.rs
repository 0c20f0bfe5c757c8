//! `kiln serve --config`: several logs in one process, of which one may fail, change, come and go.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::world::{Server, World, free_address, request};

/// A configuration of logs in folders, each below its name, with what else is said of it.
fn config(address: &str, logs: &[(&str, &str)]) -> String {
    let tables = logs.iter().map(|(name, more)| {
        format!("[[log]]\nname = \"{name}\"\nstore = \"{name}\"\npath = \"/{name}\"\ninterval = \"20ms\"\n{more}\n")
    });
    format!("listen = \"{address}\"\n{}", tables.collect::<String>())
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn add(server: &Server, log: &str, entry: &str) -> String {
    server.post(&format!("/{log}/add"), entry.as_bytes()).expect(200).text().trim_end().to_owned()
}

#[test]
fn an_example_is_right_and_a_mistake_is_told_with_its_place() {
    let world = World::new();
    let example = world.kiln(&["config", "example"]).ok();
    world.write("kiln.toml", &example.stdout);
    let told = world.kiln(&["config", "check", "kiln.toml"]).ok().text();
    assert!(
        told.contains("releases: /var/lib/kiln/releases at /, its origin example.com/releases"),
        "{told}"
    );
    world.write(
        "kiln.toml",
        example.text().replace("name = \"releases\"", "nam = \"releases\"\ninterval = \"never\""),
    );
    world.kiln(&["config", "check", "kiln.toml"]).fails(2, &["kiln.toml:", "this log has no name"]);
    world.write("kiln.toml", "[[log]]\nname = \"a\"\nstore = \"a\"\npolicy = \"none\"\nkey = \"nowhere\"\n");
    world
        .kiln(&["config", "check", "kiln.toml"])
        .fails(2, &["kiln.toml:4:1: policy: none:", "kiln.toml:5:1: key: nowhere:"]);
    world.kiln(&["config", "check", "missing.toml"]).fails(3, &["missing.toml"]);
    world.kiln(&["serve", "--config", "kiln.toml", "--interval", "1s"]).fails(2, &["cannot be used with"]);
    world.kiln(&["serve"]).fails(2, &["<STORE>"]);
}

#[test]
fn several_logs_answer_each_below_its_path() {
    let world = World::new();
    let (address, admin) = (free_address(), free_address());
    let text = format!(
        "admin-listen = \"{admin}\"\n{}",
        config(&address, &[("a", ""), ("b", "read-only = true"), ("c", "")])
    );
    world.write("kiln.toml", text);
    let server = world.serve_config("kiln.toml", &address);
    let lines: Vec<_> = server.printed.lines().filter(|line| line.starts_with("log  ")).collect();
    assert_eq!(lines.len(), 3, "{}", server.printed);
    assert_eq!(
        (add(&server, "a", "one"), add(&server, "a", "two"), add(&server, "c", "one")),
        ("0".into(), "1".into(), "0".into())
    );
    server.post("/b/add", b"one").expect(410);
    server.post("/add", b"one").expect(404);
    server.post("/ab/add", b"one").expect(404);
    assert!(server.get("/").expect(200).text().contains("/a/"));
    for (log, size) in [("a", 2), ("c", 1)] {
        let vkey = world.vkey(log);
        let url = format!("{}/{log}", server.url);
        assert_eq!(world.kiln(&["--json", "info", &url, "--vkey", &vkey]).ok().json()["size"], size);
        world.kiln(&["fsck", &url, "--vkey", &vkey]).ok();
        let description = server.get(&format!("/{log}/log.json")).expect(200).text();
        assert!(description.contains(&url), "{description}");
    }
    let metrics = request(&format!("http://{admin}"), "GET", "/metrics", &[], b"").expect(200).text();
    assert!(
        metrics.contains("kiln_entries_total{log=\"a\"} 2")
            && metrics.contains("kiln_entries_total{log=\"c\"} 1"),
        "{metrics}"
    );
    assert_eq!(metrics.matches("# TYPE kiln_entries counter").count(), 1, "{metrics}");
    server.get("/readyz").expect(200);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn logs_at_one_path_are_told_apart_by_their_hosts() {
    let world = World::new();
    let address = free_address();
    let log = |name: &str| {
        format!(
            "[[log]]\nname = \"{name}\"\nstore = \"{name}\"\nurl = \"https://{name}.example.com\"\ninterval = \"20ms\"\n"
        )
    };
    world.write("kiln.toml", format!("listen = \"{address}\"\n{}{}", log("a"), log("b")));
    let server = world.serve_config("kiln.toml", &address);
    let ask = |host: &str| server.request("GET", "/log.json", &[("Host", host)], b"");
    assert!(ask("a.example.com").expect(200).text().contains("https://a.example.com"));
    assert!(ask("B.example.com:443").expect(200).text().contains("https://b.example.com"));
    ask("c.example.com").expect(404);
    server.get("/readyz").expect(200);
}

/// A process with two logs ended when the store of one could not be opened, and took the other with it.
#[test]
fn the_fault_of_one_log_leaves_the_others_alone() {
    let world = World::new();
    let address = free_address();
    world.write("broken", "a file, and no folder");
    world.write("kiln.toml", config(&address, &[("good", ""), ("broken", "")]));
    let server = world.serve_config("kiln.toml", &address);
    assert_eq!(add(&server, "good", "entry"), "0");
    let refused = server.post("/broken/add", b"entry").expect(503);
    assert!(!refused.header("retry-after").is_empty() && refused.text().contains("out of order"));
    server.get("/readyz").expect(200);
    assert!(server.stderr().contains("the others go on"), "{}", server.stderr());
    world.remove("broken");
    eventually("it is tried again", || server.post("/broken/add", b"entry").status == 200);
    assert_eq!(add(&server, "good", "entry"), "0");
    assert_eq!(server.stop(), Some(0));
}

/// What had told that a store went back was away at the next try, and the log would have gone on with a fork.
#[test]
fn a_log_that_is_bad_is_not_tried_again_until_somebody_says_so() {
    let world = World::new();
    let (address, admin) = (free_address(), free_address());
    let text = format!("admin-listen = \"{admin}\"\n{}", config(&address, &[("good", ""), ("bad", "")]));
    world.write("kiln.toml", text);
    let server = world.serve_config("kiln.toml", &address);
    assert_eq!(add(&server, "bad", "first"), "0");
    assert_eq!(server.stop(), Some(0));
    world.copy("bad", "older");
    let server = world.serve_config("kiln.toml", &address);
    assert_eq!(add(&server, "bad", "second"), "1");
    assert_eq!(server.stop(), Some(0));
    world.copy("bad", "newer");
    let restore = |name: &str| {
        world.remove("bad");
        world.copy(name, "bad");
    };
    restore("older");
    let server = world.serve_config("kiln.toml", &address);
    assert_eq!(add(&server, "good", "entry"), "0");
    assert!(server.stderr().contains("the log is bad, and is not served until it is started again"));
    let metrics = request(&format!("http://{admin}"), "GET", "/metrics", &[], b"").expect(200).text();
    assert!(
        metrics.contains("kiln_ready{log=\"bad\"} 0") && metrics.contains("kiln_ready{log=\"good\"} 1"),
        "{metrics}"
    );
    restore("newer");
    std::thread::sleep(Duration::from_millis(1500));
    server.post("/bad/add", b"second").expect(503);
    server.signal(Signal::HUP);
    eventually("it is started again", || server.post("/bad/add", b"second").status == 200);
    assert_eq!(server.stop(), Some(0));
    restore("older");
    let server = world.serve_config("kiln.toml", &address);
    assert_eq!(server.stop(), Some(1), "it ends by saying that a log is bad");
}

#[test]
fn a_hangup_changes_what_changed_and_nothing_else() {
    let world = World::new();
    let address = free_address();
    world.write("kiln.toml", config(&address, &[("stays", ""), ("changes", ""), ("goes", "")]));
    let server = world.serve_config("kiln.toml", &address);
    for log in ["stays", "changes", "goes"] {
        assert_eq!(add(&server, log, "first"), "0");
    }
    for (n, wrong) in ["listen = 3\n[[log]]\n".to_owned(), config(&address, &[("goes", "policy = \"none\"")])]
        .iter()
        .enumerate()
    {
        world.write("kiln.toml", wrong);
        server.signal(Signal::HUP);
        eventually("mistakes change nothing", || {
            server.stderr().matches("nothing was changed").count() == n + 1
        });
    }
    assert_eq!(add(&server, "goes", "second"), "1");
    let logs = [("stays", ""), ("changes", "max-entry-bytes = 10"), ("comes", "")];
    world.write("kiln.toml", format!("max-connections = 10\n{}", config(&address, &logs)));
    server.signal(Signal::HUP);
    eventually("the new log answers", || server.post("/comes/add", b"first").status == 200);
    server.post("/goes/add", b"third").expect(404);
    assert_eq!(
        (add(&server, "stays", "second"), add(&server, "changes", "second")),
        ("1".into(), "1".into())
    );
    server.post("/changes/add", b"longer than ten bytes").expect(413);
    assert!(server.stderr().contains("max-connections has changed, which only a restart can bring about"));
    let told = server.stderr();
    assert!(told.contains("log=\"goes\""), "it stopped: {told}");
    assert!(!told.contains("log=\"stays\""), "it noticed nothing: {told}");
    assert_eq!(server.stop(), Some(0));
    world.kiln(&["fsck", "goes"]).ok();
}

/// That one log's disk was away would have kept every other from being changed, when that was needed most.
#[test]
fn a_disk_that_is_away_stops_no_reload_and_is_found_by_a_check() {
    let world = World::new();
    let address = free_address();
    let text = |more: &str| config(&address, &[("away", "existing = true"), ("here", more)]);
    world.write("kiln.toml", text(""));
    let server = world.serve_config("kiln.toml", &address);
    assert_eq!(add(&server, "here", "first"), "0");
    world.write("kiln.toml", text("max-entry-bytes = 10"));
    world.kiln(&["config", "check", "kiln.toml"]).fails(2, &["kiln.toml:4:1: store: away: no log is here"]);
    world.kiln(&["config", "check", "--reload", "kiln.toml"]).ok();
    server.signal(Signal::HUP);
    eventually("it is changed", || server.post("/here/add", b"longer than ten bytes").status == 413);
}

/// The file of its mirrors was not looked at: a log went on pushing to those that it named at the start.
#[test]
fn a_hangup_reads_again_what_the_policies_of_a_log_say() {
    let world = World::new();
    let address = free_address();
    let mirror = |name: &str| {
        let made = world.kiln(&["key", "new", "m.example/m", "--type", "ml-dsa-44", "--output", name]).ok();
        format!("witness m {} http://127.0.0.1:1\nquorum none\n", made.text().trim())
    };
    world.write("mirrors", mirror("one.key"));
    world.write("kiln.toml", config(&address, &[("mirrored", "mirror = [\"mirrors\"]"), ("alone", "")]));
    let server = world.serve_config("kiln.toml", &address);
    server.signal(Signal::HUP);
    world.write("mirrors", mirror("two.key"));
    server.signal(Signal::HUP);
    eventually("the log starts again", || server.stderr().contains("stopped log=\"mirrored\""));
    eventually("it answers", || server.post("/mirrored/add", b"entry").status == 200);
    assert_eq!(server.stderr().matches("stopped log=").count(), 1, "{}", server.stderr());
    assert_eq!(server.stop(), Some(0));
}

/// The disk of a log was not mounted, and a new log of the same origin, with another key, took its place.
#[test]
fn a_log_that_should_be_there_is_not_made_anew() {
    let world = World::new();
    let address = free_address();
    world.kiln(&["serve", "gone", "--existing"]).fails(3, &["gone", "--existing", "mounted"]);
    world.write("kiln.toml", config(&address, &[("gone", "existing = true"), ("other", "")]));
    let server = world.serve_config("kiln.toml", &address);
    server.post("/gone/add", b"entry").expect(503);
    assert_eq!(add(&server, "other", "entry"), "0");
    assert!(!world.path("gone/public/checkpoint").exists());
    world.kiln(&["init", "gone", "--origin", "example.com/gone"]).ok();
    eventually("it is there by now", || server.post("/gone/add", b"entry").status == 200);
    assert_eq!(server.stop(), Some(0));
}

/// A name that was mistyped in a variable left the log with another key, or none. A process that runs keeps its variables, so
/// no reload is stopped by one.
#[test]
fn a_key_for_no_log_is_found_by_a_check() {
    let world = World::new();
    world.write("kiln.toml", config("127.0.0.1:0", &[("a", "")]));
    for (variable, code) in [("KILN_KEY_B", 2), ("KILN_ML_DSA_KEY_B", 2), ("KILN_KEYS", 0)] {
        let check = |more: &[&str]| {
            let words = [&["config", "check", "kiln.toml"], more].concat();
            world.run(world.command(&words).env(variable, "a key"))
        };
        let found = check(&[]);
        match code {
            0 => found.ok(),
            code => found.fails(code, &[variable, "no such log"]),
        };
        check(&["--reload"]).ok();
    }
}

#[test]
fn a_variable_overrides_the_file() {
    let world = World::new();
    let address = free_address();
    world.write("kiln.toml", config("127.0.0.1:1", &[("a", "")]));
    let mut command = world.command(&["config", "check", "kiln.toml"]);
    world.run(command.env("KILN_SERVE_LOG_A_INTERVAL", "soon")).fails(2, &["KILN_SERVE_LOG_A_INTERVAL: "]);
    let server = world.serve_config_with("kiln.toml", &address, &[("KILN_SERVE_LISTEN", &address)]);
    assert_eq!(add(&server, "a", "entry"), "0");
}
