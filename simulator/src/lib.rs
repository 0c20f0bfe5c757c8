//! Seeded faults and power cuts for tests of Kiln.
//!
//! | module | what it breaks |
//! |---|---|
//! | [`faulty`] | a store whose calls fail: lost, done all the same, or done late |
//! | [`disk`] | a disk whose power is cut: what was not synced vanishes, is torn, is reordered |
//! | [`world`] | runs a log on either, and remembers what was acknowledged and signed |
//! | [`check`] | verifies everything that is published, as a client would |
//! | [`hunt`] | runs many seeds of it |
//! | [`scenario`] | makes a whole run of a seed, and holds every promise after every step |
//!
//! Time stands still but when everybody waits, and file work has one thread, so a run is decided by
//! its seed.

pub mod check;
pub mod disk;
pub mod faulty;
pub mod hunt;
pub mod scenario;
pub mod world;
