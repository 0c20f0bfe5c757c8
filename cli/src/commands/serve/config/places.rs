//! Where the keys of one table stand, so that what is wrong with them is told there.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::mistakes::Mistakes;

/// The places of a table and of its keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    table: Option<Range<usize>>,
    keys: HashMap<String, Place>,
    /// Of which something is told already; what else seems wrong with them may come of that.
    wrong: HashSet<String>,
}

#[derive(Clone, Debug)]
enum Place {
    File(Range<usize>),
    /// The environment variable of this name.
    Variable(String),
}

impl Places {
    /// Those of a table here; the one of the process has no place of its own.
    pub(super) fn of_table(table: Option<Range<usize>>) -> Self {
        Self { table, ..Self::default() }
    }

    pub(super) fn add(&mut self, key: &str, span: Range<usize>) {
        self.keys.insert(key.to_owned(), Place::File(span));
    }

    /// From now on the key is what a variable says.
    pub(super) fn override_by(&mut self, key: &str, variable: &str) {
        self.keys.insert(key.to_owned(), Place::Variable(variable.to_owned()));
    }

    /// Tells what is wrong with a key; where nobody gave it, of the table that it lacks in.
    pub(super) fn tell(&self, key: &str, what: &str, mistakes: &mut Mistakes) {
        match self.keys.get(key) {
            _ if self.is_wrong(key) => {}
            Some(Place::File(span)) => mistakes.at(Some(span.clone()), format!("{key}: {what}")),
            Some(Place::Variable(name)) => mistakes.at(None, format!("{name}: {what}")),
            None => mistakes.at(self.table.clone(), what.to_owned()),
        }
    }

    /// Tells what is wrong with a key by itself: nothing else is told of it afterwards.
    pub(super) fn tell_first(&mut self, key: &str, what: &str, mistakes: &mut Mistakes) {
        self.tell(key, what, mistakes);
        self.told(key);
    }

    /// What is wrong with a key by itself is told: from now on nothing else is.
    pub(super) fn told(&mut self, key: &str) {
        self.wrong.insert(key.to_owned());
    }

    /// Whether something is told of this key already.
    pub(super) fn is_wrong(&self, key: &str) -> bool {
        self.wrong.contains(key)
    }

    /// Whether somebody gave this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }
}
