//! The file of `kiln serve --config`: several logs, and what they share.
//!
//! It says what the flags of `kiln serve` say, by their names: a key is a flag without its dashes. So there is one
//! place for names, defaults and what is right, and `kiln serve --help` explains both.

mod draft;
mod flags;
mod mistakes;
mod overrides;
mod places;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use super::doors::DoorArgs;
use super::log::LogPlan;
use super::logs::{Place, comparable_host};
use crate::environment;
use crate::failure::Failure;
use draft::Draft;
use flags::Word;
use mistakes::Mistakes;
use overrides::PREFIX;

/// The flags, and groups of them, that a configuration stands in for. A struct that has others in it is no group.
#[rustfmt::skip]
pub(super) const FLAGS: [&str; 27] = [
    "store", "url", "read_url", "origin", "existing", "interval", "accept_head", "standby", "forward", "lease", "dedup", "cache_dir", "read_only",
    "listen", "read_listen", "admin_listen", "max_connections", "tokens",
    "EntranceOptions", "RateOptions", "KeyArgs", "GuardArgs", "WitnessArgs", "MirrorArgs", "GcArgs", "RekorArgs", "LimitArgs",
];

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

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        Self::read_and(path, |_, _| {})
    }

    /// Reads a file, and looks at those that it names, too: keys, tokens, policies, certificates. Also at what may be
    /// otherwise tomorrow: whether logs are where they should be, and the dates of certificates.
    ///
    /// # Errors
    /// All that is wrong with them, each with its place.
    pub(crate) fn checked(path: &Path) -> Result<Self, Failure> {
        Self::read_and(path, |draft, mistakes| draft.check_files(true, mistakes))
    }

    /// The same for a process that runs: what may be otherwise tomorrow is for each log to say, and leaves the others alone.
    ///
    /// # Errors
    /// All that is wrong, each with its place.
    pub(crate) fn reloaded(path: &Path) -> Result<Self, Failure> {
        Self::read_and(path, |draft, mistakes| draft.check_files(false, mistakes))
    }

    fn read_and(path: &Path, check: impl FnOnce(&Draft, &mut Mistakes)) -> Result<Self, Failure> {
        let bytes = fs::read(path).map_err(|error| Failure::file(path, &error))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.split(|byte| *byte == b'\n').count();
            Failure::usage(format!("{}:{line}: this is no text in UTF-8", path.display()))
        })?;
        let overrides = environment::variables(PREFIX);
        Self::parse(&text, &overrides, check).map_err(|mistakes| Failure::usage(mistakes.told(path, &text)))
    }

    fn parse(
        text: &str,
        overrides: &[(String, String)],
        check: impl FnOnce(&Draft, &mut Mistakes),
    ) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let draft = Draft::of(text, overrides, &mut mistakes);
        draft.check_together(&mut mistakes);
        check(&draft, &mut mistakes);
        draft.finish(mistakes)
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

    /// For a person: what there is to run, a line each.
    pub(crate) fn told(&self) -> impl Iterator<Item = String> + '_ {
        self.logs.iter().map(|log| {
            let origin = log.plan.expected_origin();
            let origin = origin.map_or_else(String::new, |origin| format!(", its origin {origin}"));
            format!("{}: {} at {}/{origin}", log.name, log.plan.store, log.path)
        })
    }
}

impl ConfiguredLog {
    /// Whether nothing would be different.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.path, &self.words, &self.policies) == (&other.path, &other.words, &other.policies)
    }

    /// Where it answers.
    pub(super) fn place(&self) -> Place {
        let host = self.plan.args.url.as_ref().and_then(|url| comparable_host(url.as_str()));
        Place { host, path: self.path.clone() }
    }
}
