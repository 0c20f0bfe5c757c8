//! The file of `kiln serve --config`: several logs, and what they share.
//!
//! It says what the flags of `kiln serve` say, by their names: a key is a flag without its dashes. So there is one
//! place for names, defaults and what is right, and `kiln serve --help` explains both.

mod flags;
mod mistakes;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use clap::Args as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::doors::DoorArgs;
use super::log::{LogArgs, LogPlan};
use super::logs::{Place, comparable_host};
use crate::environment::{self, in_variable};
use crate::failure::Failure;
use crate::store::StorePlace;
use flags::{Flags, Word};
pub(crate) use mistakes::Mistakes;

/// The flags, and groups of them, that a configuration stands in for. A struct that has others in it is no group.
#[rustfmt::skip]
pub(super) const FLAGS: [&str; 27] = [
    "store", "url", "read_url", "origin", "existing", "interval", "accept_head", "standby", "forward", "lease", "dedup", "cache_dir", "read_only",
    "listen", "read_listen", "admin_listen", "max_connections", "tokens",
    "EntranceOptions", "RateOptions", "KeyArgs", "GuardArgs", "WitnessArgs", "MirrorArgs", "GcArgs", "RekorArgs", "LimitArgs",
];

/// What an environment variable begins with that overrides a key.
const PREFIX: &str = "KILN_SERVE_";

/// A configuration in which everything is right, as far as it can be seen without looking at a store.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(super) doors: DoorArgs,
    door_words: Vec<Word>,
    pub(super) logs: Vec<ConfiguredLog>,
}

/// One of its logs.
#[derive(Clone, Debug)]
pub(crate) struct ConfiguredLog {
    pub(super) name: String,
    /// Below which its requests are: empty, or it begins and does not end with a slash.
    path: String,
    pub(super) plan: LogPlan,
    words: Vec<Word>,
    /// What the files of its policies hold: of witnesses, and of mirrors.
    policies: Vec<Option<Vec<u8>>>,
}

/// One `[[log]]`, as flags.
#[derive(Debug, clap::Args)]
struct LogTable {
    #[arg(long)]
    store: StorePlace,
    #[arg(long, value_parser = parse_path)]
    path: Option<String>,
    #[command(flatten)]
    log: LogArgs,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        let overrides = environment::variables(PREFIX);
        Self::parse(&text, &overrides).map_err(|mistakes| Failure::usage(mistakes.told(path, &text)))
    }

    fn parse(text: &str, overrides: &[(String, String)]) -> Result<Self, Mistakes> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut mistakes = Mistakes::default();
        for error in errors {
            mistakes.at(error.span(), error.message().to_owned());
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let mut overrides = Overrides::new(overrides);
        let (mut process, mut logs) = (Vec::new(), Vec::new());
        for (key, value) in root.into_inner() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("log", DeValue::Array(_)) => logs = tables(value, &mut mistakes),
                ("log", _) => mistakes.at(Some(key.span()), "logs are written [[log]], each"),
                _ => process.push((key, value)),
            }
        }
        if logs.is_empty() && mistakes.is_empty() {
            mistakes.at(None, "there is no [[log]]");
        }
        let names = names(&logs, &mut mistakes);
        let mut flags = Flags::of(DoorArgs::augment_args);
        flags.take(process, &mut mistakes);
        flags.overridden(&overrides.of_the_process(), &mut mistakes);
        let doors = flags.parsed::<DoorArgs>(None, &mut mistakes);
        let logs: Vec<_> = logs
            .into_iter()
            .zip(&names)
            .filter_map(|(table, name)| {
                let name = name.as_deref()?;
                ConfiguredLog::parse(table, name, &overrides.of_log(name, &names), &mut mistakes)
            })
            .collect();
        overrides
            .unknown()
            .for_each(|name| mistakes.at(None, format!("{name} is set, and there is no such log or key")));
        check_places(&logs, &mut mistakes);
        match doors {
            Some((doors, door_words)) if mistakes.is_empty() => Ok(Self { doors, door_words, logs }),
            _ => Err(mistakes),
        }
    }

    /// The keys in which this one differs from what runs, and that a running process cannot change.
    pub(super) fn needs_a_restart(&self, running: &Self) -> Vec<String> {
        let differs = |word: &&Word| !running.door_words.contains(word);
        let gone = running.door_words.iter().filter(|word| !self.door_words.contains(word));
        let mut keys: Vec<_> =
            self.door_words.iter().filter(differs).chain(gone).map(|word| word.key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Looks at the files that it names, too: keys and policies.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let doors = self.doors.check().err().map(|failure| failure.to_string());
        let check =
            |log: &ConfiguredLog| Some(format!("log {}: {}", log.name, log.plan.check_files().err()?));
        let wrong: Vec<_> = doors.into_iter().chain(self.logs.iter().filter_map(check)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Failure::usage(wrong.join("\n"))) }
    }

    /// For a person: what there is to run, a line each.
    pub(crate) fn told(&self) -> impl Iterator<Item = String> + '_ {
        self.logs.iter().map(|log| format!("{}: {} at {}/", log.name, log.plan.store, log.path))
    }
}

impl ConfiguredLog {
    fn parse(
        table: Spanned<DeTable<'_>>,
        name: &str,
        overrides: &[(&str, &str, &str)],
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let span = table.span();
        let mut flags = Flags::of(LogTable::augment_args);
        let rows: Vec<_> =
            table.into_inner().into_iter().filter(|(key, _)| key.get_ref().as_ref() != "name").collect();
        flags.take(rows, mistakes);
        flags.overridden(overrides, mistakes);
        let (LogTable { store, path, mut log }, words) = flags.parsed::<LogTable>(Some(span), mistakes)?;
        log.key.name_variables(name);
        let path = path.unwrap_or_else(|| log.url.as_deref().map(path_of).unwrap_or_default());
        let files = log.witnesses.policy().into_iter().chain(log.mirrors.policies());
        let policies = files.map(|path| fs::read(path).ok()).collect();
        Some(Self { name: name.to_owned(), path, plan: LogPlan { store, args: log }, words, policies })
    }

    /// Whether nothing would be different.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.path, &self.words, &self.policies) == (&other.path, &other.words, &other.policies)
    }

    /// Where it answers.
    pub(super) fn place(&self) -> Place {
        Place { host: self.plan.args.url.as_deref().and_then(comparable_host), path: self.path.clone() }
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

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 63
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn path_of(url: &str) -> String {
    let after_host = url.split_once("://").map_or("", |(_, rest)| rest);
    after_host.find('/').map_or("", |slash| &after_host[slash..]).trim_end_matches('/').to_owned()
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

fn check_places(logs: &[ConfiguredLog], mistakes: &mut Mistakes) {
    for (at, log) in logs.iter().enumerate() {
        for other in &logs[..at] {
            if log.place() == other.place() {
                let (a, b, path) = (&other.name, &log.name, &log.path);
                mistakes.at(None, format!("the logs {a} and {b} both answer at {path}/: give each a path, or a url on a host, of its own"));
            }
            if log.plan.store.canonical() == other.plan.store.canonical() {
                mistakes.at(None, format!("the logs {} and {} have one store", other.name, log.name));
            }
        }
    }
}

/// What environment variables override, each until it is used.
struct Overrides<'a>(Vec<(&'a str, &'a str, bool)>);

impl<'a> Overrides<'a> {
    fn new(variables: &'a [(String, String)]) -> Self {
        Self(variables.iter().map(|(name, value)| (name.as_str(), value.as_str(), false)).collect())
    }

    /// Those of a log: KILN_SERVE_LOG_<NAME>_<KEY>. The variable, the key as it stands in it, and the value. Where `a` and
    /// `a-b` are logs, one that begins with A_B is of the second.
    fn of_log(&mut self, name: &str, names: &[Option<String>]) -> Vec<(&'a str, &'a str, &'a str)> {
        let begins = |name: &str| format!("{PREFIX}LOG_{}_", in_variable(name));
        let own = begins(name);
        let longer: Vec<_> = names
            .iter()
            .flatten()
            .filter_map(|other| Some(begins(other).strip_prefix(&own)?.to_owned()))
            .filter(|rest| !rest.is_empty())
            .collect();
        self.take(&own, |key| !longer.iter().any(|rest| key.starts_with(rest)))
    }

    /// Those of what all logs share: KILN_SERVE_<KEY>.
    fn of_the_process(&mut self) -> Vec<(&'a str, &'a str, &'a str)> {
        self.take(PREFIX, |key| !key.starts_with("LOG_"))
    }

    fn take(&mut self, prefix: &str, wanted: impl Fn(&str) -> bool) -> Vec<(&'a str, &'a str, &'a str)> {
        let mut taken = Vec::new();
        for (name, value, used) in &mut self.0 {
            if let Some(key) = name.strip_prefix(prefix).filter(|key| wanted(key)) {
                *used = true;
                taken.push((*name, key, *value));
            }
        }
        taken
    }

    fn unknown(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|(_, _, used)| !used).map(|(name, _, _)| *name)
    }
}
