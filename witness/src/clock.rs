//! What time it is: handed in, like everything that no test could repeat.

use std::time::Duration;

/// The two clocks of a machine.
pub trait Clock: Send + Sync + 'static {
    /// Seconds since 1970: what cosignatures say. It may be set back.
    fn unix_time(&self) -> u64;

    /// Time since some moment, which never goes back: what quotas count in.
    fn elapsed(&self) -> Duration;
}
