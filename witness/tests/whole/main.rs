//! A whole witness behind its door: over HTTP, with a store on disk, started again and again.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod bastions;
mod door;
mod http;
mod races;
mod restarts;
#[path = "../../src/testing.rs"]
#[allow(dead_code, reason = "the tests beside the code need more of it")]
mod testing;
mod world;

// For `testing`, which stands in the crate as well.
pub(crate) use kiln_witness::{Log, Logs};
