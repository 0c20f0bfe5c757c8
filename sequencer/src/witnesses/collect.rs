//! Asks all witnesses at once, and waits for as many as are needed.

use std::sync::Arc;

use kiln_storage::{Register, Store};
use kiln_tiles::NoteSignature;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, debug_span};

use super::ask::{Asked, Fault, Line};
use super::{Contact, WitnessMode, Witnesses};
use crate::failed_round::RoundError;

type Answered = (Arc<Contact>, Result<Vec<Line>, Fault>);

/// What it is called in metrics that a witness cosigned.
const COSIGNED: &str = "cosigned";

/// Witnesses that were asked to cosign a checkpoint, and what they answered so far.
#[derive(Debug)]
pub(crate) struct Asking {
    witnesses: Arc<Witnesses>,
    size: u64,
    until: Instant,
    asked: JoinSet<Answered>,
    /// Who has not answered yet.
    waiting: Vec<Arc<Contact>>,
    /// Lines that nobody took yet.
    lines: Vec<NoteSignature>,
    /// The places in the policy of those who cosigned, and of those who say that they know a larger tree.
    cosigned: Vec<usize>,
    ahead: Vec<usize>,
    /// Whether one of these shows it, signed by this log.
    shown: bool,
}

/// Asks all witnesses to cosign, and returns when enough have, when no more answer, or when time is up.
pub(crate) async fn collect<S: Store, G: Register>(
    witnesses: &Arc<Witnesses>,
    asked: &Arc<Asked<S, G>>,
) -> Asking {
    let begun = Instant::now();
    let mut asking = Asking::begin(witnesses, asked, begun);
    let options = &witnesses.options;
    let deadline = match options.mode {
        // Without the quorum there is nothing else to do than to wait for it.
        WitnessMode::Require => begun + options.longest(),
        WitnessMode::Prefer => begun + options.patience,
    };
    while !asking.is_met()
        && let Ok(Some(answered)) = timeout_at(deadline, asking.asked.join_next()).await
    {
        asking.take(answered);
    }
    asking
}

impl Asking {
    fn begin<S: Store, G: Register>(
        witnesses: &Arc<Witnesses>,
        asked: &Arc<Asked<S, G>>,
        begun: Instant,
    ) -> Self {
        let mut set = JoinSet::new();
        for contact in &witnesses.contacts {
            let (contact, asked) = (contact.clone(), asked.clone());
            let span = debug_span!("cosign", witness = %contact.name);
            let asking = async move {
                let outcome = contact.cosign(&asked).await;
                (contact, outcome)
            };
            set.spawn(asking.instrument(span));
        }
        Self {
            size: asked.checkpoint.head().size(),
            until: begun + witnesses.options.longest(),
            asked: set,
            waiting: witnesses.contacts.clone(),
            lines: Vec::new(),
            cosigned: Vec::new(),
            ahead: Vec::new(),
            shown: false,
            witnesses: witnesses.clone(),
        }
    }

    /// Whether those who cosigned are enough.
    pub(crate) fn is_met(&self) -> bool {
        self.witnesses.quorum.is_met_by(|place| self.cosigned.contains(&place))
    }

    /// Whether a larger tree is to be believed in: the log is to be loaded anew.
    pub(crate) fn knows_more(&self) -> bool {
        self.shown || self.witnesses.are_blocked_by(&self.ahead)
    }

    /// The lines that came since they were last taken.
    pub(crate) fn take_lines(&mut self) -> Vec<NoteSignature> {
        std::mem::take(&mut self.lines)
    }

    /// The lines of those that were late, when all have answered or had time to. It may be dropped and called again.
    ///
    /// # Errors
    /// Where one of them shows a larger tree: the log is to be loaded anew.
    pub(crate) async fn late_lines(&mut self) -> Result<Vec<NoteSignature>, RoundError> {
        while let Ok(Some(answered)) = timeout_at(self.until, self.asked.join_next()).await {
            self.take(answered);
        }
        self.give_up()?;
        Ok(self.take_lines())
    }

    /// Asks nobody any more; who has not answered was too slow for this tree.
    ///
    /// # Errors
    /// Where one of those who have answered shows a larger tree.
    pub(crate) fn give_up(&mut self) -> Result<(), RoundError> {
        while let Some(answered) = self.asked.try_join_next() {
            self.take(answered);
        }
        self.asked.abort_all();
        for contact in std::mem::take(&mut self.waiting) {
            self.tell(&contact, &Err(Fault::Late));
        }
        // Who is late is believed no number: the others were enough, or are done without.
        if self.shown { Err(RoundError::WitnessAhead) } else { Ok(()) }
    }

    fn take(&mut self, answered: Result<Answered, JoinError>) {
        let Ok((contact, outcome)) = answered else { return };
        self.waiting.retain(|other| !Arc::ptr_eq(other, &contact));
        self.tell(&contact, &outcome);
        match outcome {
            Ok(lines) => {
                self.cosigned.extend(lines.iter().map(|line| line.place));
                self.lines.extend(lines.into_iter().map(|line| line.signature));
            }
            Err(Fault::Ahead { shown, .. }) => {
                self.ahead.extend(contact.places());
                self.shown |= shown;
            }
            Err(_) => {}
        }
    }

    /// Counts what a witness did, and says it: once for as long as it lasts, not with each round.
    fn tell(&self, contact: &Contact, outcome: &Result<Vec<Line>, Fault>) {
        let Self { witnesses, size, .. } = self;
        let name = contact.name.to_string();
        let label = outcome.as_ref().map_or_else(Fault::label, |_| COSIGNED);
        witnesses.counters.count(&name, label);
        for line in outcome.iter().flatten() {
            let named = witnesses.quorum.witnesses()[line.place].name.to_string();
            witnesses.counters.cosigned(&named, *size, line.time);
        }
        match outcome {
            _ if !contact.is_news(label) => {}
            Ok(_) => tracing::info!(witness = name, size, "it cosigns"),
            Err(fault) => tracing::warn!(witness = name, size, "no cosignature: {fault}"),
        }
    }
}

/// However it ends, it is told who was too slow.
impl Drop for Asking {
    fn drop(&mut self) {
        let _ = self.give_up();
    }
}
