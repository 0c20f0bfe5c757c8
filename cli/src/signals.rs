//! SIGTERM and SIGINT: the first asks, the second ends the process. SIGHUP: what is configured is read again.

use tokio::sync::watch;

use crate::failure::{Exit, Failure};

/// Tells that the process was told to stop.
pub(crate) type Stop = watch::Receiver<bool>;

/// True once the process was told to stop. From now on a signal does no more than that, until the second. `then` is what
/// is done after the first, in words.
pub(crate) fn stop(then: &'static str) -> Result<Stop, Failure> {
    let (tell, stop) = watch::channel(false);
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("told to stop: {then} (once more to end at once)");
        let _ = tell.send(true);
        signals.next().await;
        std::process::exit(Exit::Undone as i32);
    });
    Ok(stop)
}

/// Waits until it was.
pub(crate) async fn stopped(mut stop: Stop) {
    // Whoever could say so is gone: the process ends.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The times that the process was told to read again what it was told.
#[cfg(unix)]
pub(crate) struct Hangups(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Hangups {
    /// From now on SIGHUP does not end the process.
    pub(crate) fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Where there is no such signal nobody sends one.
#[cfg(not(unix))]
pub(crate) struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        std::future::pending().await
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Where it cannot be heard, nobody can say it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
