//! What a log counts, in the field's words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::collect::CollectError;
use crate::failed_round::RoundError;
use crate::log::Log;
use crate::mirrors::MirrorCounters;
use crate::witnesses::Counters;

/// The counters of one log. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    rounds: Family<Outcome, Counter>,
    round_seconds: Histogram,
    step_seconds: Family<Step, Histogram>,
    entries: Counter,
    duplicates: Counter,
    sizes: Arc<Sizes>,
    tree_size: Gauge<u64, AtomicU64>,
    unpublished: Gauge<u64, AtomicU64>,
    published: Gauge<u64, AtomicU64>,
    requests: Family<Answered, Counter>,
    pool_entries: Gauge<u64, AtomicU64>,
    pool_bytes: Gauge<u64, AtomicU64>,
    ready: Gauge<u64, AtomicU64>,
    frozen: Gauge<u64, AtomicU64>,
    gc_removed: Counter,
    gc_errors: Family<Failed, Counter>,
    gc_waiting: Gauge<u64, AtomicU64>,
    gc_last_sweep: Gauge<u64, AtomicU64>,
    witnesses: Counters,
    mirrors: MirrorCounters,
}

/// What is known of the sizes of a log's trees.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    committed: AtomicU64,
    published: AtomicU64,
}

impl Sizes {
    /// What a load found, before it finishes what is not published.
    pub(crate) fn found(&self, committed: u64, published: u64) {
        self.published.store(published, Ordering::Relaxed);
        self.committed.store(committed, Ordering::Relaxed);
    }

    fn unpublished(&self) -> u64 {
        self.committed.load(Ordering::Relaxed).saturating_sub(self.published.load(Ordering::Relaxed))
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

/// A step of a round: `commit`, `settle`, `publish`, or `refresh` where cosignatures are asked for anew.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Step {
    step: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Failed {
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Answered {
    route: &'static str,
    status: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            rounds: Family::default(),
            round_seconds: seconds(),
            step_seconds: Family::new_with_constructor(seconds),
            entries: Counter::default(),
            duplicates: Counter::default(),
            sizes: Arc::default(),
            tree_size: Gauge::default(),
            unpublished: Gauge::default(),
            published: Gauge::default(),
            requests: Family::default(),
            pool_entries: Gauge::default(),
            pool_bytes: Gauge::default(),
            ready: Gauge::default(),
            frozen: Gauge::default(),
            gc_removed: Counter::default(),
            gc_errors: Family::default(),
            gc_waiting: Gauge::default(),
            gc_last_sweep: Gauge::default(),
            witnesses: Counters::default(),
            mirrors: MirrorCounters::default(),
        }
    }
}

/// From a millisecond to a quarter of a minute.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

impl Metrics {
    /// The counters of this log, its witnesses' included.
    pub(crate) fn of<S, G>(log: &Log<S, G>) -> Self {
        let witnesses =
            log.witnesses.as_ref().map(|witnesses| witnesses.counters.clone()).unwrap_or_default();
        let metrics = Self { witnesses, sizes: log.sizes.clone(), ..Self::default() };
        // From the start, at zero: whoever watches for growth would miss the first of what was not there before.
        for outcome in ["ok"].iter().chain(&RoundError::LABELS) {
            drop(metrics.rounds.get_or_create(&Outcome { outcome }));
        }
        for kind in CollectError::LABELS {
            drop(metrics.gc_errors.get_or_create(&Failed { kind }));
        }
        metrics
    }

    /// What is counted of mirrors.
    pub(crate) const fn mirrors(&self) -> &MirrorCounters {
        &self.mirrors
    }

    /// Counts a round that was published, and the entries that it added.
    pub(crate) fn count_round(&self, entries: usize, took: Duration) {
        self.rounds.get_or_create(&Outcome { outcome: "ok" }).inc();
        self.round_seconds.observe(took.as_secs_f64());
        self.entries.inc_by(entries as u64);
    }

    /// Counts the end of the rounds in flight, by why.
    pub(crate) fn count_failed_round(&self, outcome: &'static str) {
        self.rounds.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts a step of a round, or of several that were taken together.
    pub(crate) fn count_step(&self, step: &'static str, took: Duration) {
        self.step_seconds.get_or_create(&Step { step }).observe(took.as_secs_f64());
    }

    /// Counts entries that were submitted again, and got the index that they have.
    pub(crate) fn count_duplicates(&self, entries: usize) {
        self.duplicates.inc_by(entries as u64);
    }

    /// This process committed a tree of this size.
    pub(crate) fn set_committed(&self, size: u64) {
        self.sizes.committed.store(size, Ordering::Relaxed);
    }

    pub(crate) fn set_published(&self, size: u64, unix_time: u64) {
        self.tree_size.set(size);
        self.sizes.published.store(size, Ordering::Relaxed);
        self.published.set(unix_time);
    }

    /// Counts a request that was answered.
    pub fn count_request(&self, route: &'static str, status: u16) {
        self.requests.get_or_create(&Answered { route, status }).inc();
    }

    pub(crate) fn set_now(&self, (entries, bytes): (usize, usize), ready: bool, frozen: bool) {
        self.pool_entries.set(entries as u64);
        self.pool_bytes.set(bytes as u64);
        // Where another process writes, what is published is soon beyond what this one committed.
        self.unpublished.set(self.sizes.unpublished());
        self.ready.set(u64::from(ready));
        self.frozen.set(u64::from(frozen));
    }

    /// Counts partial tiles and bundles that were removed.
    pub(crate) fn count_collected(&self, objects: u64) {
        self.gc_removed.inc_by(objects);
    }

    /// Counts a removal or a sweep that failed, by why.
    pub(crate) fn count_collect_error(&self, kind: &'static str) {
        self.gc_errors.get_or_create(&Failed { kind }).inc();
    }

    pub(crate) fn set_uncollected(&self, tiles: usize) {
        self.gc_waiting.set(tiles as u64);
    }

    pub(crate) fn set_last_sweep(&self, unix_time: u64) {
        self.gc_last_sweep.set(unix_time);
    }

    /// Everything in OpenMetrics' text form, by names that begin with `kiln`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut registry = Registry::with_prefix("kiln");
        self.register(&mut registry);
        exposition(&registry)
    }

    /// Registers everything, by names without a prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("rounds", "Rounds that fired, by outcome", self.rounds.clone());
        let (unit, help) = (Unit::Seconds, "Time from the start of a round to its publication");
        registry.register_with_unit("round_duration", help, unit, self.round_seconds.clone());
        let (unit, help) = (Unit::Seconds, "Time of the steps of rounds, and of refreshing cosignatures");
        registry.register_with_unit("round_step_duration", help, unit, self.step_seconds.clone());
        registry.register("entries", "Entries added by this process", self.entries.clone());
        let help = "Entries submitted to this process that the log had already";
        registry.register("duplicates", help, self.duplicates.clone());
        registry.register("tree_size", "Size of the tree published last", self.tree_size.clone());
        let help = "Entries that have an index and are not published yet, as far as this process knows";
        registry.register("unpublished_entries", help, self.unpublished.clone());
        let (unit, help) =
            (Unit::Seconds, "When this process saw the newest checkpoint published, Unix time");
        registry.register_with_unit("published_timestamp", help, unit, self.published.clone());
        registry.register("http_requests", "Requests answered, by route and status", self.requests.clone());
        registry.register("pool_entries", "Entries that wait for a round", self.pool_entries.clone());
        registry.register("pool_bytes", "Bytes of the entries that wait", self.pool_bytes.clone());
        let help = "1 when the log does what it should: takes entries, or, being frozen, is read";
        registry.register("ready", help, self.ready.clone());
        registry.register("frozen", "1 when the log has ended", self.frozen.clone());
        registry.register("gc_removed", "Partial tiles and bundles removed", self.gc_removed.clone());
        registry.register("gc_errors", "Removals and sweeps that failed, by kind", self.gc_errors.clone());
        let help = "Partial tiles of this process's rounds that are not removed yet";
        registry.register("gc_waiting_tiles", help, self.gc_waiting.clone());
        let (unit, help) = (Unit::Seconds, "When the last sweep over all partial tiles ended, Unix time");
        registry.register_with_unit("gc_last_sweep_timestamp", help, unit, self.gc_last_sweep.clone());
        self.witnesses.register(registry);
        self.mirrors.register(registry);
    }
}

/// What is registered, in OpenMetrics' text form.
#[must_use]
pub fn exposition(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::default();
        metrics.count_round(3, Duration::from_millis(20));
        metrics.count_failed_round("storage");
        metrics.set_committed(15);
        metrics.set_published(12, 1_700_000_001);
        metrics.set_now((2, 10), true, false);
        metrics.count_step("commit", Duration::from_millis(5));
        metrics.count_duplicates(2);
        metrics.count_collected(7);
        metrics.count_collect_error("denied");
        metrics.set_last_sweep(1_700_000_000);
        metrics.count_request("/add", 200);
        let text = metrics.encode();
        for line in [
            "kiln_rounds_total{outcome=\"ok\"} 1",
            "kiln_rounds_total{outcome=\"storage\"} 1",
            "kiln_entries_total 3",
            "kiln_tree_size 12",
            "kiln_unpublished_entries 3",
            "kiln_pool_entries 2",
            "kiln_published_timestamp_seconds 1700000001",
            "kiln_round_step_duration_seconds_count{step=\"commit\"} 1",
            "kiln_duplicates_total 2",
            "kiln_gc_removed_total 7",
            "kiln_gc_errors_total{kind=\"denied\"} 1",
            "kiln_gc_last_sweep_timestamp_seconds 1700000000",
            "kiln_http_requests_total{route=\"/add\",status=\"200\"} 1",
            "kiln_round_duration_seconds_count 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
