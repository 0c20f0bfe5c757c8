//! The sequencer: fires a round when it is due, and loads the log anew when one failed.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kiln_storage::{Register, Store};
use kiln_tiles::{SignedCheckpoint, TreeHead};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use crate::failed_round::RoundError;
use crate::load::LoadError;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::pool::{Pool, PoolLimits};
use crate::record::MAX_ROUNDS;
use crate::round::{CommittedRound, Committer, Publisher, Settler, Writer};
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
}

impl Default for Options {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), pool: PoolLimits::default(), accept_head: None }
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
    state: watch::Sender<State>,
}

impl<S, G> Shared<S, G> {
    /// What the log says of itself now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Follows what the log says of itself.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    fn set_status(&self, status: Status) {
        self.state.send_modify(|state| state.status = status);
    }
}

/// The one task that writes a log.
pub struct Sequencer<S: Store, G: Register> {
    shared: Arc<Shared<S, G>>,
    options: Options,
    /// How many steps of the rounds in flight take too long.
    stalled: AtomicUsize,
}

/// No store takes this long for a round when it is well.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// Why the rounds ended.
enum Ended {
    Stopped,
    Failed(RoundError),
}

impl<S: Store, G: Register> Sequencer<S, G> {
    /// A log that is not loaded yet.
    #[must_use]
    pub fn new(log: Log<S, G>, options: Options) -> Self {
        let (state, _) = watch::channel(State::default());
        let (log, pool) = (Arc::new(log), Pool::new(options.pool));
        let shared = Arc::new(Shared { log, pool, metrics: Metrics::default(), state });
        Self { shared, options, stalled: AtomicUsize::new(0) }
    }

    /// What the log shares with those who feed and watch it.
    #[must_use]
    pub fn shared(&self) -> Arc<Shared<S, G>> {
        self.shared.clone()
    }

    /// Loads the log for the first time, and finishes what a crash left unfinished.
    ///
    /// # Errors
    /// Why it cannot be loaded: at a start, somebody is there to read it.
    pub async fn load(&self) -> Result<Writer<S, G>, LoadError> {
        let progress = |progress| self.shared.set_status(Status::CatchingUp(progress));
        let writer = Writer::load(self.shared.log.clone(), self.options.accept_head, progress).await?;
        self.announce(writer.published());
        Ok(writer)
    }

    /// Runs the log until `stop` says so. A round that fails is followed by a new load, which
    /// decides what became of it; an alarm by nothing.
    ///
    /// # Errors
    /// Why it did not run when it was stopped: then the last round may be in the log and not published.
    pub async fn run(
        self,
        mut writer: Writer<S, G>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Arc<LoadError>> {
        let ended = loop {
            let Ended::Failed(error) = self.fire_rounds(writer, &mut stop).await else { break Ok(()) };
            match self.recover(error, &mut stop).await {
                Ok(loaded) => writer = loaded,
                Err(error) => break Err(error),
            }
        };
        self.shared.pool.close_and_drop();
        self.shared.set_status(Status::Stopped);
        ended
    }

    /// Commits rounds, settles them and publishes them, side by side, until one fails or all are
    /// told to stop.
    async fn fire_rounds(&self, writer: Writer<S, G>, stop: &mut watch::Receiver<bool>) -> Ended {
        self.shared.pool.open();
        self.stalled.store(0, Ordering::Relaxed);
        self.shared.set_status(Status::Ready); // after it is
        let (to_settle, committed) = mpsc::channel(MAX_ROUNDS);
        let (to_publish, settled) = mpsc::channel(MAX_ROUNDS);
        let (tell_room, room) = watch::channel(writer.head());
        let Writer { committer, settler, publisher, .. } = writer;
        let outcome = tokio::try_join!(
            self.commit_rounds(committer, to_settle, room, stop),
            self.settle_rounds(settler, committed, tell_room, to_publish),
            self.publish_rounds(publisher, settled),
        );
        match outcome.inspect_err(|error| self.shared.metrics.count_failed_round(error.label())) {
            Ok(_) => Ended::Stopped,
            Err(error) => Ended::Failed(error),
        }
    }

    async fn commit_rounds(
        &self,
        mut committer: Committer<S, G>,
        to_settle: mpsc::Sender<Arc<CommittedRound>>,
        mut settled: watch::Receiver<TreeHead>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), RoundError> {
        let mut due = Instant::now();
        loop {
            let stopping = tokio::select! {
                () = stopped(stop) => true,
                () = self.shared.pool.round_is_due(due) => false,
            };
            if stopping {
                self.shared.pool.close();
            }
            committer = committer.with_room(&mut settled).await;
            due = Instant::now() + self.options.interval;
            let committing = committer.commit(self.shared.pool.take_round());
            let (next, round) = self.watch_over(committing).await?;
            if let Some(round) = round {
                hand_on(&to_settle, round).await;
            }
            if stopping && self.shared.pool.waiting().0 == 0 {
                return Ok(());
            }
            committer = next;
        }
    }

    /// Settles what is committed, all of it together that waits, until nobody commits any more.
    async fn settle_rounds(
        &self,
        mut settler: Settler<S, G>,
        mut committed: mpsc::Receiver<Arc<CommittedRound>>,
        settled: watch::Sender<TreeHead>,
        to_publish: mpsc::Sender<Arc<CommittedRound>>,
    ) -> Result<(), RoundError> {
        let mut rounds = Vec::new();
        while committed.recv_many(&mut rounds, MAX_ROUNDS).await > 0 {
            settler = self.watch_over(settler.settle(&rounds)).await?;
            settled.send_replace(settler.head());
            for round in rounds.drain(..) {
                hand_on(&to_publish, round).await;
            }
        }
        Ok(())
    }

    /// Publishes what is settled, all of it together that waits, until nobody settles any more.
    async fn publish_rounds(
        &self,
        mut publisher: Publisher<S, G>,
        mut settled: mpsc::Receiver<Arc<CommittedRound>>,
    ) -> Result<(), RoundError> {
        let mut rounds = Vec::new();
        while settled.recv_many(&mut rounds, MAX_ROUNDS).await > 0 {
            let (next, published) = self.watch_over(publisher.publish(&rounds)).await?;
            self.announce(&published);
            for round in rounds.drain(..) {
                self.shared.metrics.count_round(round.round.entries.len(), round.started.elapsed());
            }
            publisher = next;
        }
        Ok(())
    }

    /// Waits for a round. One that takes too long is not given up, since nobody could tell what became
    /// of it; but it is told.
    async fn watch_over<T>(&self, round: impl Future<Output = T>) -> T {
        let mut round = pin!(round);
        if let Ok(outcome) = timeout(STALLED_AFTER, &mut round).await {
            return outcome;
        }
        tracing::warn!("a round takes longer than {STALLED_AFTER:?}: the store does not answer");
        self.stalled.fetch_add(1, Ordering::Relaxed);
        self.shared.set_status(Status::Stalled);
        let outcome = round.await;
        if self.stalled.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.shared.set_status(Status::Ready);
        }
        outcome
    }

    fn announce(&self, published: &Arc<SignedCheckpoint>) {
        let published = published.clone();
        self.shared.metrics.set_tree_size(published.head().size());
        self.shared.state.send_modify(|state| state.published = Some(published));
    }

    /// Loads the log until it can go on. Told to stop, it returns why it could not.
    async fn recover(
        &self,
        error: RoundError,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Writer<S, G>, Arc<LoadError>> {
        self.shared.pool.close_and_drop();
        let mut error = Arc::new(LoadError::from(error));
        let mut pause = Duration::from_millis(100);
        loop {
            // A log that ran, and is gone, is no new one.
            if error.is_bad_log() || matches!(*error, LoadError::NoLog) {
                tracing::error!(%error, "ALARM: the log neither signs nor accepts from now on");
                self.shared.set_status(Status::Alarmed(error.clone()));
                stopped(stop).await;
                return Err(error);
            }
            tracing::warn!(%error, "the round failed; loading the log anew");
            self.shared.set_status(Status::Failing(error.clone()));
            tokio::select! {
                () = stopped(stop) => return Err(error),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(5));
            match self.load().await {
                Ok(writer) => return Ok(writer),
                Err(again) => error = Arc::new(again),
            }
        }
    }
}

/// Where the next step has failed this one ends in a moment.
async fn hand_on(next: &mpsc::Sender<Arc<CommittedRound>>, round: Arc<CommittedRound>) {
    let _ = next.send(round).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone: nobody wants the log any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use kiln_storage::{Memory, MemoryRegister};
    use kiln_tiles::SigningKey;
    use tokio::sync::oneshot;

    use super::*;
    use crate::dedup::Dedup;
    use crate::environment::Environment;

    struct Still;

    impl Environment for Still {
        fn unix_time(&self) -> u64 {
            0
        }

        fn random_id(&self) -> [u8; 16] {
            [0; 16]
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_shows() {
        let key = SigningKey::from_seed("example.com/log".parse().unwrap(), [1; 32]);
        let log = Log::new(key, Memory::default(), MemoryRegister::default(), Dedup::off(), Arc::new(Still));
        let sequencer = Sequencer::new(log, Options::default());
        let mut states = sequencer.shared().watch();
        let (answer, round) = oneshot::channel::<()>();
        let stalled = async {
            states.wait_for(|state| matches!(state.status, Status::Stalled)).await.unwrap();
            answer.send(()).unwrap();
        };
        let (outcome, ()) = tokio::join!(sequencer.watch_over(round), stalled);
        outcome.unwrap();
        assert!(matches!(sequencer.shared().state().status, Status::Ready));
    }
}
