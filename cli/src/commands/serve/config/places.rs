//! Where the keys of one table stand, so that what is wrong with them is told there.

use std::collections::HashMap;
use std::ops::Range;

use super::mistakes::Mistakes;

/// The places of a table and of its keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    table: Option<Range<usize>>,
    keys: HashMap<String, Place>,
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
        Self { table, keys: HashMap::new() }
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
            Some(Place::File(span)) => mistakes.at(Some(span.clone()), format!("{key}: {what}")),
            Some(Place::Variable(name)) => mistakes.at(None, format!("{name}: {what}")),
            None => mistakes.at(self.table.clone(), what.to_owned()),
        }
    }

    /// Whether somebody gave this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }
}
