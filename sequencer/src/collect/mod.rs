//! Collecting: partial tiles and bundles go when the full ones have been published for a while.
//!
//! | who | knows what was published by | finds partial objects by |
//! |---|---|---|
//! | [`Collector`], beside the writer | watching its own process | the sizes of its rounds; now and then a sweep |
//! | `kiln gc`, with a [`Sweep`] | reading the checkpoint, a grace period before | listing the store |
//!
//! Both go by one rule, which stands in `rule`. What is removed can come back, by a write that arrives late
//! or a load that applies the rounds of the head again: so no watermark is kept, and each sweep looks at
//! everything.

mod pending;
mod rule;
mod sweep;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kiln_storage::{PartialObjects, PartialPath, Register, Store};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::failed_round::back_off;
use crate::sequencer::{Sequencer, Shared, stopped};
use crate::state::Status;
pub(crate) use pending::Pending;
use rule::Publications;
pub use sweep::{CollectError, Sweep, Swept};

/// How partial objects are collected beside a writer.
#[derive(Clone, Copy, Debug)]
pub struct CollectOptions {
    /// How long a tree is published before what it supersedes may go.
    pub grace: Duration,
    /// The time from one sweep to the next. The first one comes a grace period after the start.
    pub sweep_interval: Duration,
    /// How many partial tiles of this process's rounds are remembered, 16 bytes each. A sweep finds the others.
    pub room: usize,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self { grace: GRACE, sweep_interval: Duration::from_secs(3600), room: 1 << 18 }
    }
}

/// Longer than a reader needs from the checkpoint to the last tile, and than caches keep a checkpoint.
const GRACE: Duration = Duration::from_secs(60);

/// How often in a grace period it is looked what is published.
const LOOKS: u32 = 60;

/// How many partial tiles are taken together; as many bundles may go with them.
const AT_ONCE: usize = 500;

/// How often a removal is tried before it is left for the next sweep.
const TRIES: u32 = 5;

/// How long to wait before a sweep that failed is begun again: at first.
const PAUSE: Duration = Duration::from_secs(10);

/// Collects partial objects while its process writes the log. A round neither waits for it nor fails with it.
#[derive(Debug)]
pub struct Collector<S, G> {
    shared: Arc<Shared<S, G>>,
    options: CollectOptions,
    /// Whether the store does not let this process remove anything. Each sweep asks anew.
    denied: AtomicBool,
    /// Whether the last removal failed, and somebody was told.
    complained: AtomicBool,
}

impl<S: Store + PartialObjects, G: Register> Sequencer<S, G> {
    /// What collects the partial objects of this log, until it is dropped or stopped. From now on the
    /// rounds are remembered for it.
    #[must_use]
    pub fn collector(&self, options: CollectOptions) -> Collector<S, G> {
        self.shared.pending.make_room(options.room);
        let (shared, denied, complained) = (self.shared(), AtomicBool::new(false), AtomicBool::new(false));
        Collector { shared, options, denied, complained }
    }
}

impl<S: Store + PartialObjects, G: Register> Collector<S, G> {
    /// Collects until `stop` says so, whenever this process is the one that writes.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let (aging, aged) = watch::channel(0);
        let collect = async {
            tokio::join!(self.look(&aging), self.collect_rounds(aged.clone()), self.sweep_again(aged.clone()))
        };
        tokio::select! {
            () = stopped(&mut stop) => {}
            _ = collect => {}
        }
    }

    /// Looks what is published, and tells the others how large the tree is by which objects may go.
    async fn look(&self, aging: &watch::Sender<u64>) {
        let mut publications = Publications::new(self.options.grace);
        loop {
            sleep((self.options.grace / LOOKS).max(Duration::from_millis(1))).await;
            match self.published_here() {
                Some(size) => publications.see(size, Instant::now()),
                None => publications = Publications::new(self.options.grace),
            }
            aging.send_replace(publications.aged(Instant::now()));
            self.shared.metrics.set_uncollected(self.shared.pending.len());
        }
    }

    /// The size of the published tree, if this process writes the log, or would if it had not ended: a standby
    /// collects nothing.
    fn published_here(&self) -> Option<u64> {
        let state = self.shared.state();
        let writes =
            matches!(state.status, Status::Ready | Status::Stalled | Status::Unwitnessed | Status::Frozen(_));
        state.published.filter(|_| writes).map(|published| published.head().size())
    }

    /// Collects what this process's own rounds wrote, as fast as the store removes.
    async fn collect_rounds(&self, mut aged: watch::Receiver<u64>) {
        while aged.changed().await.is_ok() {
            let size = *aged.borrow_and_update();
            while !self.denied.load(Ordering::Relaxed) {
                let batch = self.shared.pending.take(size, AT_ONCE);
                if batch.is_empty() {
                    break;
                }
                self.remove(batch, size).await;
            }
        }
    }

    /// Removes these, or leaves them for the next sweep.
    async fn remove(&self, batch: Vec<PartialPath>, aged: u64) {
        for attempt in 0..TRIES {
            match self.sweep(aged).remove_all(batch.clone()).await {
                Ok(()) => {
                    self.shared.metrics.count_collected(batch.len() as u64);
                    self.complained.store(false, Ordering::Relaxed);
                    return;
                }
                Err(error) if self.goes_on_after(&error) => back_off(attempt).await,
                Err(_) => return,
            }
        }
    }

    /// Sweeps the store when this process has become the writer, and now and then.
    async fn sweep_again(&self, mut aged: watch::Receiver<u64>) {
        let mut pause = PAUSE;
        while let Ok(size) = aged.wait_for(|size| *size > 0).await.map(|size| *size) {
            self.denied.store(false, Ordering::Relaxed);
            pause = match self.sweep_once(size).await {
                Err(error) if self.goes_on_after(&error) => {
                    sleep(pause).await;
                    (pause * 2).min(self.options.sweep_interval)
                }
                _ => {
                    sleep(self.options.sweep_interval).await;
                    PAUSE
                }
            };
        }
    }

    async fn sweep_once(&self, aged: u64) -> Result<(), CollectError> {
        let (metrics, mut counted) = (&self.shared.metrics, 0);
        let count = |swept: &Swept| {
            metrics.count_collected(swept.superseded - counted);
            counted = swept.superseded;
        };
        let swept = self.sweep(aged).remove(count).await?;
        self.complained.store(false, Ordering::Relaxed);
        metrics.set_last_sweep(self.shared.log.environment.0.unix_time());
        if let Some(missing) = &swept.missing {
            tracing::error!(%missing, "the log is damaged: a full tile or bundle is gone, its partial ones are kept");
        }
        tracing::debug!(seen = swept.seen, removed = swept.superseded, "swept partial tiles and bundles");
        Ok(())
    }

    fn sweep(&self, aged: u64) -> Sweep<'_, S> {
        Sweep::new(self.shared.log.store(), self.shared.log.trusted(), aged)
    }

    /// Counts an error, and says so if it is the first. Whether there is any use in trying again soon.
    fn goes_on_after(&self, error: &CollectError) -> bool {
        self.shared.metrics.count_collect_error(error.label());
        let told = self.complained.swap(true, Ordering::Relaxed);
        if error.is_denied() {
            self.denied.store(true, Ordering::Relaxed);
            if !told {
                tracing::info!(%error, "partial tiles stay: the store does not let this process remove them");
            }
            return false;
        }
        if !told {
            tracing::warn!(%error, "partial tiles are not collected at the moment; the log goes on");
        }
        true
    }
}
