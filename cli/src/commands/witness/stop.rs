//! SIGTERM and SIGINT: the first asks, the second ends the process.

use tokio::sync::watch;

use crate::failure::{Exit, Failure};

/// Tells that the process was told to stop.
pub(super) type Stop = watch::Receiver<bool>;

/// True once the process was told to stop.
pub(super) fn stop() -> Result<Stop, Failure> {
    let (tell, stop) = watch::channel(false);
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("told to stop: answering who asked (once more to end at once)");
        let _ = tell.send(true);
        signals.next().await;
        std::process::exit(Exit::Undone as i32);
    });
    Ok(stop)
}

/// Waits until it was.
pub(super) async fn stopped(mut stop: Stop) {
    // Whoever could say so is gone: the process ends.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map(Self)
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
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
