use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Args as _};

use super::draft::LogTable;
use super::flags::Flags;
use super::*;

const EXAMPLE: &str = include_str!("../../config/example.toml");

fn parse(text: &str) -> Result<Config, String> {
    parse_with(text, &[])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::parse(text, &variables, |_, _| {}).map_err(|mistakes| mistakes.told(Path::new("k.toml"), text))
}

fn flags() -> Vec<Arg> {
    let (doors, log) = (
        Flags::of(DoorArgs::augment_args, None, |_| None),
        Flags::of(LogTable::augment_args, None, |_| None),
    );
    doors.all().chain(log.all()).cloned().collect()
}

/// The keys of the example, commented out or not, in sections too, with their values.
fn keys_of_the_example() -> BTreeMap<String, String> {
    let lines = EXAMPLE.lines().map(|line| line.trim_start_matches('#'));
    let pairs = lines.filter_map(|line| line.split_once(" = ")).filter(|(key, _)| !key.contains(' '));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect()
}

#[test]
fn the_example_has_every_key_and_no_other_and_tells_the_defaults() {
    let (mut keys, flags) = (keys_of_the_example(), flags());
    keys.remove("name");
    for flag in &flags {
        let long = flag.get_long().unwrap();
        if long == "rekor" {
            continue; // a section
        }
        let value = keys.remove(long).or_else(|| keys.remove(long.strip_prefix("rekor-")?));
        let value = value.unwrap_or_else(|| panic!("the example lacks {long}"));
        if let Some(default) = flag.get_default_values().first().filter(|_| !flag.is_hide_default_value_set())
        {
            assert_eq!(value, default.to_string_lossy(), "{long}");
        } else if matches!(flag.get_action(), ArgAction::SetTrue) {
            assert_eq!(value, "false", "{long}");
        }
    }
    assert_eq!(keys, BTreeMap::new(), "no flag is called that");
}

#[test]
fn the_example_is_right() {
    let config = parse(EXAMPLE).unwrap();
    let told: Vec<_> = config.told().collect();
    assert_eq!(told, ["releases: /var/lib/kiln/releases at /, its origin example.com/releases"]);
    let rekor = EXAMPLE.replace("#[[log]]", "[[log]]").replace("#[log.rekor]", "[log.rekor]");
    let (head, tail) = rekor.split_at(rekor.rfind("[[log]]").unwrap());
    let tail = tail
        .replace("#name", "name")
        .replace("#store", "store")
        .replace("#origin", "origin")
        .replace("#url", "url");
    let config =
        parse(&format!("{head}{tail}").replace("#accept-dsse = false", "accept-dsse = true")).unwrap();
    assert_eq!(
        config.told().last().unwrap(),
        "rekor: s3://example-rekor/log at /, its origin rekor.example.com"
    );
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let told = parse(
        "listen = 8080\n\
         intervall = \"2s\"\n\
         [[log]]\n\
         name = \"a\"\n\
         store = \"/srv/a\"\n\
         intervall = \"2s\"\n\
         witness-mode = \"maybe\"\n\
         pool-bytes = \"many\"\n\
         standby = \"yes\"\n\
         [[log]]\n\
         name = \"A log\"\n\
         store = 1.5\n",
    );
    let told = told.unwrap_err();
    for line in [
        "k.toml:1:1: listen: not an address and port",
        "k.toml:2:1: there is no key intervall",
        "k.toml:6:1: there is no key intervall, but interval",
        "k.toml:7:1: witness-mode: \"maybe\" is none of require, prefer",
        "k.toml:8:1: pool-bytes: ",
        "k.toml:9:1: standby: true or false",
        "k.toml:11:8: a name has letters a to z",
        "k.toml:12:1: store: a text, or a number in decimal",
    ] {
        assert!(told.contains(line), "{line} in:\n{told}");
    }
    assert_eq!(told.lines().count(), 8, "{told}");
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    assert!(parse("listen = \n[[log]]\nname = \"a").unwrap_err().starts_with("k.toml:1:"));
    assert!(parse("").unwrap_err().contains("no [[log]]"));
    assert!(parse("log = []").unwrap_err().contains("no [[log]]"));
    assert!(parse("log = 3").unwrap_err().starts_with("k.toml:1:1: logs are written [[log]]"));
}

/// What is wrong with keys together was told of the whole table, one at a time, and only where nothing else was wrong.
#[test]
fn keys_that_need_or_forbid_others_say_so_where_they_stand() {
    let told = parse(
        "tls-cert = \"/c\"\n\
         acme-contact = \"mailto:me@example.com\"\n\
         [[log]]\n\
         name = \"a\"\n\
         store = \"/srv/a\"\n\
         forward = true\n\
         witness-mode = \"prefer\"\n\
         witness-timeout = \"1s\"\n\
         [[log]]\n\
         name = \"b\"\n\
         intervall = \"1s\"\n\
         [[log]]\n\
         name = \"c\"\n\
         on-duplicate = \"return\"\n",
    );
    let mut told: Vec<_> = told.as_ref().unwrap_err().lines().collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "k.toml:11:1: there is no key intervall, but interval",
            "k.toml:12:1: this needs store as well",
            "k.toml:14:1: on-duplicate: this needs rekor as well",
            "k.toml:1:1: tls-cert: this needs tls-key as well",
            "k.toml:2:1: acme-contact: this needs acme as well",
            "k.toml:2:1: acme-contact: this needs acme-cache as well",
            "k.toml:6:1: forward: this needs standby as well",
            "k.toml:7:1: witness-mode: this needs policy as well",
            "k.toml:8:1: witness-timeout: this needs policy as well",
            "k.toml:9:1: this needs store as well",
        ]
    );
    let both = "tls-cert = \"/c\"\ntls-key = \"/k\"\nacme = [\"a.example.com\"]\nacme-cache = \"/a\"\n";
    let told = parse(&format!("{both}[[log]]\nname = \"a\"\nstore = \"/srv/a\"\n")).unwrap_err();
    assert_eq!(told, "k.toml:3:1: acme: not together with tls-cert");
}

#[test]
fn values_are_told_in_words_of_the_file() {
    for (key, value, told) in [
        ("max-connections", "\"many\"", "not a number"),
        ("max-connections", "0", "0 is not in 1.."),
        ("max-connections", "-1", "not a number"),
        ("admin-listen", "\"localhost\"", "not an address and port"),
        ("acme-contact", "\"me@example.com\"", "not a URL such as mailto:"),
        ("acme-directory", "\"ca.example.com\"", "not a URL such as https://"),
    ] {
        let text = format!("{key} = {value}\n[[log]]\nname = \"a\"\nstore = \"/srv/a\"\n");
        let wrong = parse(&text).unwrap_err();
        assert!(wrong.starts_with(&format!("k.toml:1:1: {key}: ")) && wrong.contains(told), "{wrong}");
    }
}

#[test]
fn listeners_have_places_of_their_own() {
    let listen = |more: &str| {
        parse(&format!("listen = \"127.0.0.1:8080\"\n{more}\n[[log]]\nname = \"a\"\nstore = \"/srv/a\"\n"))
    };
    assert!(listen("admin-listen = \"127.0.0.1:9090\"").is_ok());
    let told = listen("admin-listen = \"0.0.0.0:8080\"").unwrap_err();
    assert_eq!(told, "k.toml:2:1: admin-listen: 0.0.0.0:8080 is taken by listen, 127.0.0.1:8080");
}

#[test]
fn two_logs_have_places_and_stores_of_their_own() {
    let two = |a: &str, b: &str| {
        parse(&format!(
            "[[log]]\nname = \"a\"\nstore = \"/srv/a\"\n{a}\n[[log]]\nname = \"b\"\nstore = \"/srv/b\"\n{b}\n"
        ))
    };
    assert!(two("", "").unwrap_err().contains("the logs a and b both answer at /"));
    assert!(two("", "store = \"/srv/a\"").is_err());
    assert!(two("path = \"/a\"", "path = \"/b/\"").is_ok());
    assert!(two("", "path = \"/b\"").is_ok(), "one of them may have the root");
    assert!(two("url = \"https://a.example.com\"", "url = \"https://b.example.com/\"").is_ok());
    assert!(two("url = \"https://a.example.com/x\"", "url = \"https://a.example.com/y\"").is_ok());
    assert!(two("url = \"https://a.example.com\"", "url = \"https://A.example.com\"").is_err());
    for url in ["a.example.com", "ftp://a.example.com", "https://a.example.com/a//b"] {
        let told = two("", &format!("url = {url:?}")).unwrap_err();
        assert!(told.contains("k.toml:8:1: url: "), "{told}");
    }
    for path in ["b", "/b c", "/b//c", "/%41"] {
        assert!(two("", &format!("path = {path:?}")).is_err(), "{path}");
    }
}

/// A store under two names, and one within another, went unnoticed.
#[test]
fn no_two_logs_share_a_store() {
    for (one, two) in
        [("/srv/a", "/srv/./a"), ("/srv/a", "/srv/a/b"), ("s3://logs/x/y", "s3://logs/x"), ("a", "./a/")]
    {
        let told = parse(&format!(
            "[[log]]\nname = \"a\"\nstore = {one:?}\n[[log]]\nname = \"b\"\npath = \"/b\"\nstore = {two:?}\n"
        ));
        let told = told.unwrap_err();
        assert!(
            told.starts_with(&format!("k.toml:7:1: store: this is in the store of the log a, {one}")),
            "{told}"
        );
    }
}

#[test]
fn variables_override_keys() {
    let text =
        "listen = \"127.0.0.1:1\"\n[[log]]\nname = \"my-log\"\nstore = \"/srv/a\"\ninterval = \"3s\"\n";
    let plain = parse(text).unwrap();
    let config = parse_with(
        text,
        &[("KILN_SERVE_LISTEN", "127.0.0.1:2"), ("KILN_SERVE_LOG_MY_LOG_READ_ONLY", "true")],
    );
    let config = config.unwrap();
    assert_eq!(config.needs_a_restart(&plain), ["listen"]);
    assert!(!config.logs[0].is_like(&plain.logs[0]));
    for (variable, value) in [
        ("KILN_SERVE_LISTENN", "127.0.0.1:2"),
        ("KILN_SERVE_LOG_OTHER_INTERVAL", "1s"),
        ("KILN_SERVE_LOG_MY_LOG_INTERVALL", "1s"),
        ("KILN_SERVE_LOG_MY_LOG_INTERVAL", "soon"),
        ("KILN_SERVE_LOG_MY_LOG_READ_ONLY", "yes"),
    ] {
        let told = parse_with(text, &[(variable, value)]).unwrap_err();
        assert!(told.starts_with(&format!("k.toml: {variable}")), "{told}");
    }
}

#[test]
fn what_was_not_touched_is_like_before() {
    let text = "[[log]]\nname = \"a\"\nstore = \"/srv/a\"\n";
    let (before, after) = (parse(text).unwrap(), parse(&format!("# a word\n{text}")).unwrap());
    assert!(after.logs[0].is_like(&before.logs[0]) && after.needs_a_restart(&before).is_empty());
}

/// A flag that were in none of the groups could be given beside `--config`, and would do nothing. Those of traces are of the
/// process, and begin before the file is read.
#[test]
fn a_configuration_stands_in_for_every_flag() {
    let beside = ["config", "help", "otlp", "otlp_requests"];
    let command = crate::commands::serve::Serve::augment_args(clap::Command::new("serve"));
    for arg in command.get_arguments().filter(|arg| !beside.contains(&arg.get_id().as_str())) {
        let id = arg.get_id();
        let groups = command.get_groups().filter(|group| group.get_args().any(|member| member == id));
        let excluded = FLAGS.contains(&id.as_str())
            || groups.into_iter().any(|group| FLAGS.contains(&group.get_id().as_str()));
        assert!(excluded, "{id}");
    }
}

/// Looks at the files of a configuration whose `DIR` is a folder made by `make`.
fn look(text: &str, make: impl FnOnce(&Path)) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let dir = folder.path().to_str().unwrap();
    let text = text.replace("DIR", dir);
    let parsed = Config::parse(&text, &[], |draft, mistakes| draft.check_files(true, mistakes));
    parsed.map_err(|mistakes| mistakes.told(Path::new("k.toml"), &text).replace(dir, "DIR"))
}

fn key_file(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A checkpoint of a log by the key with this seed.
fn checkpoint(origin: &str, seed: u8) -> String {
    let key = kiln_tiles::SigningKey::from_seed(origin.parse().unwrap(), [seed; 32]);
    let text = kiln_tiles::Checkpoint::new(origin, kiln_tiles::TreeHead::empty()).unwrap().to_string();
    key.sign(text).unwrap().to_string()
}

fn note_key(origin: &str) -> String {
    kiln_tiles::SigningKey::from_seed(origin.parse().unwrap(), [7; 32]).to_note_form().to_string()
}

/// A log with these keys, from line 5 on.
fn log_with(keys: &str) -> String {
    format!("[[log]]\nname = \"a\"\nstore = \"DIR/a\"\nguard = [\"DIR/guard\"]\n{keys}\n")
}

/// Keys, the files that there are, and how the one mistake begins.
type Case = (&'static str, fn(&Path), &'static str);

fn each_is_told(cases: &[Case]) {
    for (keys, make, wrong) in cases {
        let told = look(&log_with(keys), make).unwrap_err();
        assert!(told.starts_with(wrong) && told.lines().count() == 1, "{keys}: {told}");
    }
}

#[test]
fn the_files_of_good_keys_are_found_good() {
    let own = |dir: &Path| {
        fs::create_dir_all(dir.join("a/private/head/0")).unwrap();
        key_file(&dir.join("a/private/key"), &note_key("example.com/a"));
    };
    assert!(look(&log_with(""), |_| {}).is_ok(), "it is made at the first start");
    assert!(look(&log_with("origin = \"example.com/a\"\nexisting = true"), own).is_ok());
}

#[test]
fn the_store_and_the_key_are_looked_at() {
    each_is_told(&[
        ("existing = true", |_| {}, "k.toml:3:1: store: DIR/a: no log is here, and --existing says"),
        (
            "",
            |dir| fs::create_dir_all(dir.join("a/private/head/0")).unwrap(),
            "k.toml:1:1: the log's key is not at DIR/a/private/key",
        ),
        (
            "",
            |dir| fs::create_dir_all(dir.join("a/pictures")).unwrap(),
            "k.toml:3:1: store: DIR/a holds something that is no log",
        ),
        ("key = \"DIR/key\"", |_| {}, "k.toml:5:1: key: DIR/key: No such file"),
        (
            "key = \"DIR/key\"\norigin = \"example.com/b\"",
            |dir| key_file(&dir.join("key"), &note_key("example.com/a")),
            "k.toml:5:1: key: the key's name is example.com/a, not example.com/b",
        ),
        (
            "key = \"gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1\"",
            |_| {},
            "k.toml:5:1: key: gcpkms:",
        ),
        (
            "key = \"DIR/key\"\norigin = \"example.com/a\"",
            |dir| {
                fs::create_dir_all(dir.join("a/private/head/0")).unwrap();
                fs::create_dir_all(dir.join("a/public")).unwrap();
                fs::write(dir.join("a/public/checkpoint"), checkpoint("example.com/a", 8)).unwrap();
                key_file(&dir.join("key"), &note_key("example.com/a"));
            },
            "k.toml:5:1: key: DIR/a holds the log \"example.com/a\", whose checkpoint this key did not sign",
        ),
        (
            "key = \"arn:aws:kms:eu-central-1:1:key/2\"",
            |_| {},
            "k.toml:5:1: key: a key in a KMS is awskms:///ARN",
        ),
        ("key = \"hashivault://x\"", |_| {}, "k.toml:5:1: key: a key in a KMS is awskms:///ARN"),
    ]);
}

#[test]
fn folders_limits_policies_and_tokens_are_looked_at() {
    each_is_told(&[
        (
            "policy = \"DIR/policy\"",
            |dir| fs::write(dir.join("policy"), "quorum all\n").unwrap(),
            "k.toml:5:1: policy: DIR/policy: ",
        ),
        (
            "cache-dir = \"DIR/file\"",
            |dir| fs::write(dir.join("file"), "").unwrap(),
            "k.toml:5:1: cache-dir: DIR/file: DIR/file is no folder",
        ),
        (
            "cache-dir = \"DIR/file/below\"",
            |dir| fs::write(dir.join("file"), "").unwrap(),
            "k.toml:5:1: cache-dir: DIR/file/below: DIR/file is no folder",
        ),
        ("cache-dir = \"\"", |_| {}, "k.toml:5:1: cache-dir: "),
        ("pool-bytes = 1000", |_| {}, "k.toml:5:1: pool-bytes: there is no room for the longest entry"),
        (
            "origin = \"example.com/a\"\npolicy = \"DIR/policy\"",
            |dir| {
                let other = kiln_tiles::SigningKey::from_seed("example.com/c".parse().unwrap(), [7; 32])
                    .verifier_key();
                fs::write(dir.join("policy"), format!("log {other}\nquorum none\n")).unwrap();
            },
            "k.toml:6:1: policy: DIR/policy: the policy names logs, and example.com/a is none of them",
        ),
        (
            "tokens = \"DIR/tokens\"",
            |dir| fs::write(dir.join("tokens"), "no token\n").unwrap(),
            "k.toml:5:1: tokens: DIR/tokens: ",
        ),
    ]);
}

#[test]
fn a_key_in_the_wrong_place_is_told_where_it_belongs() {
    let log = "[[log]]\nname = \"a\"\nstore = \"DIR/a\"\nguard = [\"DIR/guard\"]\n";
    for (text, told) in [
        (
            format!("{log}listen = \"127.0.0.1:1\"\n"),
            "k.toml:5:1: listen is no key here: it is of all logs, and stands above",
        ),
        (
            format!("interval = \"1s\"\n{log}"),
            "k.toml:1:1: interval is no key here: it stands below a [[log]]",
        ),
        (
            format!("rekor-accept-dsse = true\n{log}"),
            "k.toml:1:1: rekor-accept-dsse is no key here: it stands below",
        ),
        (format!("{log}[rekor]\naccept-dsse = true\n"), "rekor is no key here: it is written [log.rekor]"),
        (
            format!("otlp = \"http://127.0.0.1:4318\"\n{log}"),
            "k.toml:1:1: otlp is no key here: it is a flag of the command",
        ),
        ("[[logs]]\nname = \"a\"\n".to_owned(), "logs is no key here: logs are written [[log]], each"),
        (
            "[log]\nname = \"a\"\nstore = \"DIR/a\"\nkey = \"DIR/no\"\n".to_owned(),
            "k.toml:4:1: key: DIR/no: No such file",
        ),
    ] {
        let wrong = look(&text, |_| {}).unwrap_err();
        assert!(wrong.contains(told), "{told} in:\n{wrong}");
    }
    assert!(look(&format!("{log}[log.rekor]\nrekor-accept-dsse = true\n"), |_| {}).is_ok());
}

/// Where the name of a file belongs somebody had put the key itself, and found it in the journal.
#[test]
fn no_mistake_quotes_a_secret_key() {
    let secret = note_key("example.com/a");
    for line in [
        format!("key = \"{secret}\""),
        format!("ml-dsa-key = \"{secret}\""),
        format!("policy = \"{secret}\""),
        format!("mirror = [\"{secret}\"]"),
        format!("witness-mode = \"{secret}\""),
        format!("origin = \"{secret}\""),
        "policy = \"DIR/key\"".to_owned(),
    ] {
        let text = format!("[[log]]\nname = \"a\"\nstore = \"DIR/a\"\nguard = [\"DIR/guard\"]\n{line}\n");
        let told = look(&text, |dir| key_file(&dir.join("key"), &note_key("example.com/a"))).unwrap_err();
        let hidden = secret.rsplit('+').next().unwrap();
        assert!(!told.contains(hidden) && told.contains("k.toml:5:1:"), "{told}");
    }
}

#[test]
fn every_value_of_a_list_is_looked_at() {
    let text = "trusted-proxies = [\"10.0.0.0/8\", \"x\", \"10.0.0.0/33\"]\n[[log]]\nname = \"a\"\nstore = \"/srv/a\"\n";
    let told = parse(text).unwrap_err();
    assert!(told.contains("1:1: trusted-proxies: \"x\": ") && told.contains("\"10.0.0.0/33\": "), "{told}");
    let guards = [("KILN_SERVE_LOG_A_GUARD", "/g/a,/g/b")];
    let text = "[[log]]\nname = \"a\"\nstore = \"/g/a/s\"\n";
    assert!(parse_with(text, &guards).is_ok());
    assert!(parse_with(text, &[("KILN_SERVE_LOG_A_GUARD", "/g/a,s3:/g")]).is_err(), "each of them");
}

#[test]
fn no_log_is_below_what_another_answers_itself() {
    for (one, two) in [("/a", "/a/tile"), ("/a", "/a/add"), ("/", "/checkpoint"), ("/a/checkpoint", "/a")] {
        let log = |name: &str, path: &str| {
            format!("[[log]]\nname = \"{name}\"\nstore = \"/srv/{name}\"\npath = \"{path}\"\n")
        };
        let told = parse(&format!("{}{}", log("a", one), log("b", two))).unwrap_err();
        assert!(told.starts_with("k.toml:8:1: path: the log ") && told.ends_with(" itself"), "{told}");
    }
}

/// All of them in one go: a mistake in one place hides none in another, and what reads well is looked at.
#[test]
fn a_mistake_hides_no_other() {
    let told = look(
        "listen = \"8080\"\n\
         [[log]]\nname = \"a\"\nstore = \"DIR/a\"\nguard = [\"DIR/a/guard\"]\nkey = \"DIR/none\"\n\
         [[log]]\nname = \"b\"\nstore = \"DIR/b\"\nguard = [\"DIR/guard\"]\npath = \"/b\"\nstandbye = true\n",
        |_| {},
    );
    let told = told.unwrap_err();
    let places: Vec<_> = told.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(places, ["k.toml:1:1:", "k.toml:5:1:", "k.toml:6:1:", "k.toml:12:1:"], "{told}");
}

#[test]
fn an_origin_is_of_one_log() {
    let log = |name: &str| {
        format!(
            "[[log]]\nname = \"{name}\"\npath = \"/{name}\"\nstore = \"DIR/{name}\"\nguard = [\"DIR/guard\"]\norigin = \"example.com/a\"\n"
        )
    };
    let told = look(&format!("{}{}", log("a"), log("b")), |_| {}).unwrap_err();
    assert_eq!(told, "k.toml:12:1: origin: the log a is called example.com/a, too: an origin is of one log");
}
