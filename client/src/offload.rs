//! Work that takes a core for a while, kept off the threads that wait for the network.

/// Runs `work` on a blocking thread of the tokio runtime where there is one, else in place.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        return match runtime.spawn_blocking(work).await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime shuts down; so does whoever waits here.
            Err(Err(_)) => std::future::pending().await,
        };
    }
    work()
}
