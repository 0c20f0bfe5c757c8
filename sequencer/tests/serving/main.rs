//! What a log answers over HTTP while its store is slow, its clients are rude, or it is not loaded yet.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod answers;
mod before_recovery;
#[path = "../common/mod.rs"]
mod common;
mod limits;
mod world;
