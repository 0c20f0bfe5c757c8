//! When to try a request again.

use std::time::Duration;

/// The pause before the first retry; each further one doubles it.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause of our own choice.
const LONGEST: Duration = Duration::from_secs(10);

/// The longest pause that a server may ask for. One that asks for more gets no retry at all, rather
/// than one that it did not want.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait before retry number `retry`, counted from 0; `None` where the server asks for
/// more than anybody would wait.
///
/// Half of the pause is random, so that clients that failed together do not come back together.
pub(crate) fn pause(retry: u32, asked: Option<Duration>) -> Option<Duration> {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX));
    let pause = doubled.min(LONGEST);
    let jittered = pause / 2 + pause.mul_f64(random_fraction() / 2.0);
    match asked {
        Some(asked) if asked > MOST_PATIENCE => None,
        Some(asked) => Some(asked.max(jittered)),
        None => Some(jittered),
    }
}

/// A number from 0 to 1. Where the system has no randomness to give, retries come in step.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_the_server_is_heard() {
        for retry in [0, 1, 5, 31, 32, u32::MAX] {
            let pause = pause(retry, None).unwrap();
            assert!(pause >= FIRST / 2 && pause <= LONGEST, "{retry}: {pause:?}");
        }
        let asked = Duration::from_secs(30);
        assert_eq!(pause(0, Some(asked)), Some(asked));
        assert!(pause(0, Some(Duration::ZERO)).unwrap() >= FIRST / 2);
        assert_eq!(pause(0, Some(Duration::from_secs(3600))), None);
    }
}
