//! How much a client, and all of them together, may send.
//!
//! A token bucket: it holds `burst` entries, fills at the rate, and is one number, the time at which it will be full
//! again. Who finds an entry in it may send, and the bucket pays for all that is sent, into debt where it must: a batch
//! is longer than most bursts, and its sender then waits until it is paid off. So the rate holds in the long run,
//! whatever the size of what comes.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many entries in so much time, and at once: `100/s`, `30/min`, `100/s:1000` for a burst of 1,000.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    entries: u32,
    per: Duration,
    burst: u32,
}

/// The text is no rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a rate such as 100/s, 30/min, 1000/h, or 100/s:1000 with a burst of 1000")]
pub struct ParseRateError;

const SPANS: [(&str, Duration); 3] =
    [("s", Duration::from_secs(1)), ("min", Duration::from_secs(60)), ("h", Duration::from_secs(3600))];

impl std::str::FromStr for Rate {
    type Err = ParseRateError;

    /// Without a burst it is what comes in one second, one entry at least.
    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let (rate, burst) = text.split_once(':').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let (entries, span) = rate.split_once('/').ok_or(ParseRateError)?;
        let entries: u32 = entries.parse().map_err(|_| ParseRateError)?;
        let &(_, per) = SPANS.iter().find(|(name, _)| *name == span).ok_or(ParseRateError)?;
        let in_a_second = entries / u32::try_from(per.as_secs()).unwrap_or(u32::MAX);
        let burst = burst.map_or(Ok(in_a_second.max(1)), str::parse).map_err(|_| ParseRateError)?;
        if entries == 0 || burst == 0 { Err(ParseRateError) } else { Ok(Self { entries, per, burst }) }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let span = SPANS.iter().find(|(_, per)| *per == self.per).map_or("", |(name, _)| name);
        write!(f, "{}/{span}:{}", self.entries, self.burst)
    }
}

impl Rate {
    /// From one entry to the next, in nanoseconds.
    fn interval(&self) -> u64 {
        nanos(self.per) / u64::from(self.entries)
    }

    /// How far from full a bucket may be that still has an entry.
    fn slack(&self) -> u64 {
        self.interval().saturating_mul(u64::from(self.burst - 1))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// When a bucket is full again, in nanoseconds of its owner's clock. One that never paid is full.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
struct FullAt(u64);

impl FullAt {
    /// Whether there is an entry in it; or how long until there is.
    fn has_one(self, now: u64, rate: &Rate) -> Result<(), Duration> {
        let missing = self.0.saturating_sub(now).saturating_sub(rate.slack());
        if missing == 0 { Ok(()) } else { Err(Duration::from_nanos(missing)) }
    }

    /// Pays for so many entries.
    fn pay(&mut self, entries: u64, now: u64, rate: &Rate) {
        self.0 = self.0.max(now).saturating_add(rate.interval().saturating_mul(entries));
    }
}

/// One bucket. The times are since a start of the caller's choice.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    full_at: Mutex<FullAt>,
}

impl Bucket {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, full_at: Mutex::default() }
    }

    /// Whether there is an entry in it; or how long until there is.
    pub(crate) fn has_one(&self, now: Duration) -> Result<(), Duration> {
        lock(&self.full_at).has_one(nanos(now), &self.rate)
    }

    /// Pays for so many entries.
    pub(crate) fn pay(&self, entries: u64, now: Duration) {
        lock(&self.full_at).pay(entries, nanos(now), &self.rate);
    }
}

/// Sets of buckets, and buckets in a set: 65,536 clients in a mebibyte.
const SETS: usize = 4096;
const WAYS: usize = 16;

/// A bucket for each client, in bounded memory.
///
/// A bucket that is full is as good as none, so the table holds who sent within the last `burst / rate` or is in debt.
/// Where these are more than it has room for, a newcomer takes the place of that one, among sixteen, whose bucket is
/// full soonest. Whoever loses a place only gains: the next bucket is a full one. So
///
/// - nobody can push others out to their harm, and no newcomer is turned away for want of a place;
/// - nobody escapes a limit that way: who was refused owes most and is the last to go. It takes 65,536 addresses, each
///   with a whole burst of its own anyway, to win back a burst;
/// - nobody can aim at a set: a hash with a secret key says which one is whose.
#[derive(Debug)]
pub(crate) struct Buckets {
    rate: Rate,
    hasher: RandomState,
    sets: Box<[Mutex<Set>]>,
}

type Set = [(ClientKey, FullAt); WAYS];

/// A client among the [`Buckets`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ClientKey(u64);

impl Buckets {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, hasher: RandomState::new(), sets: (0..SETS).map(|_| Mutex::default()).collect() }
    }

    pub(crate) fn key(&self, client: impl Hash) -> ClientKey {
        ClientKey(self.hasher.hash_one(client))
    }

    /// Pays for so many entries; or says how long to wait for the first of them, and pays nothing.
    pub(crate) fn pay(&self, client: ClientKey, entries: u64, now: Duration) -> Result<(), Duration> {
        self.with(client, |bucket| {
            bucket.has_one(nanos(now), &self.rate)?;
            bucket.pay(entries, nanos(now), &self.rate);
            Ok(())
        })
    }

    /// Pays for so many entries, whatever there is to pay with.
    pub(crate) fn owe(&self, client: ClientKey, entries: u64, now: Duration) {
        self.with(client, |bucket| bucket.pay(entries, nanos(now), &self.rate));
    }

    fn with<T>(&self, client: ClientKey, act: impl FnOnce(&mut FullAt) -> T) -> T {
        let set = usize::try_from(client.0 % SETS as u64).expect("less than SETS");
        let mut set = lock(&self.sets[set]);
        let place = set.iter().position(|(key, _)| *key == client);
        let place = place.unwrap_or_else(|| soonest_full(&set));
        if set[place].0 != client {
            set[place] = (client, FullAt::default());
        }
        act(&mut set[place].1)
    }
}

fn soonest_full(set: &Set) -> usize {
    (0..WAYS).min_by_key(|&place| set[place].1).unwrap_or(0)
}

/// No panic leaves a bucket half paid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pays, if there is something to pay with.
    fn pay(bucket: &Bucket, entries: u64, now: Duration) -> Result<(), Duration> {
        bucket.has_one(now).inspect(|()| bucket.pay(entries, now))
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn a_rate_reads_as_people_write_it() {
        for (text, shown) in [
            ("100/s", "100/s:100"),
            ("100/s:1000", "100/s:1000"),
            ("30/min", "30/min:1"),
            ("7200/h", "7200/h:2"),
            ("1/h:5", "1/h:5"),
        ] {
            assert_eq!(rate(text).to_string(), shown, "{text}");
        }
        for bad in ["", "100", "/s", "0/s", "1/s:0", "-1/s", "1/", "1/day", "1/s:", "1.5/s", "99999999999/s"]
        {
            assert_eq!(bad.parse::<Rate>(), Err(ParseRateError), "{bad}");
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let bucket = Bucket::new(rate("10/s:5"));
        for _ in 0..5 {
            assert_eq!(pay(&bucket, 1, SECOND), Ok(()));
        }
        assert_eq!(pay(&bucket, 1, SECOND), Err(Duration::from_millis(100)));
        assert_eq!(pay(&bucket, 1, SECOND + Duration::from_millis(100)), Ok(()));
        assert_eq!(pay(&bucket, 1, SECOND + Duration::from_millis(150)), Err(Duration::from_millis(50)));
        let later = 60 * SECOND;
        assert_eq!(
            (0..100).filter(|_| pay(&bucket, 1, later).is_ok()).count(),
            5,
            "no more than a burst is saved up"
        );
    }

    /// A batch above the burst could never be sent; a limit that lets it pass for one entry's price is none.
    #[test]
    fn a_batch_is_paid_for_whatever_its_size() {
        let bucket = Bucket::new(rate("100/s"));
        assert_eq!(pay(&bucket, 4096, SECOND), Ok(()));
        assert_eq!(
            pay(&bucket, 1, SECOND),
            Err(Duration::from_millis(39_970)),
            "4,096 entries less 99 in hand"
        );
        assert_eq!(pay(&bucket, 4096, 42 * SECOND), Ok(()));
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let bucket = Bucket::new(rate("1/s"));
        assert_eq!(pay(&bucket, 1, SECOND), Ok(()));
        for _ in 0..1000 {
            assert!(pay(&bucket, 1, SECOND).is_err());
        }
        assert_eq!(pay(&bucket, 1, 2 * SECOND), Ok(()));
    }

    #[test]
    fn clients_have_buckets_of_their_own() {
        let buckets = Buckets::new(rate("1/s"));
        let [one, other] = ["one", "other"].map(|name| buckets.key(name));
        assert_eq!(buckets.pay(one, 1, SECOND), Ok(()));
        assert_eq!(buckets.pay(one, 1, SECOND), Err(SECOND));
        assert_eq!(buckets.pay(other, 1, SECOND), Ok(()));
    }

    /// Twenty times as many strangers as there are places come between. The one who sent too much is still refused, and
    /// the one who sent a little still served.
    #[test]
    fn a_crowd_of_strangers_frees_nobody_and_harms_nobody() {
        let buckets = Buckets::new(rate("1/s:10"));
        let [greedy, modest] = ["greedy", "modest"].map(|name| buckets.key(name));
        while buckets.pay(greedy, 1, SECOND).is_ok() {}
        assert_eq!(buckets.pay(modest, 1, SECOND), Ok(()));
        for stranger in 0..20 * SETS * WAYS {
            assert_eq!(buckets.pay(buckets.key(stranger), 1, SECOND), Ok(()), "no stranger is turned away");
        }
        assert!(buckets.pay(greedy, 1, SECOND).is_err(), "a limit was escaped");
        assert_eq!(buckets.pay(modest, 1, SECOND), Ok(()));
    }

    #[test]
    fn the_longest_debt_does_not_overflow() {
        let bucket = Bucket::new(rate("1/h"));
        assert_eq!(pay(&bucket, u64::MAX, SECOND), Ok(()));
        assert!(pay(&bucket, 1, 1000 * SECOND).is_err());
    }
}
