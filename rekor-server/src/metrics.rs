//! What is counted, by the names that rekor-tiles has for it.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The counters of the API.
#[derive(Clone, Debug)]
pub(crate) struct RekorMetrics {
    new_entries: Counter,
    duplicates: Counter,
    requests: Family<Answered, Counter>,
    latency: Family<Answered, Histogram>,
    check_seconds: Histogram,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Answered {
    code: u16,
    method: &'static str,
}

impl Default for RekorMetrics {
    fn default() -> Self {
        Self {
            new_entries: Counter::default(),
            duplicates: Counter::default(),
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 15))),
            check_seconds: Histogram::new(exponential_buckets(0.000_02, 2.0, 15)),
        }
    }
}

impl RekorMetrics {
    pub(crate) fn count_entry(&self, known: bool) {
        if known {
            self.duplicates.inc()
        } else {
            self.new_entries.inc()
        };
    }

    pub(crate) fn count_check(&self, took: Duration) {
        self.check_seconds.observe(took.as_secs_f64());
    }

    /// Counts an answer. Methods that strangers made up are one.
    pub(crate) fn count_answer(&self, method: &kiln_http::Method, code: u16, took: Duration) {
        let method = match method.as_str() {
            "GET" => "get",
            "HEAD" => "head",
            "OPTIONS" => "options",
            "POST" => "post",
            _ => "unknown",
        };
        let answered = Answered { code, method };
        self.requests.get_or_create(&answered).inc();
        self.latency.get_or_create(&answered).observe(took.as_secs_f64());
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("rekor_v2");
        let help = "The total number of new hashedrekord log entries";
        registry.register("new_hashedrekord_entries", help, self.new_entries.clone());
        let help = "Requests for an entry that the log had already";
        registry.register("duplicate_entries", help, self.duplicates.clone());
        registry.register("http_requests", "Count all HTTP requests", self.requests.clone());
        registry.register("http_api_latency", "API Latency on HTTP calls", self.latency.clone());
        let help = "Time to read and check a request, its signature included, in seconds";
        registry.register("check_seconds", help, self.check_seconds.clone());
    }
}
