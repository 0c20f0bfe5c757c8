//! What is counted of witnesses. Each is named as the policy names it.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Counters of all witnesses. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    requests: Family<Outcome, Counter>,
    size: Family<Named, Gauge<u64, AtomicU64>>,
    cosigned: Family<Named, Gauge<u64, AtomicU64>>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    witness: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Named {
    witness: String,
}

impl Counters {
    /// Counts what became of asking a witness to cosign.
    pub(super) fn count(&self, witness: &str, outcome: &'static str) {
        self.requests.get_or_create(&Outcome { witness: witness.to_owned(), outcome }).inc();
    }

    /// The witness cosigned a tree of this size, at its own time.
    pub(super) fn cosigned(&self, witness: &str, size: u64, time: u64) {
        let named = Named { witness: witness.to_owned() };
        self.size.get_or_create(&named).set(size);
        self.cosigned.get_or_create(&named).set(time);
    }

    /// Registers everything, by names without a prefix.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Checkpoints that a witness was asked to cosign, by witness and outcome";
        registry.register("witness_requests", help, self.requests.clone());
        let help = "Size of the tree that a witness cosigned last";
        registry.register("witness_tree_size", help, self.size.clone());
        let (unit, help) = (Unit::Seconds, "When a witness cosigned last by its own clock, Unix time");
        registry.register_with_unit("witness_cosigned_timestamp", help, unit, self.cosigned.clone());
    }
}
