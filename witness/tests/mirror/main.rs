//! A whole mirror behind its door: pushed to over HTTP, pulling, stopped and started again and again.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod pulls;
mod pushes;
mod restarts;
mod statuses;
#[path = "../../src/testing.rs"]
#[allow(dead_code, reason = "the tests beside the code need more of it")]
mod testing;
mod world;

// For `testing`, which stands in the crate as well.
pub(crate) use kiln_witness::{Log, Logs};
