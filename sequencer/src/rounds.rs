//! The rounds of a loaded log: three steps side by side, and a lease that is kept meanwhile.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use kiln_storage::{Register, Store};
use kiln_tiles::{SignedCheckpoint, TreeHead};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, debug_span};

use crate::failed_round::RoundError;
use crate::record::MAX_ROUNDS;
use crate::round::{CommittedRound, Committer, Publisher, Settler, Writer};
use crate::sequencer::{STALLED_AFTER, Sequencer, stopped};
use crate::state::Status;
use crate::traced::{self, RoundSpan};

/// How long it is until witnesses are asked again of which too few cosigned.
const UNWITNESSED_PAUSE: Duration = Duration::from_millis(500);

impl<S: Store, G: Register> Sequencer<S, G> {
    /// Commits rounds, settles them and publishes them, side by side, until one fails or all are
    /// told to stop.
    pub(crate) async fn fire_rounds(
        &self,
        writer: Writer<S, G>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), RoundError> {
        self.shared.pool.open();
        self.stalled.store(0, Ordering::Relaxed);
        self.shared.set_status(Status::Ready); // after it is
        let (to_settle, committed) = mpsc::channel(MAX_ROUNDS);
        let (to_publish, settled) = mpsc::channel(MAX_ROUNDS);
        let (tell_room, room) = watch::channel(writer.head());
        let Writer { committer, settler, publisher, .. } = writer;
        let stopping = stop.clone();
        let outcome = tokio::try_join!(
            self.commit_rounds(committer, to_settle, room, stop),
            self.settle_rounds(settler, committed, tell_room, to_publish),
            self.publish_rounds(publisher, settled, stopping),
        );
        let failed = |error: &RoundError| self.shared.metrics.count_failed_round(error.label());
        outcome.map(drop).inspect_err(failed)
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
                biased; // no dice but those that were handed in
                () = stopped(stop) => true,
                () = self.shared.pool.round_is_due(due) => false,
            };
            if stopping {
                self.shared.pool.close();
            }
            committer = committer.with_room(&mut settled).await;
            due = Instant::now() + self.options.interval;
            let span = RoundSpan::begin(self.shared.log.trusted().origin());
            let committing = committer.commit(self.shared.pool.take_round());
            let (next, round) = self.watch_over("commit", committing).instrument(span.clone()).await?;
            if let Some(round) = round {
                traced::record(&span, &round);
                self.shared.metrics.set_committed(round.head().size());
                self.committed.store(true, Ordering::Relaxed);
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
            let span = traced::step(&rounds, |round| debug_span!(parent: round, "settle"));
            settler = self.watch_over("settle", settler.settle(&rounds)).instrument(span).await?;
            settled.send_replace(settler.head());
            for round in rounds.drain(..) {
                hand_on(&to_publish, round).await;
            }
        }
        Ok(())
    }

    /// Publishes what is settled, all of it together that waits, until nobody settles any more. Meanwhile
    /// it publishes the cosignatures that come late, and those of mirrors.
    pub(crate) async fn publish_rounds(
        &self,
        mut publisher: Publisher<S, G>,
        mut settled: mpsc::Receiver<Arc<CommittedRound>>,
        stopping: watch::Receiver<bool>,
    ) -> Result<(), RoundError> {
        let (mut rounds, mut witnessed) = (Vec::new(), Instant::now());
        loop {
            let lacks = publisher.lacks;
            // What stands may be from before the log had witnesses.
            self.shared.is_witnessed(!(lacks && self.shared.log.requires_witnesses()));
            let received = tokio::select! {
                biased; // no dice but those that were handed in
                received = settled.recv_many(&mut rounds, MAX_ROUNDS) => received,
                lines = publisher.late_lines() => {
                    let lines = lines?;
                    self.announce_if_new(publisher.add_lines(&lines).await)?;
                    witnessed = Instant::now();
                    continue;
                }
                // No witness is asked later for it: a mirror has lines of its own every so often.
                (head, lines) = self.shared.late.next() => {
                    if head == publisher.tree.head() {
                        self.announce_if_new(publisher.add_lines(&lines).await)?;
                    }
                    continue;
                }
                () = self.shared.log.refresh_is_due(lacks, witnessed) => {
                    let span = debug_span!("refresh", log = self.shared.log.trusted().origin());
                    let refreshing = self.watch_over("refresh", publisher.refresh());
                    let refreshed = refreshing.instrument(span).await;
                    self.announce_if_new(refreshed)?;
                    witnessed = Instant::now();
                    continue;
                }
            };
            if received == 0 {
                return Ok(());
            }
            publisher = self.publish_some(publisher, &mut rounds, &mut settled, &stopping).await?;
            witnessed = Instant::now();
        }
    }

    /// Publishes these rounds. Where too few witnesses cosign, it tries again until they do, with what is
    /// settled meanwhile; when it is told to stop, no longer.
    async fn publish_some(
        &self,
        mut publisher: Publisher<S, G>,
        rounds: &mut Vec<Arc<CommittedRound>>,
        settled: &mut mpsc::Receiver<Arc<CommittedRound>>,
        stopping: &watch::Receiver<bool>,
    ) -> Result<Publisher<S, G>, RoundError> {
        loop {
            let span = traced::step(rounds, |round| debug_span!(parent: round, "publish"));
            let publishing = self.watch_over("publish", publisher.publish(rounds));
            let (next, published) = publishing.instrument(span).await?;
            publisher = next;
            if let Some(published) = published {
                self.announce(&published);
                publisher.answer(&published);
                for round in rounds.drain(..) {
                    round.span.end();
                    self.shared.pending.add(round.head().size());
                    self.shared.metrics.count_round(round.round.entries.len(), round.started.elapsed());
                }
                self.shared.is_witnessed(true);
                return Ok(publisher);
            }
            self.shared.metrics.count_failed_round(RoundError::Unwitnessed.label());
            self.shared.is_witnessed(false);
            if *stopping.borrow() {
                return Err(RoundError::Unwitnessed);
            }
            sleep(UNWITNESSED_PAUSE).await;
            // What stands before them is published with them. No more are taken than the head has room for, so that
            // submissions are refused where none can be published.
            while rounds.len() < MAX_ROUNDS
                && let Ok(round) = settled.try_recv()
            {
                rounds.push(round);
            }
        }
    }

    /// What is published already gets better by these lines, and no worse without them.
    fn announce_if_new(
        &self,
        published: Result<Option<Arc<SignedCheckpoint>>, RoundError>,
    ) -> Result<(), RoundError> {
        match published {
            Ok(published) => published.iter().for_each(|published| self.announce(published)),
            Err(error @ (RoundError::Storage(_) | RoundError::Signer(_))) => {
                tracing::warn!(%error, "cosignatures that came late were not published");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Waits for a step of a round. One that takes too long is not given up, since nobody could tell what became
    /// of it; but it is told.
    async fn watch_over<T>(&self, step: &'static str, round: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let round = round.inspect(|_| self.shared.metrics.count_step(step, started.elapsed()));
        let mut round = pin!(round);
        if let Ok(outcome) = timeout(STALLED_AFTER, &mut round).await {
            return outcome;
        }
        tracing::warn!("a round takes longer than {STALLED_AFTER:?}: the store does not answer");
        if self.shared.end().is_some() {
            return round.await; // what has ended is as it should be, though nobody cosigns it anew
        }
        self.stalled.fetch_add(1, Ordering::Relaxed);
        self.shared.set_status(Status::Stalled);
        let outcome = round.await;
        if self.stalled.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.shared.set_status(Status::Ready);
        }
        outcome
    }
}

/// Where the next step has failed this one ends in a moment.
async fn hand_on(next: &mpsc::Sender<Arc<CommittedRound>>, round: Arc<CommittedRound>) {
    let _ = next.send(round).await;
}

#[cfg(test)]
mod tests {
    use kiln_storage::{Memory, MemoryRegister};
    use kiln_tiles::SigningKey;
    use tokio::sync::oneshot;

    use super::*;
    use crate::dedup::Dedup;
    use crate::environment::Environment;
    use crate::log::Log;
    use crate::sequencer::Options;

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
        let (outcome, ()) = tokio::join!(sequencer.watch_over("commit", round), stalled);
        outcome.unwrap();
        assert!(matches!(sequencer.shared().state().status, Status::Ready));
    }
}
