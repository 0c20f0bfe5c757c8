//! Points in time, as [protobuf's JSON] writes them: RFC 3339. Pure: nobody asks a clock here.
//!
//! [protobuf's JSON]: https://protobuf.dev/programming-guides/json/

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use x509_cert::der::DateTime;

/// A point in time from 1970 to 9999, in UTC, to the nanosecond.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(Duration); // since 1970, at most that of DateTime::INFINITY

/// The text is no point in time by RFC 3339, from 1970 to 9999.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a time by RFC 3339, from 1970 to 9999")]
pub struct ParseTimestampError;

impl Timestamp {
    /// The time that many seconds after 1970; `None` past the year 9999.
    #[must_use]
    pub fn from_unix_seconds(seconds: u64) -> Option<Self> {
        Self::new(Duration::from_secs(seconds))
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0.as_secs()
    }

    fn new(since_1970: Duration) -> Option<Self> {
        let whole = Duration::from_secs(since_1970.as_secs());
        DateTime::from_unix_duration(whole).is_ok().then_some(Self(since_1970))
    }
}

impl From<DateTime> for Timestamp {
    fn from(time: DateTime) -> Self {
        Self(time.unix_duration())
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        let (date_time, rest) = text.split_at_checked(19).ok_or(ParseTimestampError)?;
        let whole: DateTime = format!("{date_time}Z").parse().map_err(|_| ParseTimestampError)?;
        let zone = rest.find(['Z', '+', '-']).ok_or(ParseTimestampError)?;
        let nanos = parse_fraction(&rest[..zone]).ok_or(ParseTimestampError)?;
        let east = parse_zone(&rest[zone..]).ok_or(ParseTimestampError)?;
        let seconds = whole.unix_duration().as_secs().checked_add_signed(-east).ok_or(ParseTimestampError)?;
        Self::new(Duration::new(seconds, nanos)).ok_or(ParseTimestampError)
    }
}

/// Nanoseconds, from a full stop and 1 to 9 digits, or nothing.
fn parse_fraction(text: &str) -> Option<u32> {
    let Some(digits) = text.strip_prefix('.') else { return text.is_empty().then_some(0) };
    let valid = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if valid { format!("{digits:0<9}").parse().ok() } else { None }
}

/// Seconds east of Greenwich.
fn parse_zone(text: &str) -> Option<i64> {
    let (sign, hours, minutes) = match text.as_bytes() {
        b"Z" => return Some(0),
        [b'+', ..] => (1, text.get(1..3)?, text.get(3..)?),
        _ => (-1, text.get(1..3)?, text.get(3..)?),
    };
    let (hours, minutes) = (two_digits(hours, 23)?, two_digits(minutes.strip_prefix(':')?, 59)?);
    Some(sign * (hours * 3600 + minutes * 60))
}

fn two_digits(text: &str, most: i64) -> Option<i64> {
    let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok().filter(|&n| n <= most) } else { None }
}

/// Writes 0, 3, 6 or 9 digits of the fraction, as all implementations of protobuf do.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = DateTime::from_unix_duration(Duration::from_secs(self.0.as_secs()));
        let whole = whole.expect("the constructors let no other time in").to_string();
        let seconds = whole.trim_end_matches('Z');
        match self.0.subsec_nanos() {
            0 => write!(f, "{seconds}Z"),
            nanos if nanos % 1_000_000 == 0 => write!(f, "{seconds}.{:03}Z", nanos / 1_000_000),
            nanos if nanos % 1_000 == 0 => write!(f, "{seconds}.{:06}Z", nanos / 1_000),
            nanos => write!(f, "{seconds}.{nanos:09}Z"),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_as_it_was_read() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2021-01-12T11:53:27Z",
            "2022-12-31T23:59:59.999Z",
            "2024-02-29T00:00:00.000001Z",
            "9999-12-31T23:59:59.999999999Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_spellings_of_a_time_mean_the_same() {
        for (text, printed) in [
            ("2021-01-12T11:53:27.000Z", "2021-01-12T11:53:27Z"),
            ("2021-01-12T11:53:27.5Z", "2021-01-12T11:53:27.500Z"),
            ("2021-01-12T01:00:00+02:30", "2021-01-11T22:30:00Z"),
            ("2021-01-12T23:00:00.25-01:00", "2021-01-13T00:00:00.250Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), printed);
        }
        let time = Timestamp::from_unix_seconds(1_704_067_200).unwrap();
        assert_eq!(time.to_string(), "2024-01-01T00:00:00Z");
        assert_eq!(time.unix_seconds(), 1_704_067_200);
        assert_eq!(Timestamp::from_unix_seconds(u64::MAX), None);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2021-01-12",
            "2021-01-12T11:53:27",
            "2021-01-12 11:53:27Z",
            "2021-13-12T11:53:27Z",
            "2021-02-29T11:53:27Z",
            "2021-01-12T24:00:00Z",
            "2021-01-12T11:53:27z",
            "2021-01-12T11:53:27.Z",
            "2021-01-12T11:53:27.1234567890Z",
            "2021-01-12T11:53:27+24:00",
            "2021-01-12T11:53:27+0200",
            "2021-01-12T11:53:27+02:00Z",
            "1970-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2021-01-12T11:53:27Zx",
            "2021-01-12T11:53:27+é:00",
            "2021-01-12T11:53:2é7Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(ParseTimestampError), "{text:?}");
        }
    }
}
