//! What the sequencer takes from the world outside: the time of day and randomness.

/// The clock and the dice. Nothing else in this crate reads either.
pub trait Environment: Send + Sync + 'static {
    /// Seconds since the epoch. It may step back: rounds do not.
    fn unix_time(&self) -> u64;

    /// 128 random bits: a writer's id.
    fn random_id(&self) -> [u8; 16];
}
