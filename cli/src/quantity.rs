//! Numbers of bytes and spans of time, as people type and read them.

use std::time::Duration;

use clap::builder::RangedU64ValueParser;

/// The text is no number of bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a number of bytes, such as 4096, 512KiB, 16MiB or 1GiB")]
pub(crate) struct ParseBytesError;

/// A number of bytes: digits, and maybe `KiB`, `MiB` or `GiB`.
pub(crate) fn parse_bytes(text: &str) -> Result<usize, ParseBytesError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(ParseBytesError),
    };
    let number: usize = number.parse().map_err(|_| ParseBytesError)?;
    number.checked_mul(1 << shift).filter(|&bytes| bytes > 0).ok_or(ParseBytesError)
}

/// The text is no span of time, or none that makes sense here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a span of time from 1ms to 1day, such as 500ms, 1s or 5min")]
pub(crate) struct ParseSpanError;

/// A span of time of a millisecond or more.
pub(crate) fn parse_span(text: &str) -> Result<Duration, ParseSpanError> {
    let bounds = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
    humantime::parse_duration(text).ok().filter(|span| bounds.contains(span)).ok_or(ParseSpanError)
}

/// A number of things of which none is none that makes sense.
pub(crate) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// How many a second, for people.
pub(crate) fn per_second(count: u64, took: Duration) -> f64 {
    // Below 2^53, which no run reaches, this is exact.
    #[expect(clippy::cast_precision_loss, reason = "a rate is an approximation")]
    let count = count as f64;
    count / took.as_secs_f64().max(1e-9)
}

/// A number with commas.
pub(crate) fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// A rate with commas, and without a fraction that nobody can rely on.
pub(crate) fn rounded(rate: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is a small, positive number"
    )]
    grouped(rate.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_binary_units() {
        for (text, bytes) in
            [("1", 1), ("4096B", 4096), ("2KiB", 2048), ("16MiB", 16 << 20), ("1 GiB", 1 << 30)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for bad in ["", "0", "MiB", "1MB", "-1", "1.5MiB", "99999999999999999999", "99999999999GiB"] {
            assert_eq!(parse_bytes(bad), Err(ParseBytesError), "{bad}");
        }
    }

    #[test]
    fn spans_are_bounded() {
        assert_eq!(parse_span("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(parse_span("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "1", "0s", "1us", "2days"] {
            assert_eq!(parse_span(bad), Err(ParseSpanError), "{bad}");
        }
    }
}
