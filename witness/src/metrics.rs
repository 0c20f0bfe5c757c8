//! What a witness counts. Labels are routes, outcomes, and the origins of logs that lists name: nothing that a
//! stranger makes up.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::evidence::Case;
use crate::record::Record;

type Level = Gauge<u64, AtomicU64>;

/// The counters of a witness. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    http_requests: Family<Answered, Counter>,
    requests: Family<Outcome, Counter>,
    log_requests: Family<LogOutcome, Counter>,
    log_size: Family<OfLog, Level>,
    log_time: Family<OfLog, Level>,
    logs: Level,
    list_reads: Family<ListOutcome, Counter>,
    commit_seconds: Histogram,
    commit_requests: Histogram,
    sign_seconds: Histogram,
    evidence: Family<Kept, Counter>,
    bastions: Family<OfBastion, Level>,
    ready: Level,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Answered {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    call: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct LogOutcome {
    origin: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfLog {
    origin: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ListOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Kept {
    case: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfBastion {
    bastion: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_1, 2.0, 16));
        Self {
            http_requests: Family::default(),
            requests: Family::default(),
            log_requests: Family::default(),
            log_size: Family::default(),
            log_time: Family::default(),
            logs: Level::default(),
            list_reads: Family::default(),
            commit_seconds: seconds(),
            commit_requests: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            sign_seconds: seconds(),
            evidence: Family::default(),
            bastions: Family::default(),
            ready: Level::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn count_answer(&self, route: &'static str, status: u16) {
        self.http_requests.get_or_create(&Answered { route, status }).inc();
    }

    pub(crate) fn count_outcome(&self, call: &'static str, outcome: &'static str) {
        self.requests.get_or_create(&Outcome { call, outcome }).inc();
    }

    /// Counts what became of a checkpoint that its log signed.
    pub(crate) fn count_of_log(&self, origin: &str, outcome: &'static str) {
        self.log_requests.get_or_create(&LogOutcome { origin: origin.to_owned(), outcome }).inc();
    }

    pub(crate) fn set_log(&self, origin: &str, record: &Record) {
        let log = OfLog { origin: origin.to_owned() };
        self.log_size.get_or_create(&log).set(record.head().size());
        self.log_time.get_or_create(&log).set(record.time());
    }

    pub(crate) fn count_list(&self, outcome: &'static str) {
        self.list_reads.get_or_create(&ListOutcome { outcome }).inc();
    }

    pub(crate) fn count_commit(&self, requests: usize, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.commit_requests.observe(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
    }

    pub(crate) fn count_signing(&self, took: Duration) {
        self.sign_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn count_evidence(&self, case: Case, outcome: &'static str) {
        self.evidence.get_or_create(&Kept { case: case.name(), outcome }).inc();
    }

    pub(crate) fn set_bastion(&self, bastion: &str, connected: bool) {
        let bastion = OfBastion { bastion: bastion.to_owned() };
        self.bastions.get_or_create(&bastion).set(u64::from(connected));
    }

    /// Everything in OpenMetrics' text form, by names that begin with `prefix`, and what `more` registers.
    pub(crate) fn encode(
        &self,
        prefix: &str,
        logs: usize,
        ready: bool,
        more: impl FnOnce(&mut Registry),
    ) -> String {
        self.logs.set(logs as u64);
        self.ready.set(u64::from(ready));
        let mut registry = Registry::with_prefix(prefix);
        self.register(&mut registry);
        more(&mut registry);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }

    fn register(&self, registry: &mut Registry) {
        let help = "Requests answered, by route and status";
        registry.register("http_requests", help, self.http_requests.clone());
        let help = "Calls of add-checkpoint, add-entries and sign-subtree, by outcome";
        registry.register("requests", help, self.requests.clone());
        let help = "Checkpoints signed by the log, by outcome";
        registry.register("log_requests", help, self.log_requests.clone());
        registry.register("log_tree_size", "Size of the latest checkpoint granted", self.log_size.clone());
        let help = "Time of the latest cosignature granted, Unix time";
        registry.register_with_unit("log_timestamp", help, Unit::Seconds, self.log_time.clone());
        registry.register("logs", "Logs that are known", self.logs.clone());
        registry.register("list_reads", "Lists of logs read, by outcome", self.list_reads.clone());
        let help = "Time to decide and commit what waited";
        registry.register_with_unit("commit_duration", help, Unit::Seconds, self.commit_seconds.clone());
        registry.register("commit_requests", "Requests of one commit", self.commit_requests.clone());
        let help = "Time to sign with all keys, the wait for a core included";
        registry.register_with_unit("sign_duration", help, Unit::Seconds, self.sign_seconds.clone());
        let help = "Refusals that speak against a log, by case, and whether they were kept";
        registry.register("evidence", help, self.evidence.clone());
        registry.register("bastion_connected", "1 while connected to the bastion", self.bastions.clone());
        registry.register("ready", "1 when checkpoints are cosigned", self.ready.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::default();
        metrics.count_answer("/add-checkpoint", 200);
        metrics.count_outcome("add-checkpoint", "conflict");
        metrics.count_of_log("example.com/log", "cosigned");
        metrics.count_commit(3, Duration::from_millis(2));
        metrics.count_evidence(Case::Fork, "kept");
        metrics.set_bastion("b.example:443", true);
        let text = metrics.encode("kiln_witness", 2, true, |_| {});
        for line in [
            "kiln_witness_http_requests_total{route=\"/add-checkpoint\",status=\"200\"} 1",
            "kiln_witness_requests_total{call=\"add-checkpoint\",outcome=\"conflict\"} 1",
            "kiln_witness_log_requests_total{origin=\"example.com/log\",outcome=\"cosigned\"} 1",
            "kiln_witness_logs 2",
            "kiln_witness_commit_duration_seconds_count 1",
            "kiln_witness_evidence_total{case=\"fork\",outcome=\"kept\"} 1",
            "kiln_witness_bastion_connected{bastion=\"b.example:443\"} 1",
            "kiln_witness_ready 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
