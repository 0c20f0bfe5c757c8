//! Keys of a configuration as the flags that they are named after.

use std::error::Error as _;
use std::ops::Range;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, FromArgMatches};
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::mistakes::Mistakes;
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
}

/// A table within a log, whose keys are the flags of that name, or those that begin with it.
const SECTIONS: [&str; 1] = ["rekor"];

impl Flags {
    /// Those that `augment` adds to a command.
    pub(super) fn of(augment: impl FnOnce(Command) -> Command) -> Self {
        let command = augment(Command::new("kiln").no_binary_name(true).disable_help_flag(true));
        Self { command, given: Vec::new() }
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
            let Some(arg) = self
                .command
                .get_arguments()
                .find(|arg| arg.get_long().is_some_and(|long| in_variable(long) == *key))
            else {
                mistakes.at(None, format!("{name} is set, and there is no such key"));
                continue;
            };
            let (arg, key) = (arg.clone(), arg.get_long().unwrap_or_default().to_owned());
            self.given.retain(|word| word.key != key);
            let words = match (arg.get_action(), *value) {
                (ArgAction::SetTrue, "true") => vec![Word { key, value: None }],
                (ArgAction::SetTrue, "false") => Vec::new(),
                (ArgAction::SetTrue, _) => return mistakes.at(None, format!("{name}: true or false")),
                _ => vec![Word { key, value: Some((*value).to_owned()) }],
            };
            self.check(&arg, &words, None, &format!("{name}: "), mistakes);
            self.given.extend(words);
        }
    }

    /// What they say together; `None` where something is wrong. `place` is that of what has them.
    pub(super) fn parsed<A: FromArgMatches>(
        self,
        place: Option<Range<usize>>,
        mistakes: &mut Mistakes,
    ) -> Option<(A, Vec<Word>)> {
        if !mistakes.is_empty() {
            // What else is wrong with the whole may come of that.
            return None;
        }
        let matches = self.command.try_get_matches_from(self.given.iter().map(Word::as_flag));
        match matches.and_then(|matches| A::from_arg_matches(&matches)) {
            Ok(parsed) => Some((parsed, self.given)),
            Err(error) => {
                mistakes.at(place, whole(&error));
                None
            }
        }
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
        match words(arg, key, value) {
            Ok(words) => {
                self.check(&arg.clone(), &words, Some(span), &format!("{key}: "), mistakes);
                self.given.extend(words);
            }
            Err(wanted) => mistakes.at(Some(span.clone()), format!("{key}: {wanted}")),
        }
    }

    /// The key that was meant, maybe.
    fn nearest(&self, key: &str) -> Option<&str> {
        let known = self.command.get_arguments().filter_map(Arg::get_long);
        let alike = known.map(|known| (strsim::jaro(key, known), known)).filter(|(alike, _)| *alike > 0.8);
        alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
    }

    /// Checks a flag by itself, so that one mistake hides no other.
    fn check(
        &self,
        arg: &Arg,
        words: &[Word],
        span: Option<&Range<usize>>,
        what: &str,
        mistakes: &mut Mistakes,
    ) {
        let alone = arg.clone().requires(Resettable::Reset).conflicts_with(Resettable::Reset).required(false);
        let command = Command::new("kiln").no_binary_name(true).disable_help_flag(true).arg(alone);
        if let Err(error) = command.try_get_matches_from(words.iter().map(Word::as_flag)) {
            mistakes.at(span.cloned(), format!("{what}{}", one(&error)));
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
        return source.to_string();
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

/// What is wrong with values together: a flag that needs or forbids another, or one that lacks.
fn whole(error: &clap::Error) -> String {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(lacking)) => format!("this needs {} as well", keys(lacking)),
        _ => first_line(error),
    }
}

fn keys(flags: &[String]) -> String {
    let keys =
        flags.iter().map(|flag| flag.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default());
    keys.collect::<Vec<_>>().join(", ")
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
