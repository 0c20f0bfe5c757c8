//! A log as its users meet it: what it publishes, answers and signs, and what it refuses to go on with.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;
mod dedup;
mod freezing;
mod load;
mod mirrors;
mod serving;
mod signing;
mod witnesses;
