//! A client and the logs that it meets: good ones, damaged ones, and ones that lie.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[cfg(feature = "http")]
mod api;
mod common;
#[cfg(feature = "stores")]
mod copy;
mod damage;
#[cfg(feature = "folder")]
mod disk_cache;
#[cfg(feature = "tokio")]
mod follow;
mod history;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "folder")]
mod leftovers;
mod places;
#[cfg(feature = "folder")]
mod policy;
mod reading;
mod requests;
#[cfg(feature = "http")]
mod server;
#[cfg(feature = "http")]
mod submit;
