use std::collections::BTreeMap;

use clap::{Arg, ArgAction};

use super::*;

const EXAMPLE: &str = include_str!("../../config/example.toml");

fn parse(text: &str) -> Result<Config, String> {
    parse_with(text, &[])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::parse(text, &variables).map_err(|mistakes| mistakes.told(Path::new("k.toml"), text))
}

fn flags() -> Vec<Arg> {
    let (doors, log) = (Flags::of(DoorArgs::augment_args), Flags::of(LogTable::augment_args));
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
    assert_eq!(told, ["releases: /var/lib/kiln/releases at /"]);
    let rekor = EXAMPLE.replace("#[[log]]", "[[log]]").replace("#[log.rekor]", "[log.rekor]");
    let (head, tail) = rekor.split_at(rekor.rfind("[[log]]").unwrap());
    let tail = tail
        .replace("#name", "name")
        .replace("#store", "store")
        .replace("#origin", "origin")
        .replace("#url", "url");
    let config =
        parse(&format!("{head}{tail}").replace("#accept-dsse = false", "accept-dsse = true")).unwrap();
    assert_eq!(config.told().last().unwrap(), "rekor: s3://example-rekor/log at /");
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
        "k.toml:2:1: there is no key intervall",
        "k.toml:6:1: there is no key intervall, but interval",
        "k.toml:7:1: witness-mode: \"maybe\" is none of require, prefer",
        "k.toml:8:1: pool-bytes: ",
        "k.toml:9:1: standby: true or false",
        "k.toml:11:8: a name has letters a to z",
    ] {
        assert!(told.contains(line), "{line} in:\n{told}");
    }
    assert_eq!(told.lines().count(), 6, "{told}");
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    assert!(parse("listen = \n[[log]]\nname = \"a").unwrap_err().starts_with("k.toml:1:"));
    assert!(parse("").unwrap_err().contains("no [[log]]"));
    assert!(parse("log = 3").unwrap_err().starts_with("k.toml:1:1: logs are written [[log]]"));
}

#[test]
fn keys_that_need_others_say_so() {
    let told = parse("[[log]]\nname = \"a\"\nstore = \"/srv/a\"\nforward = true").unwrap_err();
    assert_eq!(told, "k.toml:1:1: this needs standby as well");
    let told = parse("[[log]]\nname = \"a\"\n").unwrap_err();
    assert!(told.ends_with("this needs store as well"), "{told}");
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
    for path in ["b", "/b c", "/b//c", "/%41"] {
        assert!(two("", &format!("path = {path:?}")).is_err(), "{path}");
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
