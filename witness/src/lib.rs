//! A witness for transparency logs, as [tlog-witness] defines it: it says of a log that what it shows today extends
//! what it showed before, and to everybody the same.
//!
//! | request | answer |
//! |---|---|
//! | `POST /add-checkpoint` | [cosignatures](https://c2sp.org/tlog-cosignature) by all of its keys, or the status that the specification names |
//! | `POST /sign-subtree` | those of a subtree, by the keys that can |
//! | `GET /<hex SHA-256 of the origin>/checkpoint` | the newest checkpoint that it cosigned |
//! | `GET /`, `/logs` | who it is; which logs it witnesses, in the form `logs/v0` |
//! | `GET /healthz`, `/readyz` | whether the process lives; whether it can cosign |
//!
//! What counts stands in few places: [`Submission`] has every rule of a checkpoint, in the order of the specification;
//! the writer asks them and commits in one transaction; [`Witness`] signs what is committed, and nothing else.
//!
//! A [`Mirror`] keeps the entries of logs as well, and has all but the signing in common with a witness.
//!
//! [tlog-witness]: https://c2sp.org/tlog-witness

mod bastion;
mod certificate;
mod clock;
mod cosigners;
mod evidence;
mod listing;
mod logs;
mod metrics;
mod mirror;
mod page;
mod quota;
mod recent;
mod record;
mod refusal;
mod server;
mod store;
mod submission;
mod subtree;
#[cfg(test)]
mod testing;
mod writer;

pub use bastion::{Bastion, BastionError, BastionRoots};
pub use certificate::{BackendKey, BackendKeyError};
pub use clock::Clock;
pub use cosigners::{Cosigners, CosignersError};
pub use evidence::{Case, EvidenceError};
pub use listing::Listing;
pub use logs::{KnownLogs, KnownLogsError, Log, LogList, Logs, ParseLogListError, PerDay, Taken};
pub use mirror::{LogCopyError, Mirror, PullError, PullTurns, Pulled, TicketKey};
pub use record::Record;
pub use refusal::Refusal;
pub use server::{MAX_BODY, Prefixes, Witness};
pub use store::{Store, StoreError};
pub use submission::Submission;
pub use subtree::SubtreeRequest;
