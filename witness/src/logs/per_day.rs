//! The quota of a log.

use core::fmt;
use core::str::FromStr;

/// How many requests a day: a number above zero with at most six decimals.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PerDay {
    millionths: u64, // 1..=MAX_MILLIONTHS
}

impl PerDay {
    const ONE: u64 = 1_000_000;
    /// Ten million a second: more than any witness does.
    const MAX_MILLIONTHS: u64 = 999_999_999_999 * Self::ONE;

    /// The number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a quota need not be exact to the millionth of a request")]
    pub const fn as_f64(self) -> f64 {
        self.millionths as f64 / Self::ONE as f64
    }
}

impl FromStr for PerDay {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most: usize| {
            let valid = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            if valid { text.parse::<u64>().map_err(drop) } else { Err(()) }
        };
        let places = u32::try_from(decimals.len()).map_err(drop)?;
        let decimals = digits(decimals, 6)? * 10_u64.pow(6 - places);
        let millionths = digits(whole, 12)? * Self::ONE + decimals;
        if (1..=Self::MAX_MILLIONTHS).contains(&millionths) { Ok(Self { millionths }) } else { Err(()) }
    }
}

impl fmt::Display for PerDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.millionths / Self::ONE, self.millionths % Self::ONE);
        write!(f, "{whole}")?;
        if decimals == 0 {
            return Ok(());
        }
        write!(f, ".{}", format!("{decimals:06}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_reads_what_it_prints() {
        for text in ["1", "86400", "0.5", "0.000001", "12.25", "999999999999"] {
            assert_eq!(text.parse::<PerDay>().map(|per_day| per_day.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "0", "0.0", "+1", "-1", ".5", "1.", "1e3", " 1", "0.0000001", "1000000000000"] {
            assert_eq!(bad.parse::<PerDay>(), Err(()), "{bad:?}");
        }
    }
}
