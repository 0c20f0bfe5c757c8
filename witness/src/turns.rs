//! Work of many microseconds: a few at a time, where it holds up nobody.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// As many turns as the machine has cores.
///
/// A signature takes up to a millisecond, and so long a thread that answers requests must not be away.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores)))
    }
}

impl Turns {
    /// Does the work on a thread that may block. Who goes away keeps the turn until the work is done.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let turn = self.0.clone().acquire_owned().await.expect("the semaphore is never closed");
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        working.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}
