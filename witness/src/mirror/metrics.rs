//! What a mirror counts beyond what a witness does.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The counters of a mirror. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct MirrorMetrics {
    packages: Counter,
    size: Family<OfLog, Gauge<u64, AtomicU64>>,
    pulls: Family<Pull, Counter>,
    pulled: Family<OfLog, Gauge<u64, AtomicU64>>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfLog {
    origin: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Pull {
    origin: String,
    outcome: &'static str,
}

impl MirrorMetrics {
    pub(crate) fn count_packages(&self, packages: usize) {
        self.packages.inc_by(packages as u64);
    }

    pub(crate) fn set_mirrored(&self, origin: &str, size: u64) {
        self.size.get_or_create(&OfLog { origin: origin.to_owned() }).set(size);
    }

    /// Counts a look at a log that is pulled; one that found nothing wrong was at this time.
    pub(crate) fn count_pull(&self, origin: &str, outcome: &'static str, well: Option<u64>) {
        self.pulls.get_or_create(&Pull { origin: origin.to_owned(), outcome }).inc();
        if let Some(time) = well {
            self.pulled.get_or_create(&OfLog { origin: origin.to_owned() }).set(time);
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Packages of entries that were pushed and authenticated";
        registry.register("packages", help, self.packages.clone());
        registry.register("mirrored_tree_size", "Size of the mirror checkpoint", self.size.clone());
        registry.register("pulls", "Looks at logs that are pulled, by outcome", self.pulls.clone());
        let help = "When a log was last pulled, or seen to have nothing new, Unix time";
        registry.register_with_unit("pulled_timestamp", help, Unit::Seconds, self.pulled.clone());
    }
}
