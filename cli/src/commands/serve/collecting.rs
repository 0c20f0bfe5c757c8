//! Collecting partial tiles beside the rounds.

use std::time::Duration;

use kiln_sequencer::{CollectOptions, Sequencer};
use kiln_storage::{PartialObjects, Register, Store};
use tokio::task::JoinSet;

use crate::quantity::parse_span;
use crate::signals::Stop;

/// Whether partial tiles are collected, and when.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct GcArgs {
    /// Remove partial tiles and bundles once full ones supersede them [default: on for folders, off for
    /// object stores, where whoever writes need not be allowed to delete].
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    gc: Option<Switch>,
    /// How long a full tile is published before its partial ones go.
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
    gc_grace: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

impl GcArgs {
    /// Collects beside the sequencer until `stop` says so, if asked to or if it is `usual` for such a store.
    pub(super) fn start<S: Store + PartialObjects, G: Register>(
        self,
        beside: &mut JoinSet<()>,
        sequencer: &Sequencer<S, G>,
        usual: bool,
        stop: &Stop,
    ) {
        if self.gc.map_or(usual, |gc| gc == Switch::On) {
            let options = CollectOptions { grace: self.gc_grace, ..CollectOptions::default() };
            // Whatever it is doing can end anywhere.
            beside.spawn(sequencer.collector(options).run(stop.clone()));
        }
    }
}
