//! What is counted of mirrors. Each is named as the policy names it.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of all mirrors. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct MirrorCounters {
    pushes: Family<Outcome, Counter>,
    size: Family<Named, Gauge<u64, AtomicU64>>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    mirror: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Named {
    mirror: String,
}

impl MirrorCounters {
    /// Counts what became of pushing a checkpoint to a mirror, which then has so many entries.
    pub(super) fn count(&self, mirror: &str, outcome: &'static str, size: Option<u64>) {
        self.pushes.get_or_create(&Outcome { mirror: mirror.to_owned(), outcome }).inc();
        if let Some(size) = size {
            self.size.get_or_create(&Named { mirror: mirror.to_owned() }).set(size);
        }
    }

    /// Registers everything, by names without a prefix.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Checkpoints that were pushed to a mirror, by mirror and outcome";
        registry.register("mirror_pushes", help, self.pushes.clone());
        let help = "Size of the tree that a mirror signed last";
        registry.register("mirror_tree_size", help, self.size.clone());
    }
}
