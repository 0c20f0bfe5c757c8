//! Asks all witnesses at once, and waits for as many as are needed.

use std::sync::Arc;

use kiln_storage::{Register, Store};
use kiln_tiles::NoteSignature;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::ask::{Asked, Fault};
use super::{Contact, WitnessMode, Witnesses, merge};

type Answered = (Arc<Contact>, Result<Vec<NoteSignature>, Fault>);

/// What it is called in metrics that a witness cosigned.
const COSIGNED: &str = "cosigned";

/// How many times as long as a round waits a witness may take, for its line to be published late.
const LATE: u32 = 4;

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
    let deadline = begun + witnesses.options.patience;
    let (mut lines, mut ahead, mut shown) = (Vec::new(), Vec::new(), false);
    let mut note = asked.checkpoint.note().clone();
    let mut waiting = witnesses.contacts.clone();
    let mut met = witnesses.are_met_by(&note);
    while !met && let Ok(Some(Ok((contact, outcome)))) = timeout_at(deadline, set.join_next()).await {
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
    let late =
        Late { asked: set, waiting, until, witnesses: Some(witnesses.clone()), size, lines: Vec::new() };
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
    pub(crate) async fn lines(&mut self) -> Vec<NoteSignature> {
        let (Some(until), Some(witnesses)) = (self.until, self.witnesses.clone()) else {
            return std::future::pending().await;
        };
        while let Ok(Some(Ok((contact, outcome)))) = timeout_at(until, self.asked.join_next()).await {
            self.waiting.retain(|other| !Arc::ptr_eq(other, &contact));
            let lines = witnesses.take(self.size, &contact, outcome);
            self.lines.extend(lines);
        }
        self.give_up();
        self.until = None;
        std::mem::take(&mut self.lines)
    }

    /// Asks nobody any more; who has not answered was too slow for this tree.
    pub(crate) fn give_up(&mut self) {
        self.asked.abort_all();
        let slow = self.waiting.drain(..);
        if let Some(witnesses) = &self.witnesses {
            for contact in slow {
                witnesses.take(self.size, &contact, Err(Fault::Late));
            }
        }
    }
}
