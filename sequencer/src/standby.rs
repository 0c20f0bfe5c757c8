//! Standing by: whose turn it is to write, and what is done until it is one's own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kiln_storage::{Register, Store};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::failed_round::RoundError;
use crate::follow::follow;
use crate::lease::{self, Holder, Lease, LeaseError};
use crate::load::LoadError;
use crate::round::Writer;
use crate::sequencer::{LeaseState, Sequencer, stopped};
use crate::state::Status;

/// How often a standby looks at what is published, and at the lease.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait before a load is tried again: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl<S: Store, G: Register> Sequencer<S, G> {
    /// Waits until this process may write, and loads the log. `None` where it was told to stop while
    /// all was well with the log.
    ///
    /// | why it does not write | what it does |
    /// |---|---|
    /// | another process writes | follows, and looks each second whether it is needed |
    /// | the store or the guard fails | loads again, with pauses |
    /// | an alarm | nothing, until it is stopped |
    pub(crate) async fn wait_to_write(
        &self,
        failed: Option<RoundError>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Writer<S, G>>, Arc<LoadError>> {
        self.shared.pool.close_and_drop();
        let mut error = failed.map(|error| Arc::new(LoadError::from(error)));
        let mut pause = PAUSES.0;
        loop {
            if let Some(error) = &error {
                self.tell(error, stop).await?;
                if !sleep_unless_stopped(pause, stop).await {
                    return if error.is_of_another_writer() { Ok(None) } else { Err(error.clone()) };
                }
            }
            match self.try_to_write().await {
                Ok(writer) => {
                    tracing::info!(size = writer.head().size(), "the log goes on");
                    return Ok(Some(writer));
                }
                Err(LoadError::Held(holder)) => {
                    pause = self.time_to_next_look().await;
                    error = Some(Arc::new(self.follow_until_next_look(holder).await));
                }
                Err(again) => {
                    pause = (pause * 2).min(PAUSES.1);
                    error = Some(Arc::new(again));
                }
            }
        }
    }

    /// Says what is wrong. After an alarm it does not return before it was told to stop.
    async fn tell(
        &self,
        error: &Arc<LoadError>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Arc<LoadError>> {
        match &**error {
            LoadError::Held(holder) => {
                let before = self.shared.state().status;
                if !matches!(before, Status::StandingBy(known) if known == *holder) {
                    tracing::info!(%holder, "standing by: another process writes this log");
                }
                self.shared.set_status(Status::StandingBy(holder.clone()));
            }
            // A log that ran, and is gone, is no new one.
            bad if bad.is_bad_log() || matches!(bad, LoadError::NoLog) => {
                tracing::error!(%error, "ALARM: the log neither signs nor accepts from now on");
                self.shared.set_status(Status::Alarmed(error.clone()));
                stopped(stop).await;
                return Err(error.clone());
            }
            _ => {
                tracing::warn!(%error, "the log cannot go on; loading it anew");
                self.shared.set_status(Status::Failing(error.clone()));
            }
        }
        Ok(())
    }

    async fn try_to_write(&self) -> Result<Writer<S, G>, LoadError> {
        self.take_the_lease().await?;
        self.load_anew().await
    }

    /// Sees to readers while another process writes. Returns that it does, or what is wrong.
    async fn follow_until_next_look(&self, holder: Holder) -> LoadError {
        match follow(&self.shared.log, self.shared.state().published).await {
            Ok(published) => {
                if let Some(published) = published {
                    self.announce(&published);
                }
                LoadError::Held(holder)
            }
            Err(error) => error,
        }
    }

    /// Takes the lease if it is free. Where leave to swap the head is a lock, there is nothing to take.
    async fn take_the_lease(&self) -> Result<(), LoadError> {
        if self.shared.log.store.is_exclusive() {
            Ok(())
        } else {
            self.sign_the_lease(self.options.lease).await
        }
    }

    /// Takes the lease, if it was not renewed for as long as it `lasts`.
    async fn sign_the_lease(&self, lasts: Duration) -> Result<(), LoadError> {
        let (log, mut state) = (&self.shared.log, self.lease.lock().await);
        let LeaseState { id, own, seen } = &mut *state;
        let holder = (*id, self.options.holder.clone());
        *own = Some(Lease::take(&log.store, log.fingerprint(), holder, (seen, lasts)).await?);
        Ok(())
    }

    /// Who has locked the head has no need of a lease; it only says who that is.
    pub(crate) async fn say_who_writes(&self) {
        if self.shared.log.store.is_exclusive()
            && let Err(error) = self.sign_the_lease(Duration::ZERO).await
        {
            tracing::warn!(%error, "those who stand by are not told who writes");
        }
    }

    /// The error, with the name of whoever has locked the head, if that is what it says.
    pub(crate) async fn named(&self, error: LoadError) -> LoadError {
        let Some(name) = error.lock_holder() else { return error };
        let log = &self.shared.log;
        let holder = lease::holder(&log.store, log.fingerprint()).await.ok().flatten();
        LoadError::Held(holder.unwrap_or(Holder { name, url: None }))
    }

    /// Takes the lease, having waited for another's to run out. One that is renewed is not waited for.
    pub(crate) async fn wait_for_the_lease(&self) -> Result<(), LoadError> {
        let start = Instant::now();
        loop {
            match self.take_the_lease().await {
                Err(LoadError::Held(holder)) if self.may_run_out().await => {
                    if start.elapsed() < LOOK {
                        tracing::info!(%holder, "waiting for the lease of another process to run out");
                    }
                    sleep(LOOK).await;
                }
                done => return done,
            }
        }
    }

    /// Each second, and when the lease runs out: a second later would be a second without a writer.
    async fn time_to_next_look(&self) -> Duration {
        let left = self.lease.lock().await.seen.time_left(self.options.lease);
        left.map_or(LOOK, |left| left.clamp(PAUSES.0, LOOK))
    }

    async fn may_run_out(&self) -> bool {
        !self.shared.log.store.is_exclusive() && !self.lease.lock().await.seen.is_alive()
    }

    /// Renews the lease as long as it is this writer's: always where others stand by, else only while
    /// rounds are written.
    pub(crate) async fn keep_the_lease(&self) -> RoundError {
        if self.shared.log.store.is_exclusive() {
            return std::future::pending().await;
        }
        loop {
            sleep(self.options.lease * 3 / 10).await;
            if !self.committed.swap(false, Ordering::Relaxed) && !self.options.standby {
                continue;
            }
            match self.renew_the_lease(false).await {
                Err(LeaseError::Held(holder)) => {
                    tracing::info!(%holder, "another process has taken the lease");
                    return RoundError::Fenced;
                }
                // Whoever stands by may take over now, and that does no harm.
                Err(LeaseError::Storage(error)) => tracing::warn!(%error, "the lease was not renewed"),
                Ok(()) => {}
            }
        }
    }

    /// Lets another process take over at once.
    pub(crate) async fn release_the_lease(&self) {
        if self.shared.log.store.is_exclusive() {
            return; // the lock goes with the process
        }
        if let Err(error) = self.renew_the_lease(true).await {
            tracing::warn!(%error, "the lease was not released: another process waits until it has run out");
        }
    }

    async fn renew_the_lease(&self, released: bool) -> Result<(), LeaseError> {
        let log = &self.shared.log;
        match &mut self.lease.lock().await.own {
            Some(own) => own.renew(&log.store, log.fingerprint(), released).await,
            None => Ok(()),
        }
    }
}

/// Whether nobody said to stop meanwhile.
async fn sleep_unless_stopped(pause: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased; // no dice but those that were handed in
        () = stopped(stop) => false,
        () = sleep(pause) => true,
    }
}
