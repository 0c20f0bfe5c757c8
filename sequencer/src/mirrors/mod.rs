//! Mirrors, as the log sees them: what is published is pushed to each, beside the rounds, and what they sign is
//! published as the line of a witness that was late.
//!
//! A round never waits for a mirror. Each has a task of its own, which takes the newest checkpoint that is published,
//! sends what the mirror has not, and begins again; what it holds meanwhile is one request. Where a mirror fails, the
//! task waits, longer each time.
//!
//! | the mirror answers | the task |
//! |---|---|
//! | `add-checkpoint`: 200, 409 | sends entries; sends it again with the proof from that size |
//! | `add-entries`: 200 | verifies the lines, hands them to the rounds, waits for the next checkpoint |
//! | 202, 409 | goes on as the answer says, with its ticket |
//! | that it knows a larger tree | says so, waits |
//! | anything else, or nothing | says so, waits |

mod counters;
mod late;
mod push;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_storage::{Register, Store};
use kiln_tiles::{SignedCheckpoint, VerifierKey};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::sequencer::{Sequencer, Shared, stopped};
use crate::state::{State, Status};
use crate::witnesses::{WitnessAnswer, WitnessError};
pub(crate) use counters::MirrorCounters;
pub(crate) use late::LateLines;
use push::{Fault, Push};

/// How a log talks to one mirror. Whoever implements it bounds the time and the length of an answer.
pub trait MirrorClient: Debug + Send + Sync + 'static {
    /// Posts this body to `add-checkpoint` below the submission prefix.
    fn add_checkpoint(&self, body: String) -> BoxFuture<'_, Result<WitnessAnswer, WitnessError>>;

    /// Posts this body to `add-entries` below the submission prefix; compressed, if it likes.
    fn add_entries(&self, body: Bytes) -> BoxFuture<'_, Result<WitnessAnswer, WitnessError>>;
}

/// The longest answer of a mirror, in bytes: a ticket of 64 KiB in base64, and two lines.
pub const MAX_MIRROR_ANSWER: usize = 96 << 10;

/// A mirror that a log pushes to.
#[derive(Debug)]
pub struct Mirror {
    /// What people call it.
    name: String,
    /// Any of these keys may sign, and all lines by them are published.
    keys: Vec<VerifierKey>,
    client: Box<dyn MirrorClient>,
}

impl Mirror {
    /// A mirror with these keys.
    #[must_use]
    pub fn new(name: String, keys: Vec<VerifierKey>, client: Box<dyn MirrorClient>) -> Self {
        Self { name, keys, client }
    }
}

/// Between two tries of a mirror that failed: at first, and at most.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(120);

/// Pushes what a log publishes to mirrors, while its process writes the log.
#[derive(Debug)]
pub struct Pusher<S, G> {
    shared: Arc<Shared<S, G>>,
    mirrors: Vec<Mirror>,
    refresh: Duration,
}

impl<S: Store, G: Register> Sequencer<S, G> {
    /// What pushes to these mirrors, until it is dropped or stopped. A tree that stays the same is signed anew after
    /// `refresh`.
    #[must_use]
    pub fn pusher(&self, mirrors: Vec<Mirror>, refresh: Duration) -> Pusher<S, G> {
        Pusher { shared: self.shared(), mirrors, refresh }
    }
}

impl<S: Store, G: Register> Pusher<S, G> {
    /// Pushes until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut pushing = JoinSet::new();
        for mirror in self.mirrors {
            let line = Line { shared: self.shared.clone(), mirror, refresh: self.refresh };
            pushing.spawn(line.push_on());
        }
        tokio::select! {
            () = stopped(&mut stop) => {}
            _ = pushing.join_next() => {} // they never end by themselves, but where there is none
        }
    }
}

/// The way to one mirror.
struct Line<S, G> {
    shared: Arc<Shared<S, G>>,
    mirror: Mirror,
    refresh: Duration,
}

impl<S: Store, G: Register> Line<S, G> {
    async fn push_on(self) {
        let (mut states, mut pause) = (self.shared.watch(), PAUSE);
        let (mut push, mut done, mut told) = (Push::default(), None, "");
        loop {
            let is_news =
                |state: &State| newest(state).is_some_and(|newest| newest.head().size() > done.unwrap_or(0));
            let waited = match done {
                None => Ok(states.wait_for(is_news).await.map(drop)),
                Some(_) => timeout(self.refresh, states.wait_for(is_news)).await.map(|news| news.map(drop)),
            };
            if let Ok(Err(_)) = waited {
                return; // the log is gone
            }
            let Some(published) = newest(&self.shared.state()) else { continue };
            let outcome = push.push(&self.mirror, &self.shared.log, &published).await;
            told = self.tell(told, &published, &outcome.as_ref().map(drop));
            match outcome {
                Ok(lines) => {
                    (done, pause) = (Some(published.head().size()), PAUSE);
                    self.shared.late.add(published.head(), lines);
                }
                // A newer checkpoint is published already.
                Err(Fault::Overtaken { .. }) if self.has_newer_than(&published) => {}
                Err(_) => {
                    done = None; // it is news again, be it a line that was to be made anew
                    sleep(pause).await;
                    pause = (2 * pause).min(MAX_PAUSE);
                }
            }
        }
    }

    fn has_newer_than(&self, published: &SignedCheckpoint) -> bool {
        newest(&self.shared.state()).is_some_and(|newest| newest.head().size() > published.head().size())
    }

    /// Counts what a mirror did, and says it: once for as long as it lasts.
    fn tell(
        &self,
        told: &'static str,
        published: &SignedCheckpoint,
        outcome: &Result<(), &Fault>,
    ) -> &'static str {
        let (mirror, size) = (&self.mirror.name, published.head().size());
        let label = outcome.map_or_else(Fault::label, |()| "mirrored");
        self.shared.metrics.mirrors().count(mirror, label, outcome.is_ok().then_some(size));
        match outcome {
            _ if told == label => {}
            Ok(()) => tracing::info!(mirror, size, "it mirrors"),
            Err(Fault::Overtaken { .. }) => return told,
            Err(fault) => tracing::warn!(mirror, size, "not mirrored: {fault}; trying again"),
        }
        label
    }
}

/// The newest checkpoint, where this process writes the log, or nobody does any more, since it has ended.
fn newest(state: &State) -> Option<Arc<SignedCheckpoint>> {
    let writes =
        matches!(state.status, Status::Ready | Status::Stalled | Status::Unwitnessed | Status::Frozen(_));
    state.published.clone().filter(|published| writes && published.head().size() > 0)
}
