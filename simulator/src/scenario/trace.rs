//! What happened in a run, in order: a hash of all of it, the lines if somebody wants to read them,
//! and how often what happened.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use tokio::time::Instant;

/// How often things happened, by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// One more of these.
    pub fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// As many more of these.
    pub fn add(&mut self, what: &'static str, more: u64) {
        *self.0.entry(what).or_default() += more;
    }

    /// All of another run's too.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, count)| self.add(what, *count));
    }

    /// How often this happened.
    #[must_use]
    pub fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, count)| writeln!(f, "{count:>12}  {what}"))
    }
}

/// What happened so far.
#[derive(Debug)]
pub(crate) struct Trace {
    start: Instant,
    line: String,
    hash: u64,
    lines: Option<Vec<String>>,
    pub(crate) counts: Counts,
}

impl Trace {
    /// `keep`: whether somebody will read the lines.
    pub(crate) fn new(keep: bool) -> Self {
        let (line, counts) = (String::new(), Counts::default());
        Self { start: Instant::now(), line, hash: FNV_OFFSET, lines: keep.then(Vec::new), counts }
    }

    /// Notes what `who` did: a process by its number, or the world.
    pub(crate) fn note(&mut self, who: Option<usize>, what: fmt::Arguments<'_>) {
        self.line.clear();
        let time = self.start.elapsed().as_secs_f64();
        // Writing to a string cannot fail.
        let _ = match who {
            Some(process) => write!(self.line, "{time:>10.3}  process {process}  {what}"),
            None => write!(self.line, "{time:>10.3}  world      {what}"),
        };
        self.hash =
            self.line.bytes().fold(self.hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
    }

    /// The same for two runs that did the same.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}

// FNV-1a: no adversary chooses what is hashed.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
