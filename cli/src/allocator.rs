//! The allocator, and how long it keeps what a round gave back.

use std::process::Command;

/// A round takes and gives back tens of thousands of small pieces at once. The system's allocators hand their pages
/// back to the kernel each time (glibc) or are slow (musl).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The one name under which mimalloc takes this setting without unsafe code; it reads it before `main` runs.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Ten rounds, in milliseconds. Left alone mimalloc waits one second, the length of a round: it would give most pages
/// back to the kernel just before the next round takes them again, each of them to be cleared first.
const TEN_ROUNDS: &str = "10000";

/// Starts this program anew, in the same process, with an allocator that keeps memory from round to round. Comes back
/// where that is done, was decided by whoever started it, or cannot be: it is a matter of speed alone.
pub(crate) fn keep_memory_between_rounds() {
    if std::env::var_os(PURGE_DELAY).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = Command::new(program);
    again.args(std::env::args_os().skip(1)).env(PURGE_DELAY, TEN_ROUNDS);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        if let Some(name) = std::env::args_os().next() {
            again.arg0(name);
        }
        // It returns where it failed.
        let _ = again.exec();
    }
}
