//! Logs that are pulled: some at once, each again and again.

use std::sync::Arc;
use std::time::Duration;

use kiln_client::{AnySource, Client};
use kiln_witness::{Mirror, PullError, PullTurns, Pulled};
use serde_json::json;
use tokio::task::JoinSet;

use super::targets::Target;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::quantity::grouped;
use crate::signals::Stop;

/// How often a log shows a smaller tree in a row before that is told: a cache does so now and then.
const BEHIND_IN_A_ROW: u32 = 3;

/// A log that is pulled.
struct Pulling {
    mirror: Mirror,
    client: Client<AnySource>,
    origin: String,
    /// What was told last.
    told: &'static str,
    behind: u32,
}

/// All logs that are pulled. At most so many of them at once are copied.
pub(super) struct Pullings {
    pullings: Vec<Pulling>,
    turns: Arc<PullTurns>,
}

impl Pullings {
    pub(super) fn new(mirror: &Mirror, targets: &[Target], at_once: usize) -> Result<Self, Failure> {
        let pulling = |target: &Target| {
            let (mirror, client) = (mirror.clone(), target.client()?);
            let origin = target.log.origin().to_owned();
            Ok(Pulling { mirror, client, origin, told: "", behind: 0 })
        };
        let pullings = targets.iter().map(pulling).collect::<Result<_, Failure>>()?;
        Ok(Self { pullings, turns: Arc::new(PullTurns::new(at_once)) })
    }

    /// Follows all logs until the process is told to stop. What is copied by then is, and the rest another time.
    pub(super) fn follow(self, every: Duration, stop: &Stop) -> JoinSet<()> {
        let mut following = JoinSet::new();
        for mut pulling in self.pullings {
            let (turns, mut stop) = (self.turns.clone(), stop.clone());
            following.spawn(async move {
                tokio::select! {
                    () = pulling.follow(every, &turns) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            });
        }
        following
    }

    /// Pulls each log once, and says what came of it.
    ///
    /// # Errors
    /// The worst of what was wrong, after all were pulled: a bad log before one that could not be read.
    pub(super) async fn once(self, output: Output, mut stop: Stop) -> Result<(), Failure> {
        let mut pulled = JoinSet::new();
        for pulling in self.pullings {
            let turns = self.turns.clone();
            pulled.spawn(async move { (pulling.origin.clone(), pulling.pull(&turns).await) });
        }
        let mut worst: Option<Failure> = None;
        loop {
            let next = tokio::select! {
                next = pulled.join_next() => next,
                _ = stop.wait_for(|stop| *stop) => {
                    return Err(Failure::undone("stopped; the next run goes on where this one was"));
                }
            };
            let Some(done) = next else { return worst.map_or(Ok(()), Err) };
            let (origin, outcome) = done.map_err(Failure::undone)?;
            if let Err(failure) = tell(&origin, outcome, output) {
                tracing::error!("{failure}");
                if worst.as_ref().is_none_or(|worst| worst.exit() != Exit::Bad) {
                    worst = Some(failure);
                }
            }
        }
    }
}

impl Pulling {
    async fn pull(&self, turns: &PullTurns) -> Result<Pulled, PullError> {
        self.mirror.pull_in_turn(&self.client, turns, |_, _| {}).await
    }

    async fn follow(&mut self, every: Duration, turns: &PullTurns) {
        loop {
            let outcome = self.pull(turns).await;
            self.note(&outcome);
            tokio::time::sleep(every).await;
        }
    }

    /// Says what became of a log, once for as long as it lasts.
    fn note(&mut self, outcome: &Result<Pulled, PullError>) {
        let origin = &self.origin;
        self.behind = if matches!(outcome, Ok(Pulled::Behind { .. })) { self.behind + 1 } else { 0 };
        let what = match outcome {
            Err(PullError::Forked { .. }) => "forked",
            Ok(Pulled::Behind { .. }) if self.behind < BEHIND_IN_A_ROW => return,
            Ok(Pulled::Behind { .. }) => "behind",
            Ok(_) => "well",
            Err(error) if error.is_bad_log() => "bad",
            Err(_) => "undone",
        };
        if std::mem::replace(&mut self.told, what) == what {
            return;
        }
        match outcome {
            Ok(Pulled::Behind { served, known }) => tracing::error!(
                origin, %served, %known,
                "ALARM: the log shows an older tree than it did, time and again: it went back, or a cache answers for it. \
                 What is mirrored stays"
            ),
            Err(error) if error.is_bad_log() => tracing::error!(
                origin, %error,
                "ALARM: the log is bad. What is mirrored stays, nothing newer is signed, and what the log signed against \
                 itself is in DIR/evidence"
            ),
            Err(error) => tracing::warn!(origin, %error, "not pulled; trying again"),
            Ok(pulled) => tracing::info!(origin, size = size_of(pulled), "mirrored"),
        }
    }
}

const fn size_of(pulled: &Pulled) -> u64 {
    match pulled {
        Pulled::Grown { head, .. } | Pulled::Same(head) => head.size(),
        Pulled::Behind { known, .. } => known.size(),
        _ => 0,
    }
}

/// Says what came of one log.
fn tell(origin: &str, outcome: Result<Pulled, PullError>, output: Output) -> Result<(), Failure> {
    let (from, head) = match outcome {
        Ok(Pulled::Grown { from, head }) => (from, head),
        Ok(Pulled::Same(head)) => (head.size(), head),
        Ok(Pulled::Behind { served, known }) => {
            return Err(Failure::bad(format!(
                "{origin}: the log shows {served}, and signed {known} before: it went back in time, or a cache answers for it"
            )));
        }
        Ok(_) => return Ok(()),
        Err(error) => {
            let text = format!("{origin}: {error}");
            return Err(if error.is_bad_log() { Failure::bad(text) } else { Failure::undone(text) });
        }
    };
    if output.is_json() {
        return output.line(json!({
            "origin": origin, "size": head.size(), "root": head.root().to_hex(), "from": from,
        }));
    }
    let (size, new, root) = (grouped(head.size()), grouped(head.size() - from), head.root().to_hex());
    output.line(format_args!("{origin}: {size} entries mirrored, {new} of them new, root {root}"))
}
