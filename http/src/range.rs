//! The `Range` header, [RFC 9110, 14](https://www.rfc-editor.org/rfc/rfc9110#section-14).

use std::ops::Range;

/// What of a body a `Range` header asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Selection {
    /// All of it. Also for what we do not do: other units, several ranges, malformed ones. A server may
    /// ignore any `Range`, and a client must take a 200.
    Whole,
    /// These bytes, at least one.
    Part(Range<usize>),
    /// Nothing that is there.
    Unsatisfiable,
}

impl Selection {
    /// Reads the header's value for a body of `length` bytes.
    pub(crate) fn of(value: &[u8], length: usize) -> Self {
        match parse(value) {
            Some(ByteRange::From { first, last }) => Self::from_first(first, last, length),
            Some(ByteRange::Suffix(suffix)) => Self::last_bytes(suffix, length),
            None => Self::Whole,
        }
    }

    fn from_first(first: usize, last: usize, length: usize) -> Self {
        if first >= length {
            Self::Unsatisfiable
        } else {
            Self::Part(first..last.saturating_add(1).min(length))
        }
    }

    fn last_bytes(suffix: usize, length: usize) -> Self {
        match (suffix, length) {
            (0, _) => Self::Unsatisfiable,
            // The whole of nothing, which no `Content-Range` can say.
            (_, 0) => Self::Whole,
            _ => Self::Part(length.saturating_sub(suffix)..length),
        }
    }
}

/// A range as it is spelled. Positions beyond `usize` are beyond every body, so they saturate.
enum ByteRange {
    From { first: usize, last: usize },
    Suffix(usize),
}

fn parse(value: &[u8]) -> Option<ByteRange> {
    let (unit, set) = std::str::from_utf8(value).ok()?.split_once('=')?;
    let (first, last) = set.trim_matches([' ', '\t']).split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    if first.is_empty() {
        return Some(ByteRange::Suffix(parse_position(last)?));
    }
    let first = parse_position(first)?;
    let last = if last.is_empty() { usize::MAX } else { parse_position(last)? };
    (first <= last).then_some(ByteRange::From { first, last })
}

fn parse_position(digits: &str) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::Selection::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        for (value, selection) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-9", Part(0..10)),
            ("bytes=2-4", Part(2..5)),
            ("bytes=2-", Part(2..10)),
            ("bytes=9-", Part(9..10)),
            ("bytes=5-99", Part(5..10)),
            ("bytes=5-99999999999999999999999", Part(5..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-10", Part(0..10)),
            ("bytes=-99999999999999999999999", Part(0..10)),
            ("BYTES=1-2", Part(1..3)),
            ("bytes= 1-2 ", Part(1..3)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-12", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=4-2", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=0-1,", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1--2", Whole),
            ("bytes=a-b", Whole),
            ("bytes=1", Whole),
            ("lines=0-1", Whole),
            ("0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(Selection::of(value.as_bytes(), 10), selection, "{value}");
        }
    }

    #[test]
    fn ranges_of_nothing() {
        for (value, selection) in
            [("bytes=0-", Unsatisfiable), ("bytes=-1", Whole), ("bytes=-0", Unsatisfiable)]
        {
            assert_eq!(Selection::of(value.as_bytes(), 0), selection, "{value}");
        }
    }

    #[test]
    fn a_header_may_hold_any_bytes() {
        assert_eq!(Selection::of(b"bytes=\xff-", 10), Whole);
    }
}
