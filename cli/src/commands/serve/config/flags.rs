//! Keys of a configuration as the flags that they are named after.

use std::error::Error as _;
use std::num::ParseIntError;
use std::ops::Range;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, FromArgMatches};
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::mistakes::Mistakes;
use super::places::Places;
use crate::environment::in_variable;

/// A flag and its value, if it takes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Word {
    pub(super) key: String,
    value: Option<String>,
}

/// The flags that there are, and those that were given.
pub(super) struct Flags {
    command: Command,
    given: Vec<Word>,
    places: Places,
    /// Whether one of them by itself is wrong.
    is_wrong: bool,
    /// Those that it was told to lack.
    lacking: Vec<String>,
}

/// What flags say together, and where each of them stands.
pub(super) struct Parsed<A> {
    pub(super) args: A,
    pub(super) words: Vec<Word>,
    pub(super) places: Places,
}

/// A table within a log, whose keys are the flags of that name, or those that begin with it.
const SECTIONS: [&str; 1] = ["rekor"];

impl Flags {
    /// Those that `augment` adds to a command, as a table has them that stands here.
    pub(super) fn of(augment: impl FnOnce(Command) -> Command, table: Option<Range<usize>>) -> Self {
        let command = augment(Command::new("kiln").no_binary_name(true).disable_help_flag(true));
        Self {
            command,
            given: Vec::new(),
            places: Places::of_table(table),
            is_wrong: false,
            lacking: Vec::new(),
        }
    }

    /// Takes the keys of a table.
    pub(super) fn take(
        &mut self,
        table: Vec<(Spanned<DeString<'_>>, Spanned<DeValue<'_>>)>,
        mistakes: &mut Mistakes,
    ) {
        let before = mistakes.len();
        for (key, value) in table {
            let (span, name) = (key.span(), key.into_inner());
            match value.into_inner() {
                DeValue::Table(section) if SECTIONS.contains(&name.as_ref()) => {
                    self.give(&name, &DeValue::Boolean(true), &span, mistakes);
                    for (key, value) in section {
                        let key_span = key.span();
                        let key = self.of_section(&name, key.get_ref());
                        self.give(&key, value.get_ref(), &key_span, mistakes);
                    }
                }
                value => self.give(&name, &value, &span, mistakes),
            }
        }
        self.is_wrong |= mistakes.len() > before;
    }

    /// Takes variables instead of what the file says: each with the key that it names, and its value.
    pub(super) fn overridden(&mut self, variables: &[(&str, &str, &str)], mistakes: &mut Mistakes) {
        let before = mistakes.len();
        for (name, key, value) in variables {
            let names = |arg: &&Arg| arg.get_long().is_some_and(|long| in_variable(long) == *key);
            let arg = self.command.get_arguments().find(names).cloned();
            match arg {
                Some(arg) => self.override_by(name, &arg, value, mistakes),
                None => mistakes.at(None, format!("{name} is set, and there is no such key")),
            }
        }
        self.is_wrong |= mistakes.len() > before;
    }

    fn override_by(&mut self, variable: &str, arg: &Arg, value: &str, mistakes: &mut Mistakes) {
        let key = arg.get_long().unwrap_or_default().to_owned();
        self.given.retain(|word| word.key != key);
        self.places.override_by(&key, variable);
        let words = match (arg.get_action(), value) {
            (ArgAction::SetTrue, "true") => vec![Word { key: key.clone(), value: None }],
            (ArgAction::SetTrue, "false") => Vec::new(),
            (ArgAction::SetTrue, _) => return self.places.tell(&key, "true or false", mistakes),
            _ => vec![Word { key: key.clone(), value: Some(value.to_owned()) }],
        };
        self.check(arg, &words, mistakes);
        self.given.extend(words);
    }

    /// What they say together; `None` where something is wrong, for then what is wrong with the whole may come of that.
    pub(super) fn parsed<A: FromArgMatches>(mut self, mistakes: &mut Mistakes) -> Option<Parsed<A>> {
        if self.is_wrong {
            return None;
        }
        let before = mistakes.len();
        loop {
            let matches = self.command.clone().try_get_matches_from(words_of(&self.given));
            match matches.and_then(|matches| A::from_arg_matches(&matches)) {
                Ok(args) if mistakes.len() == before => {
                    return Some(Parsed { args, words: self.given, places: self.places });
                }
                Ok(_) => return None,
                // One is told at a time. Without what is wrong about it the next one shows.
                Err(error) => match self.tell(&error, mistakes) {
                    wrong if wrong.is_empty() => return None,
                    wrong => self.given.retain(|word| !wrong.contains(&word.key)),
                },
            }
        }
    }

    /// Tells what is wrong with flags together; which of them had better not be there.
    fn tell(&mut self, error: &clap::Error, mistakes: &mut Mistakes) -> Vec<String> {
        let mut wrong = Vec::new();
        match (error.kind(), error.get(ContextKind::InvalidArg), error.get(ContextKind::PriorArg)) {
            (ErrorKind::ArgumentConflict, Some(ContextValue::String(one)), Some(prior)) => {
                let one = key_of(one);
                self.places.tell(&one, &format!("not together with {}", keys_of(prior).join(", ")), mistakes);
                wrong.push(one);
            }
            (ErrorKind::MissingRequiredArgument, Some(lacking), _) => {
                for lacking in keys_of(lacking) {
                    let needed_by = self.who_needs(&lacking);
                    let what = format!("this needs {lacking} as well");
                    needed_by.iter().for_each(|key| self.places.tell(key, &what, mistakes));
                    // What the table itself lacks, it lacks until the end.
                    if needed_by.is_empty() && !self.lacking.contains(&lacking) {
                        self.places.tell("", &what, mistakes);
                        self.lacking.push(lacking);
                    }
                    wrong.extend(needed_by);
                }
            }
            _ => self.places.tell("", &first_line(error), mistakes),
        }
        wrong
    }

    /// Those given flags that go only with this one.
    fn who_needs(&self, lacking: &str) -> Vec<String> {
        let command = self.command.clone().mut_args(|arg| arg.required(false));
        let needs = |word: &&Word| {
            let alone = command.clone().try_get_matches_from([word.as_flag()]);
            alone.is_err_and(|error| {
                let needed = error.get(ContextKind::InvalidArg).map_or_else(Vec::new, keys_of);
                error.kind() == ErrorKind::MissingRequiredArgument && needed.iter().any(|key| key == lacking)
            })
        };
        let mut keys: Vec<_> = self.given.iter().filter(needs).map(|word| word.key.clone()).collect();
        keys.dedup();
        keys
    }

    /// The flag of a key in a section.
    fn of_section(&self, section: &str, key: &str) -> String {
        let long = format!("{section}-{key}");
        if self.find(&long).is_some() { long } else { key.to_owned() }
    }

    /// All that there are.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &Arg> {
        self.command.get_arguments()
    }

    fn find(&self, key: &str) -> Option<&Arg> {
        self.command.get_arguments().find(|arg| arg.get_long() == Some(key))
    }

    fn give(&mut self, key: &str, value: &DeValue<'_>, span: &Range<usize>, mistakes: &mut Mistakes) {
        let Some(arg) = self.find(key) else {
            let near = self.nearest(key).map_or_else(String::new, |near| format!(", but {near}"));
            return mistakes.at(Some(span.clone()), format!("there is no key {key}{near}"));
        };
        let (arg, words) = (arg.clone(), words(arg, key, value));
        self.places.add(key, span.clone());
        match words {
            Ok(words) => {
                self.check(&arg, &words, mistakes);
                self.given.extend(words);
            }
            Err(wanted) => self.places.tell(key, wanted, mistakes),
        }
    }

    /// The key that was meant, maybe.
    fn nearest(&self, key: &str) -> Option<&str> {
        let known = self.command.get_arguments().filter_map(Arg::get_long);
        let alike = known.map(|known| (strsim::jaro(key, known), known)).filter(|(alike, _)| *alike > 0.8);
        alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
    }

    /// Checks a flag by itself, so that one mistake hides no other.
    fn check(&self, arg: &Arg, words: &[Word], mistakes: &mut Mistakes) {
        let alone = arg.clone().requires(Resettable::Reset).conflicts_with(Resettable::Reset).required(false);
        let command = Command::new("kiln").no_binary_name(true).disable_help_flag(true).arg(alone);
        if let Err(error) = command.try_get_matches_from(words_of(words)) {
            self.places.tell(arg.get_long().unwrap_or_default(), &one(&error), mistakes);
        }
    }
}

impl Word {
    fn as_flag(&self) -> String {
        match &self.value {
            Some(value) => format!("--{}={value}", self.key),
            None => format!("--{}", self.key),
        }
    }
}

/// A value as words of a command line.
fn words(arg: &Arg, key: &str, value: &DeValue<'_>) -> Result<Vec<Word>, &'static str> {
    let word = |value: Option<String>| Word { key: key.to_owned(), value };
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(on)) => Ok(on.then(|| word(None)).into_iter().collect()),
        (ArgAction::SetTrue, _) => Err("true or false"),
        (_, DeValue::Array(values)) if is_list(arg) => values
            .iter()
            .map(|value| Ok(word(Some(scalar(value.get_ref()).ok_or("a list of texts")?))))
            .collect(),
        (_, value) => Ok(vec![word(Some(scalar(value).ok_or("a text or a number")?))]),
    }
}

fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// What is wrong with one value, without the words of a command line.
fn one(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        let is_number = source.is::<ParseIntError>();
        return if is_number { "not a number, or too large a one".to_owned() } else { source.to_string() };
    }
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => format!("{value:?} is none of "),
        _ => String::new(),
    };
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) => format!("{value}{}", valid.join(", ")),
        _ => first_line(error),
    }
}

/// The keys of flags as clap calls them.
fn keys_of(flags: &ContextValue) -> Vec<String> {
    match flags {
        ContextValue::String(flag) => vec![key_of(flag)],
        ContextValue::Strings(flags) => flags.iter().map(|flag| key_of(flag)).collect(),
        _ => Vec::new(),
    }
}

/// Of `--tls-key <FILE>` it is `tls-key`.
fn key_of(flag: &str) -> String {
    flag.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default().to_owned()
}

fn words_of(given: &[Word]) -> impl Iterator<Item = String> + '_ {
    given.iter().map(Word::as_flag)
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
