//! All that is wrong with a configuration, each with its place.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use crate::failure::without_secrets;

/// What is wrong, and where; without a place it is wrong with the whole.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<(Option<Range<usize>>, Cow<'static, str>)>);

impl Mistakes {
    pub(super) fn at(&mut self, place: Option<Range<usize>>, what: impl Into<Cow<'static, str>>) {
        self.0.push((place, what.into()));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As compilers tell it: a line each, which begins with file, line and column.
    pub(super) fn told(mut self, file: &Path, text: &str) -> String {
        self.0.sort_by_key(|(place, _)| place.as_ref().map_or(usize::MAX, |place| place.start));
        let file = file.display();
        let lines = self.0.iter().map(|(place, what)| match place {
            Some(place) => {
                let (line, column) = position(text, place.start);
                format!("{file}:{line}:{column}: {what}")
            }
            None => format!("{file}: {what}"),
        });
        without_secrets(&lines.collect::<Vec<_>>().join("\n")).into_owned()
    }
}

/// Line and column, from 1 on, the column in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}
