//! From a text to a configuration, with all that is wrong with it.

use std::fs;

use clap::Args as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::flags::{Flags, Parsed};
use super::mistakes::Mistakes;
use super::overrides::Overrides;
use super::places::Places;
use super::{Config, ConfiguredLog};
use crate::commands::serve::checking::Seen;
use crate::commands::serve::doors::DoorArgs;
use crate::commands::serve::log::{LogArgs, LogPlan};
use crate::environment::{self, in_variable};
use crate::store::StorePlace;

/// As much of a configuration as could be made of a text.
#[derive(Default)]
pub(super) struct Draft {
    doors: Option<Parsed<DoorArgs>>,
    logs: Vec<(ConfiguredLog, Places)>,
    /// Of all tables, whether they could be read or not.
    names: Vec<Option<String>>,
}

/// Variables that hold keys: behind each stands a dash below, and the name of a log.
const KEYS: [&str; 2] = ["KILN_KEY", "KILN_ML_DSA_KEY"];

/// One `[[log]]`, as flags.
#[derive(Debug, clap::Args)]
pub(super) struct LogTable {
    #[arg(long)]
    store: StorePlace,
    #[arg(long, value_parser = parse_path)]
    path: Option<String>,
    #[command(flatten)]
    log: LogArgs,
}

impl Draft {
    /// What a text says, where variables do not override it. What is wrong with a table hides nothing of the others.
    pub(super) fn of(text: &str, overrides: &[(String, String)], mistakes: &mut Mistakes) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            mistakes.at(error.span(), error.message().to_owned());
        }
        if !errors.is_empty() {
            // What could be made of it may not be what was meant.
            return Self::default();
        }
        let mut overrides = Overrides::new(overrides);
        let (mut process, mut logs, mut has_logs) = (Vec::new(), Vec::new(), false);
        for (key, value) in root.into_inner() {
            has_logs |= key.get_ref() == "log";
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("log", DeValue::Array(_)) => logs = tables(value, mistakes),
                ("log", _) => {
                    mistakes.at(Some(key.span()), "logs are written [[log]], each");
                    let span = key.span();
                    if let DeValue::Table(table) = value.into_inner() {
                        logs.push(Spanned::new(span, table));
                    }
                }
                _ => process.push((key, value)),
            }
        }
        if logs.is_empty() && (!has_logs || mistakes.is_empty()) {
            mistakes.at(None, "there is no [[log]]");
        }
        let names = names(&logs, mistakes);
        let mut flags = Flags::of(DoorArgs::augment_args, None, of_a_log);
        flags.take(process, mistakes);
        flags.overridden(&overrides.of_the_process(), mistakes);
        let doors = flags.parsed::<DoorArgs>(mistakes);
        let mut of_table = |(table, name): (Spanned<DeTable<'_>>, &Option<String>)| {
            let variables = name.as_deref().map_or_else(Vec::new, |name| overrides.of_log(name, &names));
            ConfiguredLog::parse(table, name.as_deref(), &variables, mistakes)
        };
        let logs: Vec<_> = logs.into_iter().zip(&names).filter_map(&mut of_table).collect();
        overrides
            .unknown()
            .for_each(|name| mistakes.at(None, format!("{name} is set, and there is no such log or key")));
        Self { doors, logs, names }
    }

    /// Checks what logs and listeners must not have in common.
    pub(super) fn check_together(&self, mistakes: &mut Mistakes) {
        for (at, log) in self.logs.iter().enumerate() {
            self.logs[..at].iter().for_each(|other| check_two(other, log, mistakes));
        }
        let Some(doors) = &self.doors else { return };
        let listeners: Vec<_> = doors.args.listeners().collect();
        for (at, (key, address)) in listeners.iter().enumerate() {
            for (other, taken) in &listeners[..at] {
                if address.excludes(taken) {
                    doors.places.tell(key, &format!("{address} is taken by {other}, {taken}"), mistakes);
                }
            }
        }
    }

    /// Looks at the files that it names, `today` also at what may be otherwise tomorrow.
    pub(super) fn check_files(&self, today: bool, mistakes: &mut Mistakes) {
        let tell = |places: &Places, seen: &Seen, mistakes: &mut Mistakes| {
            for (keys, failure) in seen.wrong.iter().chain(seen.today.iter().filter(|_| today)) {
                // Of what no key says, the first that somebody gave has to do with it.
                let key = keys.iter().find(|key| places.has(key)).or(keys.first());
                places.tell(key.copied().unwrap_or_default(), &failure.to_string(), mistakes);
            }
        };
        if today {
            self.check_variables(mistakes);
        }
        if let Some(doors) = &self.doors {
            tell(&doors.places, &doors.args.look(), mistakes);
        }
        let mut known = Vec::new();
        for (log, places) in &self.logs {
            let seen = log.plan.look();
            tell(places, &seen, mistakes);
            let Some(origin) = seen.origin else { continue };
            if let Some((other, _)) = known.iter().find(|(_, taken)| *taken == origin) {
                let what = format!("the log {other} is called {origin}, too: an origin is of one log");
                places.tell("origin", &what, mistakes);
            }
            known.push((&log.name, origin));
        }
    }

    /// Keys in variables that no log takes. A process that runs cannot be rid of them.
    fn check_variables(&self, mistakes: &mut Mistakes) {
        let names = || self.names.iter().flatten();
        let is_of_no_log = |name: &str| {
            let log = KEYS.iter().find_map(|key| name.strip_prefix(key)?.strip_prefix('_'));
            log.is_some_and(|log| !names().any(|name| in_variable(name) == log))
        };
        let set = KEYS.iter().flat_map(|key| environment::variables(key));
        set.filter(|(name, _)| names().next().is_some() && is_of_no_log(name))
            .for_each(|(name, _)| mistakes.at(None, format!("{name} is set, and there is no such log")));
    }

    /// The configuration, if nothing is wrong.
    pub(super) fn finish(self, mistakes: Mistakes) -> Result<Config, Mistakes> {
        match self.doors {
            Some(Parsed { args: doors, words: door_words, .. }) if mistakes.is_empty() => {
                let logs = self.logs.into_iter().map(|(log, _)| log).collect();
                Ok(Config { doors, door_words, logs })
            }
            _ => Err(mistakes),
        }
    }
}

/// What two logs must not have in common: told of the later one.
fn check_two(
    (other, others): &(ConfiguredLog, Places),
    (log, places): &(ConfiguredLog, Places),
    mistakes: &mut Mistakes,
) {
    let by = ["path", "url"].into_iter().find(|key| places.has(key)).unwrap_or_default();
    let is_placed = |places: &Places| !places.is_wrong("url") && !places.is_wrong("path");
    if log.place() == other.place() && is_placed(places) && is_placed(others) {
        let (one, two, path) = (&other.name, &log.name, &log.path);
        let what = format!(
            "the logs {one} and {two} both answer at {path}/: give each a path, or a url on a host, of its own"
        );
        places.tell(by, &what, mistakes);
    }
    for (above, below) in [(log, other), (other, log)] {
        if above.place().answers_itself(&below.place()) {
            places.tell(by, &format!("the log {} answers {}/ itself", above.name, below.path), mistakes);
        }
    }
    if log.plan.store.overlaps(&other.plan.store) {
        let (one, store) = (&other.name, &other.plan.store);
        let what = format!(
            "this is in the store of the log {one}, {store}, or has that in itself: each log has a store of its own"
        );
        places.tell("store", &what, mistakes);
    }
}

impl ConfiguredLog {
    /// One without a good name is looked at all the same.
    fn parse(
        table: Spanned<DeTable<'_>>,
        name: Option<&str>,
        overrides: &[(&str, &str, &str)],
        mistakes: &mut Mistakes,
    ) -> Option<(Self, Places)> {
        let mut flags = Flags::of(LogTable::augment_args, Some(table.span()), of_the_process);
        let rows = table.into_inner().into_iter().filter(|(key, _)| key.get_ref() != "name").collect();
        flags.take(rows, mistakes);
        flags.overridden(overrides, mistakes);
        let Parsed { args, words, places } = flags.parsed::<LogTable>(mistakes)?;
        let LogTable { store, path, mut log } = args;
        let path = match (path, &log.url) {
            (Some(path), _) => path,
            (None, Some(url)) if url.path().contains("//") => {
                places.tell("url", "two slashes in a row lead to no log: give a path as well", mistakes);
                return None;
            }
            (None, Some(url)) => url.path().to_owned(),
            (None, None) => String::new(),
        };
        let name = name.unwrap_or_default().to_owned();
        log.key.name_variables(&name);
        let files = log.witnesses.policy().into_iter().chain(log.mirrors.policies());
        let policies = files.map(|path| fs::read(path).ok()).collect();
        Some((Self { name, path, plan: LogPlan { store, args: log }, words, policies }, places))
    }
}

/// The `[[log]]`s.
fn tables<'a>(value: Spanned<DeValue<'a>>, mistakes: &mut Mistakes) -> Vec<Spanned<DeTable<'a>>> {
    let DeValue::Array(values) = value.into_inner() else { return Vec::new() };
    let mut tables = Vec::new();
    for value in values {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => tables.push(Spanned::new(span, table)),
            _ => mistakes.at(Some(span), "logs are written [[log]], each"),
        }
    }
    tables
}

/// The name of each log: it is how people, variables and metrics call it.
fn names(logs: &[Spanned<DeTable<'_>>], mistakes: &mut Mistakes) -> Vec<Option<String>> {
    let mut names: Vec<Option<String>> = Vec::new();
    for table in logs {
        let value = table.get_ref().get("name");
        let name = value.and_then(|value| value.get_ref().as_str()).filter(|name| is_name(name));
        match (name, value) {
            (Some(name), Some(value))
                if names.iter().flatten().any(|other| in_variable(other) == in_variable(name)) =>
            {
                mistakes.at(Some(value.span()), format!("another log is called {name}"));
            }
            (Some(_), _) => {}
            (None, Some(value)) => mistakes.at(
                Some(value.span()),
                "a name has letters a to z, digits and dashes, and begins with a letter",
            ),
            (None, None) => mistakes.at(Some(table.span()), "this log has no name"),
        }
        names.push(name.map(str::to_owned));
    }
    names
}

/// Where a key belongs that stands above the first `[[log]]`.
fn of_a_log(key: &str) -> Option<&'static str> {
    let of_log = Flags::of(LogTable::augment_args, None, |_| None);
    match key {
        "logs" => Some("logs are written [[log]], each"),
        "rekor" => Some("it is written [log.rekor], below its [[log]]"),
        "name" => Some("it stands below a [[log]]"),
        key if of_log.knows(key) => Some("it stands below a [[log]]"),
        key => beside(key),
    }
}

/// Where a key belongs that stands in a `[[log]]`.
fn of_the_process(key: &str) -> Option<&'static str> {
    let of_process = Flags::of(DoorArgs::augment_args, None, |_| None);
    if of_process.knows(key) {
        Some("it is of all logs, and stands above the first [[log]]")
    } else {
        beside(key)
    }
}

/// Flags that stand beside `--config`.
fn beside(key: &str) -> Option<&'static str> {
    let is_flag = matches!(key, "otlp" | "otlp-requests" | "log-format" | "json");
    is_flag.then_some("it is a flag of the command, beside --config")
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 63
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// No path of a log.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a path begins with a slash, as in /releases; / alone is the root")]
struct PathError;

fn parse_path(path: &str) -> Result<String, PathError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    let path = path.strip_suffix('/').unwrap_or(path);
    let right = path.is_empty() || (path.starts_with('/') && !path.contains("//") && path.chars().all(plain));
    if right { Ok(path.to_owned()) } else { Err(PathError) }
}
