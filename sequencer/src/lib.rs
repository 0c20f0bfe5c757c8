//! The single writer of a tile-based transparency log.

mod alarm;
mod answers;
mod dedup;
mod description;
mod entry;
mod environment;
mod guard;
mod load;
mod log;
mod metrics;
mod pool;
mod publish;
mod read;
mod record;
mod round;
mod sequencer;
mod server;
mod state;
mod tree;

pub use alarm::{Alarm, Voice};
pub use dedup::{Dedup, DedupError};
pub use description::Description;
pub use entry::{Entry, EntryError};
pub use environment::Environment;
pub use guard::{Guard, GuardError};
pub use load::{CatchUp, LoadError, create_log};
pub use log::Log;
pub use metrics::Metrics;
pub use pool::{Answer, MAX_ROUND_BYTES, Pool, PoolLimits, Refusal, Wait};
pub use read::ReadError;
pub use record::{HeadRecord, MAX_ROUNDS, ParseHeadError, Round};
pub use round::{RoundError, Writer};
pub use sequencer::{Options, Sequencer, Shared};
pub use server::{LogServer, ServerOptions, SubmissionLimits};
pub use state::{State, Status};
pub use tree::Tree;
