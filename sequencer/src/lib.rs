//! The single writer of a tile-based transparency log: it takes entries, gives each an index, and
//! publishes what it took as [tlog-tiles].
//!
//! | you want to | use |
//! |---|---|
//! | say what a log is made of | [`Log`]: key, store, guard, dedup index, [`Environment`] |
//! | have its key kept elsewhere | a [`Signer`] |
//! | make one | [`create_log`] |
//! | run one | [`Sequencer`]: [`load`](Sequencer::load), then [`run`](Sequencer::run); or [`stand_by`](Sequencer::stand_by) |
//! | end one for good | [`Sequencer::freeze`], [`Log::sign_end`], [`Log::read_end`] |
//! | bring one back that lost something | [`Recovery`]; the head of a copy of one is [`CopyHead`] |
//! | feed it from within the process | [`Shared::pool`] |
//! | be rid of superseded partial tiles | [`Sequencer::collector`]; from elsewhere a [`Sweep`] |
//! | have the dedup index alone, to measure it or to fill it | [`Dedup`], [`Known`] |
//! | have it cosigned by witnesses | [`Witnesses`], over a [`WitnessClient`] |
//! | push what it publishes to mirrors | [`Sequencer::pusher`], over a [`MirrorClient`] |
//! | serve it over HTTP | [`LogServer`], a handler of `kiln-http` |
//! | know how it is | [`Shared::state`], [`Metrics`] |
//!
//! The order of writes is the design: it stands in one module, `round`, with the table of what a
//! crash after each line leaves. Whatever fails, nothing is repaired in place: a [`Writer`] whose
//! round failed is gone, and the next load decides what became of the round.
//!
//! ```
//! use std::sync::Arc;
//!
//! use kiln_sequencer::{Dedup, Entry, Environment, Log, Options, Sequencer, Wait, create_log};
//! use kiln_storage::{Memory, MemoryRegister};
//! use kiln_tiles::SigningKey;
//!
//! struct Machine;
//!
//! impl Environment for Machine {
//!     fn unix_time(&self) -> u64 {
//!         std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
//!     }
//!     fn random_id(&self) -> [u8; 16] {
//!         [4; 16] // chosen by a fair dice; yours comes from the system
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = SigningKey::from_seed("example.com/log".parse()?, [7; 32]);
//! let (store, guard) = (Memory::new(), MemoryRegister::default());
//! let log = Log::new(key, store, guard, Dedup::in_memory(), Arc::new(Machine));
//! create_log(&log).await?;
//!
//! let sequencer = Sequencer::new(log, Options::default());
//! let (shared, (stop, stopped)) = (sequencer.shared(), tokio::sync::watch::channel(false));
//! let writer = sequencer.load().await?;
//! let running = tokio::spawn(sequencer.run(writer, stopped));
//! # shared.watch().wait_for(|state| matches!(state.status, kiln_sequencer::Status::Ready)).await?;
//!
//! let entry = Entry::new("my release".into())?;
//! let answer = shared.pool.submit(vec![entry], Wait::Published).await?;
//! assert_eq!(answer.indices, [0]);
//!
//! stop.send(true)?;
//! running.await??;
//! # Ok(())
//! # }
//! ```
//!
//! [tlog-tiles]: https://c2sp.org/tlog-tiles

mod alarm;
mod answers;
mod collect;
mod commit;
mod dedup;
mod description;
mod end;
mod entry;
mod environment;
mod failed_round;
mod floors;
mod follow;
mod guard;
mod lease;
mod lineage;
mod load;
mod log;
mod metrics;
mod mirrors;
mod pool;
mod publish;
mod read;
mod record;
mod recover;
mod replace;
mod round;
mod rounds;
mod sequencer;
mod server;
mod signer;
mod standby;
mod state;
mod traced;
mod tree;
mod witnesses;

pub use alarm::{Alarm, Voice};
pub use collect::{CollectError, CollectOptions, Collector, Sweep, Swept};
pub use dedup::{Dedup, DedupError, Known};
pub use description::{Description, EndDescription, WitnessDescription};
pub use entry::{Entry, EntryError};
pub use environment::Environment;
pub use failed_round::RoundError;
pub use floors::PublicCheckpoint;
pub use guard::{Guard, GuardError};
pub use lease::Holder;
pub use load::{CatchUp, LoadError, create_log};
pub use log::Log;
pub use metrics::{Metrics, exposition};
pub use mirrors::{MAX_MIRROR_ANSWER, Mirror, MirrorClient, Pusher};
pub use pool::{Answer, MAX_ROUND_BYTES, Pool, PoolLimits, Refusal, Wait};
pub use read::ReadError;
pub use record::{HeadRecord, MAX_ROUNDS, ParseHeadError, Round};
pub use recover::{Plan, RecoverError, Recovery};
pub use replace::CopyHead;
pub use round::Writer;
pub use sequencer::{Options, Sequencer, Shared};
pub use server::{LogServer, ProveError, ServerOptions, SubmissionLimits, Submissions};
pub use signer::{SignError, Signer};
pub use state::{State, Status};
pub use tree::Tree;
pub use witnesses::{
    MAX_WITNESS_ANSWER, WitnessAnswer, WitnessClient, WitnessError, WitnessMode, WitnessOptions,
    WitnessSetupError, Witnesses,
};
