//! Whole ways through the crate: what rekor-tiles and Sigstore's clients wrote is read, and what they refuse is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod algorithms;
mod conformance;
mod dsse;
mod examples;
mod identity;
mod properties;
mod refusals;
mod support;
mod whole;
