//! The door of a server, as its operator sets it: TLS, proxies, and who may submit how much.
//!
//! The options are plain values, which flags fill here. What is in files is read again when they change, or at
//! SIGHUP; connections stay open meanwhile.

mod cache;
mod changes;
mod entrance;
mod gate;
mod metrics;

pub(crate) use entrance::{Entrance, EntranceOptions};
pub(crate) use gate::{RateOptions, SubmitterOptions, Submitters};
pub(crate) use metrics::{WithDoor, with_gate};
