//! Latencies, counted in buckets that are 0.8 % wide: bounded, however many there are.

use std::time::Duration;

/// How often each latency was seen.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

/// Buckets for each doubling.
const STEPS: u64 = 128;

impl Histogram {
    pub(super) fn new() -> Self {
        let most = usize::try_from(bucket(u64::MAX)).expect("a few thousand buckets");
        Self { buckets: vec![0; most + 1], count: 0, max: Duration::ZERO }
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[usize::try_from(bucket(micros)).expect("a few thousand buckets")] += 1;
        self.count += 1;
        self.max = self.max.max(latency);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn max(&self) -> Duration {
        self.max
    }

    /// The latency that `percent` of all did not exceed, to 0.8 %.
    pub(super) fn percentile(&self, percent: u64) -> Duration {
        let rank = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= rank
        };
        let found = self.buckets.iter().position(reached).unwrap_or(0);
        Duration::from_micros(upper_end(found as u64)).min(self.max)
    }
}

/// The bucket of a value: values below 256 have their own, each doubling above has 128.
const fn bucket(value: u64) -> u64 {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(8) as u64;
    shift * STEPS + (value >> shift)
}

/// The largest value of a bucket.
const fn upper_end(bucket: u64) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let lower = (bucket - shift * STEPS) << shift;
    lower + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bucket_that_is_as_narrow_as_promised() {
        for value in (0..2000).chain([u64::MAX / 3, u64::MAX]) {
            let end = upper_end(bucket(value));
            assert!(end >= value, "{value}");
            assert!(end - value <= value / STEPS, "{value}: {end}");
            assert_eq!(bucket(end), bucket(value), "{value}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let (mut even, mut odd) = (Histogram::new(), Histogram::new());
        for millis in 1..=100 {
            let half = if millis % 2 == 0 { &mut even } else { &mut odd };
            half.record(Duration::from_millis(millis));
        }
        even.merge(&odd);
        assert_eq!(even.count(), 100);
        assert_eq!(even.max(), Duration::from_millis(100));
        for percent in [50, 90, 99, 100] {
            let (exact, found) = (Duration::from_millis(percent), even.percentile(percent));
            assert!(found >= exact && found <= exact + exact / 100, "{percent}: {found:?}");
        }
        assert_eq!(Histogram::new().percentile(99), Duration::ZERO);
    }
}
