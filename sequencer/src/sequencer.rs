//! The sequencer: fires a round when it is due, and loads the log anew when one failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use kiln_storage::{Register, Store};
use kiln_tiles::{SignedCheckpoint, SignedEnd, TreeHead};
use tokio::sync::{Mutex, watch};

use crate::collect::Pending;
use crate::failed_round::RoundError;
use crate::lease::{Holder, Lease, Seen};
use crate::load::LoadError;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::mirrors::LateLines;
use crate::pool::{Pool, PoolLimits};
use crate::round::Writer;
use crate::state::{State, Status};

/// How a log is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The shortest time from the start of a round to that of the next.
    pub interval: Duration,
    /// What may wait, and what makes a round start early.
    pub pool: PoolLimits,
    /// A head that a person vouches for, where the guard is missing.
    pub accept_head: Option<TreeHead>,
    /// Who others are told writes this log.
    pub holder: Holder,
    /// Whether other processes stand by: then the lease is renewed while nothing is written, too.
    pub standby: bool,
    /// How long a lease lasts. It is renewed three times in it.
    pub lease: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            pool: PoolLimits::default(),
            accept_head: None,
            holder: Holder { name: "another process".into(), url: None },
            standby: false,
            lease: Duration::from_secs(10),
        }
    }
}

/// What a running log shares with those who feed and watch it. Clones share it.
#[derive(Debug)]
pub struct Shared<S, G> {
    /// What the log is made of.
    pub log: Arc<Log<S, G>>,
    /// Where entries wait.
    pub pool: Pool,
    /// What is counted.
    pub metrics: Metrics,
    pub(crate) state: watch::Sender<State>,
    /// The partial objects that rounds wrote, for a collector.
    pub(crate) pending: Pending,
    /// Lines of mirrors under what is published.
    pub(crate) late: LateLines,
}

impl<S, G> Shared<S, G> {
    /// What the log says of itself now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// How the log ended, if it has.
    pub fn end(&self) -> Option<Arc<SignedEnd>> {
        match &self.state.borrow().status {
            Status::Frozen(end) => Some(end.clone()),
            _ => None,
        }
    }

    /// Follows what the log says of itself.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Says whether witnesses cosign, where nothing else is wrong.
    pub(crate) fn is_witnessed(&self, witnessed: bool) {
        self.state.send_if_modified(|state| {
            let changed = match state.status {
                Status::Ready if !witnessed => Some(Status::Unwitnessed),
                Status::Unwitnessed if witnessed => Some(Status::Ready),
                _ => None,
            };
            changed.map(|status| state.status = status).is_some()
        });
    }

    pub(crate) fn set_status(&self, status: Status) {
        self.state.send_modify(|state| state.status = status);
    }
}

/// The one task that writes a log, or stands by to.
pub struct Sequencer<S: Store, G: Register> {
    pub(crate) shared: Arc<Shared<S, G>>,
    pub(crate) options: Options,
    /// How many steps of the rounds in flight take too long.
    pub(crate) stalled: AtomicUsize,
    /// Whether a round was committed since the lease was renewed.
    pub(crate) committed: AtomicBool,
    pub(crate) lease: Mutex<LeaseState<S::Version>>,
}

/// What is known of the lease.
pub(crate) struct LeaseState<V> {
    /// By which this process knows its own.
    pub(crate) id: [u8; 16],
    pub(crate) own: Option<Lease<V>>,
    pub(crate) seen: Seen,
}

/// No store takes this long for a round when it is well.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(10);

impl<S: Store, G: Register> Sequencer<S, G> {
    /// A log that is not loaded yet.
    #[must_use]
    pub fn new(log: Log<S, G>, options: Options) -> Self {
        let (state, _) = watch::channel(State::default());
        let (log, pool) = (Arc::new(log), Pool::new(options.pool));
        let lease =
            Mutex::new(LeaseState { id: log.environment.0.random_id(), own: None, seen: Seen::default() });
        let (metrics, pending) = (Metrics::of(&log), Pending::default());
        let shared = Arc::new(Shared { log, pool, metrics, state, pending, late: LateLines::default() });
        Self { shared, options, stalled: AtomicUsize::new(0), committed: AtomicBool::new(false), lease }
    }

    /// What the log shares with those who feed and watch it.
    #[must_use]
    pub fn shared(&self) -> Arc<Shared<S, G>> {
        self.shared.clone()
    }

    /// Loads the log for the first time, and finishes what a crash left unfinished. On a store that
    /// cannot lock it waits first until the lease of another process is released, or has run out.
    ///
    /// # Errors
    /// Why it cannot be loaded: at a start, somebody is there to read it. Another process that
    /// renews its lease meanwhile is one.
    pub async fn load(&self) -> Result<Writer<S, G>, LoadError> {
        self.wait_for_the_lease().await?;
        self.load_anew().await
    }

    pub(crate) async fn load_anew(&self) -> Result<Writer<S, G>, LoadError> {
        let progress = |progress| self.shared.set_status(Status::CatchingUp(progress));
        let log = self.shared.log.clone();
        match Writer::load(log, self.options.accept_head, progress).await {
            Ok(writer) => {
                self.announce(writer.published());
                self.say_who_writes().await;
                Ok(writer)
            }
            Err(error) => Err(self.named(error).await),
        }
    }

    /// Runs the log until `stop` says so. A round that fails is followed by a new load, which
    /// decides what became of it; an alarm by nothing. Where another process has taken over, it
    /// stands by. A log that has ended is only read.
    ///
    /// # Errors
    /// Why it did not run when it was stopped: then the last round may be in the log and not published.
    pub async fn run(
        self,
        writer: Writer<S, G>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Arc<LoadError>> {
        let ended = self.write(writer, &mut stop).await;
        self.end(ended)
    }

    /// Stands by until the log needs a writer, and is it then, until `stop` says so. Meanwhile it
    /// follows what is published, for those who read, and keeps its dedup index warm.
    ///
    /// # Errors
    /// As [`run`](Self::run); standing by when it was stopped is no error.
    pub async fn stand_by(self, mut stop: watch::Receiver<bool>) -> Result<(), Arc<LoadError>> {
        let ended = match self.wait_to_write(None, &mut stop).await {
            Ok(Some(writer)) => self.write(writer, &mut stop).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        self.end(ended)
    }

    async fn write(
        &self,
        mut writer: Writer<S, G>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Arc<LoadError>> {
        loop {
            let ended = if writer.is_frozen() {
                self.rest(writer, stop).await
            } else {
                self.hold_and_fire(writer, stop).await
            };
            let Err(error) = ended else { return Ok(()) };
            match self.wait_to_write(Some(error), stop).await? {
                Some(loaded) => writer = loaded,
                None => return Ok(()),
            }
        }
    }

    /// Fires rounds while the lease is kept. Told to stop, it releases the lease at the end.
    async fn hold_and_fire(
        &self,
        writer: Writer<S, G>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), RoundError> {
        tokio::select! {
            biased; // no dice but those that were handed in
            ended = self.fire_rounds(writer, stop) => match ended {
                // Another process may have better luck with its witnesses, or with who keeps the key.
                Err(error @ (RoundError::Unwitnessed | RoundError::Signer(_))) => {
                    self.release_the_lease().await;
                    return Err(error);
                }
                ended => ended?,
            },
            lost = self.keep_the_lease() => return Err(lost),
        }
        self.release_the_lease().await;
        Ok(())
    }

    fn end(&self, ended: Result<(), Arc<LoadError>>) -> Result<(), Arc<LoadError>> {
        self.shared.pool.close_and_drop();
        self.shared.set_status(Status::Stopped);
        ended
    }

    pub(crate) fn announce(&self, published: &Arc<SignedCheckpoint>) {
        let published = published.clone();
        let now = self.shared.log.environment.0.unix_time();
        self.shared.metrics.set_published(published.head().size(), now);
        // Readers are shown it, and must never see the log shrink.
        self.shared.state.send_if_modified(|state| {
            let known = state.published.as_ref().map_or(0, |known| known.head().size());
            let grows = known <= published.head().size();
            if grows {
                state.published = Some(published);
            }
            grows
        });
    }
}

pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone: nobody wants the log any more.
    let _ = stop.wait_for(|stop| *stop).await;
}
