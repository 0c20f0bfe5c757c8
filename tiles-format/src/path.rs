//! What the paths of tiles and entry bundles share: `<N>[.p/<W>]`.

use core::fmt;

use crate::text::{self, MAX_TREE_SIZE};

/// The largest `<N>`: no tree has more leaves, so none has more tiles.
pub(crate) const MAX_INDEX: u64 = MAX_TREE_SIZE;

/// How much of a tile or bundle is there: 1 to 256, where 256 is full.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Width(u16);

impl Width {
    pub(crate) const FULL: Self = Self(256);

    pub(crate) fn new(width: u16) -> Option<Self> {
        (1..=Self::FULL.0).contains(&width).then_some(Self(width))
    }

    pub(crate) const fn get(self) -> u16 {
        self.0
    }

    pub(crate) const fn is_full(self) -> bool {
        self.0 == Self::FULL.0
    }
}

/// Writes `<N>` in groups of three digits, all but the last marked with an `x`, then the width
/// where it is partial.
pub(crate) fn write_index_and_width(f: &mut fmt::Formatter<'_>, index: u64, width: Width) -> fmt::Result {
    write_group(f, index / 1000)?;
    write!(f, "{:03}", index % 1000)?;
    if width.is_full() { Ok(()) } else { write!(f, ".p/{}", width.0) }
}

fn write_group(f: &mut fmt::Formatter<'_>, higher: u64) -> fmt::Result {
    if higher == 0 {
        return Ok(());
    }
    write_group(f, higher / 1000)?;
    write!(f, "x{:03}/", higher % 1000)
}

/// Reads `<N>[.p/<W>]`, not only in its canonical spelling: callers print and compare.
pub(crate) fn parse_index_and_width(text: &str) -> Option<(u64, Width)> {
    let (index, width) = match text.split_once(".p/") {
        Some((index, width)) => (index, Width::new(text::parse_decimal(width)?.try_into().ok()?)?),
        None => (text, Width::FULL),
    };
    let mut number = 0_u64;
    for group in index.split('/') {
        let digits: u64 = group.trim_start_matches('x').parse().ok()?;
        number = number.checked_mul(1000)?.checked_add(digits)?;
    }
    Some((number, width))
}
