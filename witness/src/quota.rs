//! How many requests a log may do a day, as the lists say.

use std::collections::HashMap;
use std::time::Duration;

use kiln_tiles::Hash;

use crate::logs::{Log, PerDay};

const DAY: f64 = 86_400.0;

/// What a request asks for, as far as quotas go.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    /// A larger tree, which nobody but the log can sign.
    Growth,
    /// The same tree again. Whoever has the public checkpoint can ask for it, so that these never use up what the
    /// log needs to grow.
    Repeat,
}

/// The requests of all logs that have a quota. A day's worth may come at once.
#[derive(Debug, Default)]
pub(crate) struct Quotas(HashMap<(Hash, Kind), Bucket>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    filled: Duration,
}

impl Quotas {
    /// Counts a request that is about to be granted; where the day's are used up, how long until the next.
    pub(crate) fn take(&mut self, log: &Log, kind: Kind, now: Duration) -> Result<(), Duration> {
        let Some(per_day) = log.per_day.map(PerDay::as_f64) else { return Ok(()) };
        let most = per_day.max(1.0);
        let bucket = self.0.entry((log.origin_hash(), kind)).or_insert(Bucket { left: most, filled: now });
        let passed = now.saturating_sub(bucket.filled).as_secs_f64();
        bucket.left = (bucket.left + passed * per_day / DAY).min(most);
        bucket.filled = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        let seconds = ((1.0 - bucket.left) * DAY / per_day).ceil();
        Err(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(origin: &str, per_day: &str) -> Log {
        Log { per_day: per_day.parse().ok(), ..Log::new(origin.to_owned(), Vec::new()) }
    }

    #[test]
    fn a_day_has_as_many_as_the_list_says() {
        let (mut quotas, log) = (Quotas::default(), of("a", "24"));
        let at = Duration::from_secs;
        for _ in 0..24 {
            assert_eq!(quotas.take(&log, Kind::Growth, at(0)), Ok(()));
        }
        assert_eq!(quotas.take(&log, Kind::Growth, at(0)), Err(at(3600)));
        assert_eq!(quotas.take(&log, Kind::Growth, at(1800)), Err(at(1800)));
        assert_eq!(quotas.take(&log, Kind::Growth, at(3600)), Ok(()));
        assert!(quotas.take(&log, Kind::Growth, at(3600)).is_err());
        // However long it is silent, it gets no more than a day's worth.
        let granted = (0..100).filter(|_| quotas.take(&log, Kind::Growth, at(1_000_000)).is_ok()).count();
        assert_eq!(granted, 24);
    }

    #[test]
    fn strangers_who_repeat_use_up_nothing_of_the_log_nor_of_another() {
        let mut quotas = Quotas::default();
        let (log, other) = (of("a", "1"), of("b", "1"));
        assert_eq!(quotas.take(&log, Kind::Repeat, Duration::ZERO), Ok(()));
        assert!(quotas.take(&log, Kind::Repeat, Duration::ZERO).is_err());
        assert_eq!(quotas.take(&log, Kind::Growth, Duration::ZERO), Ok(()));
        assert_eq!(quotas.take(&other, Kind::Repeat, Duration::ZERO), Ok(()));
    }

    #[test]
    fn a_log_may_have_less_than_one_a_day_or_no_quota() {
        let mut quotas = Quotas::default();
        let (slow, free) = (of("a", "0.5"), of("b", ""));
        assert_eq!(quotas.take(&slow, Kind::Growth, Duration::ZERO), Ok(()));
        assert_eq!(quotas.take(&slow, Kind::Growth, Duration::ZERO), Err(Duration::from_secs(172_800)));
        assert!((0..1000).all(|_| quotas.take(&free, Kind::Growth, Duration::ZERO).is_ok()));
    }
}
