//! A run in the making, on a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::fault::Fault;
use super::run::{Run, Stretch};

/// A run in the making. Dropped, it ends soon, and leaves what it is made of.
#[derive(Debug)]
pub(super) struct Making {
    stretch: Stretch,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Run, MakeError>>>,
}

/// Why there is no run.
#[derive(Debug)]
pub(super) struct MakeError {
    pub(super) fault: Fault,
    /// The run that could not be read, if it was to be made of runs and one could not.
    pub(super) input: Option<PathBuf>,
}

impl Making {
    /// Begins to make the run of a stretch. `work` looks now and then at whether it shall stop.
    pub(super) fn begin(
        stretch: Stretch,
        work: impl FnOnce(&AtomicBool) -> Result<Run, MakeError> + Send + 'static,
    ) -> Result<Self, MakeError> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("dedup-run".to_owned()).spawn(move || work(&stopped));
        Ok(Self { stretch, stop, thread: Some(thread.map_err(|error| MakeError::from(Fault::from(error)))?) })
    }

    /// What it makes.
    pub(super) const fn stretch(&self) -> Stretch {
        self.stretch
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for what it makes.
    pub(super) fn finish(mut self) -> Result<Run, MakeError> {
        let thread = self.thread.take().expect("it is taken once");
        thread.join().expect("who makes a run does not panic")
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its result is of no use, its file goes with the next open
        }
    }
}

impl From<Fault> for MakeError {
    fn from(fault: Fault) -> Self {
        Self { fault, input: None }
    }
}
