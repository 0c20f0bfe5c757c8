//! Work of many microseconds: a few at a time, where it holds up nobody.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Turns to do work that takes long: to make or verify a signature, say. That takes up to a millisecond, and so long a
/// thread that answers requests must not be away. Clones share the turns.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

/// As many as the machine has cores.
impl Default for Turns {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Turns {
    /// So many at once, one at least.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.max(1))))
    }

    /// Does the work on a thread that may block. Who goes away keeps the turn until the work is done.
    ///
    /// # Panics
    /// Where the work does.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let turn = self.0.clone().acquire_owned().await.expect("the semaphore is never closed");
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn); // here, for the work goes on when nobody waits for it any more
            done
        });
        working.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Clients that went away gave their turns back while their requests were still being checked: there was no
    /// bound on how many were checked at once.
    #[tokio::test]
    async fn who_goes_away_keeps_the_turn_until_the_work_is_done() {
        let turns = Turns::new(1);
        let ((started, starts), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        let gone = tokio::spawn({
            let turns = turns.clone();
            async move {
                let work = move || (started.send(()), released.recv());
                turns.run(work).await
            }
        });
        tokio::task::spawn_blocking(move || starts.recv()).await.unwrap().unwrap();
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(turns.0.available_permits(), 0);
        release.send(()).unwrap();
        assert_eq!(turns.run(|| 7).await, 7);
    }
}
