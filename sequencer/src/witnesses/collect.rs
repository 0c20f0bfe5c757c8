//! Asks all witnesses at once, and waits for as many as are needed.

use std::sync::Arc;

use kiln_storage::{Register, Store};
use kiln_tiles::NoteSignature;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::ask::{Asked, Fault};
use super::{Contact, WitnessMode, Witnesses, merge};
use crate::failed_round::RoundError;

type Answered = (Arc<Contact>, Result<Vec<NoteSignature>, Fault>);

/// What it is called in metrics that a witness cosigned.
const COSIGNED: &str = "cosigned";

/// How many times as long as a round waits a witness may take, for its line to be published late.
pub(crate) const LATE: u32 = 4;

/// What came of asking.
#[derive(Debug)]
pub(crate) struct Collected {
    /// Verified lines.
    pub(crate) lines: Vec<NoteSignature>,
    /// Whether the quorum is met.
    pub(crate) met: bool,
    /// A witness that is to be believed knows a larger tree: the log is to be loaded anew.
    pub(crate) knows_more: bool,
    /// Those that have not answered yet.
    pub(crate) late: Late,
}

/// Witnesses that are still busy with a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Late {
    asked: JoinSet<Answered>,
    waiting: Vec<Arc<Contact>>,
    until: Option<Instant>,
    witnesses: Option<Arc<Witnesses>>,
    size: u64,
    lines: Vec<NoteSignature>,
    /// Whether one of all who were asked shows a larger tree that this log signed.
    knows_more: bool,
}

/// Asks all witnesses to cosign, and returns when enough have, when no more answer, or when time is up.
pub(crate) async fn collect<S: Store, G: Register>(
    witnesses: &Arc<Witnesses>,
    asked: Arc<Asked<S, G>>,
) -> Collected {
    let (size, begun) = (asked.checkpoint.head().size(), Instant::now());
    let mut set = JoinSet::new();
    for contact in &witnesses.contacts {
        let (contact, asked) = (contact.clone(), asked.clone());
        set.spawn(async move {
            let outcome = contact.cosign(&asked).await;
            (contact, outcome)
        });
    }
    // Without the quorum there is nothing else to do than to wait for it.
    let times = if witnesses.options.mode == WitnessMode::Require { LATE } else { 1 };
    let deadline = begun + witnesses.options.patience * times;
    let (mut lines, mut ahead, mut shown) = (Vec::new(), Vec::new(), false);
    let mut note = asked.checkpoint.note().clone();
    let mut waiting = witnesses.contacts.clone();
    let mut met = witnesses.are_met_by(&note);
    while !met && let Ok(Some(answered)) = timeout_at(deadline, set.join_next()).await {
        let Ok((contact, outcome)) = answered else { continue };
        waiting.retain(|other| !Arc::ptr_eq(other, &contact));
        if let Err(Fault::Ahead { shown: this, .. }) = &outcome {
            ahead.extend(&contact.places);
            shown |= this;
        }
        let fresh = witnesses.take(size, &contact, outcome);
        note = merge(&note, &fresh);
        lines.extend(fresh);
        met = witnesses.are_met_by(&note);
    }
    let knows_more = shown || (!ahead.is_empty() && !witnesses.are_enough_without(&ahead));
    let until = Some(begun + witnesses.options.patience * LATE);
    let witnesses = Some(witnesses.clone());
    let late = Late { asked: set, waiting, until, witnesses, size, lines: Vec::new(), knows_more };
    Collected { lines, met, knows_more, late }
}

impl Witnesses {
    /// Whether a checkpoint may be published with what was collected.
    pub(crate) fn may_publish(&self, collected: &Collected) -> bool {
        collected.met || self.options.mode == WitnessMode::Prefer
    }

    /// Counts what a witness did, and says it where it is at fault.
    fn take(
        &self,
        size: u64,
        contact: &Contact,
        outcome: Result<Vec<NoteSignature>, Fault>,
    ) -> Vec<NoteSignature> {
        let name = contact.name.to_string();
        let label = outcome.as_ref().map_or_else(Fault::label, |_| COSIGNED);
        self.counters.count(&name, label);
        let news = contact.is_news(label);
        match outcome {
            Ok(lines) => {
                if news {
                    tracing::info!(witness = name, size, "it cosigns");
                }
                for (key, &place) in contact.keys.iter().zip(&contact.places) {
                    if let Some(line) = lines.iter().find(|line| line.is_by(key)) {
                        let named = self.quorum.witnesses()[place].name.to_string();
                        self.counters.cosigned(&named, size, key.time_of(line).unwrap_or(0));
                    }
                }
                lines
            }
            Err(fault) => {
                // Once for as long as it lasts, not with each round.
                if news {
                    tracing::warn!(witness = name, size, "no cosignature: {fault}");
                }
                Vec::new()
            }
        }
    }
}

impl Late {
    /// The lines of those that were late, when all have answered or had time to; never where nobody is late.
    ///
    /// It may be dropped and called again.
    ///
    /// # Errors
    /// Where one of them shows a larger tree: the log is to be loaded anew.
    pub(crate) async fn lines(&mut self) -> Result<Vec<NoteSignature>, RoundError> {
        let Some(until) = self.until else { return std::future::pending().await };
        while let Ok(Some(answered)) = timeout_at(until, self.asked.join_next()).await {
            self.take(answered);
        }
        self.until = None;
        self.give_up();
        if self.knows_more { Err(RoundError::WitnessAhead) } else { Ok(std::mem::take(&mut self.lines)) }
    }

    fn take(&mut self, answered: Result<Answered, JoinError>) {
        let (Ok((contact, outcome)), Some(witnesses)) = (answered, &self.witnesses) else { return };
        self.waiting.retain(|other| !Arc::ptr_eq(other, &contact));
        self.knows_more |= matches!(outcome, Err(Fault::Ahead { shown: true, .. }));
        self.lines.extend(witnesses.take(self.size, &contact, outcome));
    }

    /// Asks nobody any more; who has not answered was too slow for this tree. Whether one of those who have shows a larger
    /// tree.
    pub(crate) fn give_up(&mut self) -> bool {
        while let Some(answered) = self.asked.try_join_next() {
            self.take(answered);
        }
        self.asked.abort_all();
        let slow: Vec<_> = self.waiting.drain(..).collect();
        if let Some(witnesses) = &self.witnesses {
            for contact in slow {
                witnesses.take(self.size, &contact, Err(Fault::Late));
            }
        }
        self.knows_more
    }
}

/// However it ends, it is told who was too slow.
impl Drop for Late {
    fn drop(&mut self) {
        self.give_up();
    }
}
