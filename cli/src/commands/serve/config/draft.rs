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
use crate::environment::in_variable;
use crate::store::StorePlace;

/// As much of a configuration as could be made of a text.
#[derive(Default)]
pub(super) struct Draft {
    doors: Option<Parsed<DoorArgs>>,
    logs: Vec<(ConfiguredLog, Places)>,
}

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
                ("log", _) => mistakes.at(Some(key.span()), "logs are written [[log]], each"),
                _ => process.push((key, value)),
            }
        }
        if !has_logs {
            mistakes.at(None, "there is no [[log]]");
        }
        let names = names(&logs, mistakes);
        let mut flags = Flags::of(DoorArgs::augment_args, None);
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
        Self { doors, logs }
    }

    /// Checks what logs and listeners must not have in common.
    pub(super) fn check_together(&self, mistakes: &mut Mistakes) {
        for (at, (log, places)) in self.logs.iter().enumerate() {
            for (other, _) in &self.logs[..at] {
                let (one, two) = (&other.name, &log.name);
                if log.place() == other.place() {
                    let key = ["path", "url"].into_iter().find(|key| places.has(key)).unwrap_or_default();
                    let what = format!(
                        "the logs {one} and {two} both answer at {}/: give each a path, or a url on a host, of its own",
                        log.path
                    );
                    places.tell(key, &what, mistakes);
                }
                if log.plan.store.overlaps(&other.plan.store) {
                    let what = format!(
                        "this is in the store of the log {one}, {}, or has that in itself: each log has a store of its own",
                        other.plan.store
                    );
                    places.tell("store", &what, mistakes);
                }
            }
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

    /// Looks at the files that it names.
    pub(super) fn check_files(&self, mistakes: &mut Mistakes) {
        let tell = |places: &Places, seen: &Seen, mistakes: &mut Mistakes| {
            for (key, failure) in &seen.wrong {
                places.tell(key, &failure.to_string(), mistakes);
            }
        };
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

impl ConfiguredLog {
    /// One without a name is looked at, and is none.
    fn parse(
        table: Spanned<DeTable<'_>>,
        name: Option<&str>,
        overrides: &[(&str, &str, &str)],
        mistakes: &mut Mistakes,
    ) -> Option<(Self, Places)> {
        let mut flags = Flags::of(LogTable::augment_args, Some(table.span()));
        let rows = table.into_inner().into_iter().filter(|(key, _)| key.get_ref() != "name").collect();
        flags.take(rows, mistakes);
        flags.overridden(overrides, mistakes);
        let Parsed { args, words, places } = flags.parsed::<LogTable>(mistakes)?;
        let LogTable { store, path, mut log } = args;
        let path = match (path, &log.url) {
            (Some(path), _) => path,
            (None, Some(url)) => parse_path(url.path())
                .map_err(|error| places.tell("url", &error.to_string(), mistakes))
                .ok()?,
            (None, None) => String::new(),
        };
        let name = name?.to_owned();
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
