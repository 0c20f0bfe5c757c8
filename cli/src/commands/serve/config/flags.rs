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
    /// Those that it was told to lack.
    lacking: Vec<String>,
    /// Where keys that are not here belong.
    elsewhere: Elsewhere,
}

/// Says where a key belongs that is none of this table; `None` where it is none at all.
type Elsewhere = fn(&str) -> Option<&'static str>;

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
    pub(super) fn of(
        augment: impl FnOnce(Command) -> Command,
        table: Option<Range<usize>>,
        elsewhere: Elsewhere,
    ) -> Self {
        let command = augment(Command::new("kiln").no_binary_name(true).disable_help_flag(true));
        Self { command, given: Vec::new(), places: Places::of_table(table), lacking: Vec::new(), elsewhere }
    }

    /// Takes the keys of a table.
    pub(super) fn take(
        &mut self,
        table: Vec<(Spanned<DeString<'_>>, Spanned<DeValue<'_>>)>,
        mistakes: &mut Mistakes,
    ) {
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
    }

    /// Takes variables instead of what the file says: each with the key that it names, and its value.
    pub(super) fn overridden(&mut self, variables: &[(&str, &str, &str)], mistakes: &mut Mistakes) {
        for (name, key, value) in variables {
            let names = |arg: &&Arg| arg.get_long().is_some_and(|long| in_variable(long) == *key);
            let arg = self.command.get_arguments().find(names).cloned();
            match arg {
                Some(arg) => self.override_by(name, &arg, value, mistakes),
                None => mistakes.at(None, format!("{name} is set, and there is no such key")),
            }
        }
    }

    fn override_by(&mut self, variable: &str, arg: &Arg, value: &str, mistakes: &mut Mistakes) {
        let key = arg.get_long().unwrap_or_default().to_owned();
        self.given.retain(|word| word.key != key);
        self.places.override_by(&key, variable);
        let words = match (arg.get_action(), value) {
            (ArgAction::SetTrue, "true") => vec![Word { key: key.clone(), value: None }],
            (ArgAction::SetTrue, "false") => Vec::new(),
            (ArgAction::SetTrue, _) => return self.places.tell_first(&key, "true or false", mistakes),
            // A path or a key with a comma in its name has to stand in the file.
            _ if is_list(arg) => value.split(',').map(|value| Word::new(&key, value)).collect(),
            _ => vec![Word::new(&key, value)],
        };
        self.keep_checked(arg, words, mistakes);
    }

    /// What they say together, without those that are wrong; `None` where that is nothing.
    pub(super) fn parsed<A: FromArgMatches>(mut self, mistakes: &mut Mistakes) -> Option<Parsed<A>> {
        loop {
            let matches = self.command.clone().try_get_matches_from(words_of(&self.given));
            match matches.and_then(|matches| A::from_arg_matches(&matches)) {
                Ok(args) => return Some(Parsed { args, words: self.given, places: self.places }),
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
                let prior = keys_of(prior);
                let twice = prior.contains(&one);
                let what = if twice {
                    "given twice".to_owned()
                } else {
                    format!("not together with {}", prior.join(", "))
                };
                self.places.tell_first(&one, &what, mistakes);
                wrong.push(one);
            }
            (ErrorKind::MissingRequiredArgument, Some(lacking), _) => {
                for lacking in keys_of(lacking) {
                    let needed_by = self.who_needs(&lacking);
                    let what = format!("this needs {lacking} as well");
                    // Somebody said it, and that is wrong in another way.
                    let is_told = self.places.is_wrong(&lacking);
                    needed_by
                        .iter()
                        .filter(|_| !is_told)
                        .for_each(|key| self.places.tell(key, &what, mistakes));
                    // What the table itself lacks, it lacks until the end.
                    if needed_by.is_empty() && !is_told && !self.lacking.contains(&lacking) {
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

    /// The flag of a key in a section, which has the section's name before it or not, here as there.
    fn of_section(&self, section: &str, key: &str) -> String {
        let long = format!("{section}-{key}");
        let short = key.strip_prefix(section).and_then(|key| key.strip_prefix('-')).unwrap_or(key);
        let known = [long.as_str(), short].into_iter().find(|key| self.find(key).is_some());
        known.unwrap_or(key).to_owned()
    }

    /// Whether there is a flag for this key, in a section or not.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.find(key).is_some()
            || SECTIONS.iter().any(|section| self.find(&self.of_section(section, key)).is_some())
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
            let what = match ((self.elsewhere)(key), self.nearest(key)) {
                (Some(place), _) => format!("{key} is no key here: {place}"),
                (None, Some(near)) => format!("there is no key {key}, but {near}"),
                (None, None) => format!("there is no key {key}"),
            };
            return mistakes.at(Some(span.clone()), what);
        };
        let (arg, words) = (arg.clone(), words(arg, key, value));
        self.places.add(key, span.clone());
        match words {
            Ok(words) => self.keep_checked(&arg, words, mistakes),
            Err(wanted) => self.places.tell_first(key, &wanted, mistakes),
        }
    }

    /// The key that was meant, maybe.
    fn nearest(&self, key: &str) -> Option<&str> {
        let known = self.command.get_arguments().filter_map(Arg::get_long);
        let alike = known.map(|known| (strsim::jaro(key, known), known)).filter(|(alike, _)| *alike > 0.8);
        alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
    }

    /// Checks a flag by itself, so that one mistake hides no other, and each value of a list. One that is wrong is told, and
    /// is as if it were not there.
    fn keep_checked(&mut self, arg: &Arg, words: Vec<Word>, mistakes: &mut Mistakes) {
        let alone = arg.clone().requires(Resettable::Reset).conflicts_with(Resettable::Reset).required(false);
        let command = Command::new("kiln").no_binary_name(true).disable_help_flag(true).arg(alone);
        let key = arg.get_long().unwrap_or_default();
        let mut wrong = Vec::new();
        for word in words {
            match command.clone().try_get_matches_from([word.as_flag()]) {
                Ok(_) => self.given.push(word),
                Err(error) => {
                    let of_list = word.value.filter(|_| is_list(arg)).map(|value| format!("{value:?}: "));
                    wrong.push(of_list.unwrap_or_default() + &one(&error));
                }
            }
        }
        wrong.iter().for_each(|what| self.places.tell(key, what, mistakes));
        if !wrong.is_empty() {
            self.places.told(key);
        }
    }
}

impl Word {
    fn new(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: Some(value.to_owned()) }
    }

    fn as_flag(&self) -> String {
        match &self.value {
            Some(value) => format!("--{}={value}", self.key),
            None => format!("--{}", self.key),
        }
    }
}

/// A value as words of a command line; else what is wanted.
fn words(arg: &Arg, key: &str, value: &DeValue<'_>) -> Result<Vec<Word>, String> {
    let word = |value: Option<String>| Word { key: key.to_owned(), value };
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(on)) => Ok(on.then(|| word(None)).into_iter().collect()),
        (ArgAction::SetTrue, _) => Err("true or false".to_owned()),
        (_, DeValue::Array(values)) if is_list(arg) => values
            .iter()
            .map(|value| Ok(word(Some(scalar(value.get_ref()).ok_or("a list of texts")?))))
            .collect(),
        (_, value) => Ok(vec![word(Some(scalar(value).ok_or_else(|| wanted(arg))?))]),
    }
}

/// What a key takes, for who gave something else.
fn wanted(arg: &Arg) -> String {
    let values: Vec<_> =
        arg.get_possible_values().iter().map(|value| format!("{:?}", value.get_name())).collect();
    if values.is_empty() { "a text, or a number in decimal".to_owned() } else { values.join(" or ") }
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
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => format!("{value}{}", valid.join(", ")),
        _ if matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value.is_empty()) => {
            "it says nothing".to_owned()
        }
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
