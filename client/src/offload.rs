//! Work that takes a core or a disk for a while, kept off the threads that wait for the network.

use std::future::Future;

/// Runs `work` on a blocking thread of the tokio runtime where there is one, else in place.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(feature = "tokio")]
    if let Some(runtime) = blocking::runtime() {
        return match runtime.spawn_blocking(work).await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime shuts down; so does whoever waits here.
            Err(Err(_)) => std::future::pending().await,
        };
    }
    work()
}

/// Runs a whole future on a blocking thread where there is one. What it offloads itself runs there too: to hand
/// work over costs as much as to read a small file.
pub(crate) async fn offload_whole<F>(future: F) -> F::Output
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    #[cfg(feature = "tokio")]
    if let Some(runtime) = blocking::runtime() {
        return offload(move || blocking::run(&runtime, future)).await;
    }
    future.await
}

#[cfg(feature = "tokio")]
mod blocking {
    use std::cell::Cell;

    use tokio::runtime::Handle;

    thread_local! {
        /// Whether this thread may be blocked already.
        static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
    }

    /// Where blocking work is to be handed to, if it is.
    pub(super) fn runtime() -> Option<Handle> {
        if MAY_BLOCK.get() { None } else { Handle::try_current().ok() }
    }

    /// Runs a future on this thread, which may be blocked.
    pub(super) fn run<F: Future>(runtime: &Handle, future: F) -> F::Output {
        struct Blocking;
        impl Drop for Blocking {
            fn drop(&mut self) {
                MAY_BLOCK.set(false);
            }
        }
        MAY_BLOCK.set(true);
        let _blocking = Blocking;
        runtime.block_on(future)
    }
}
