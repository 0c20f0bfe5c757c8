//! A conversation with one witness.

use std::time::Duration;

use futures_util::future::join_all;
use kiln_storage::{Register, Store};
use kiln_tiles::{
    AddCheckpoint, Cosignatures, NoteSignature, ParseWitnessError, Proof, SignedCheckpoint, TrustedLog,
    origin_hash, parse_size,
};
use tokio::time::timeout;

use super::{Contact, Proofs, WitnessAnswer, WitnessError, Witnesses};
use crate::read::ReadError;

/// How often a witness is sent the same checkpoint: with the size that is remembered, with the one that it
/// says it has, and once more should that have changed meanwhile.
const TRIES: usize = 3;

/// How long a witness may take that is asked for no more than its size.
const PATIENCE_AT_LOAD: Duration = Duration::from_secs(3);

/// What a witness is asked to cosign.
#[derive(Debug)]
pub(crate) struct Asked<S, G> {
    pub(crate) checkpoint: SignedCheckpoint,
    pub(crate) trusted: TrustedLog,
    pub(crate) proofs: Proofs<S, G>,
}

/// Why a witness did not cosign. All but the last are its own doing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("it does not answer: {0}")]
    Unreachable(#[source] WitnessError),
    #[error("it answers {0}{1}")]
    Refused(u16, String),
    #[error("it answers 409 whatever size it is sent; it said {0} last")]
    Conflict(u64),
    #[error("it says that it knows a tree of size {theirs}, and this log has {ours}")]
    Ahead {
        theirs: u64,
        ours: u64,
        /// Whether it showed that tree, with the signature of this log.
        shown: bool,
    },
    #[error(transparent)]
    Malformed(#[from] ParseWitnessError),
    #[error("it answers with no cosignature by a key that the policy has for it")]
    OtherKey,
    #[error("its cosignature is wrong")]
    Signature,
    #[error("its cosignature has no time")]
    NoTime,
    #[error("the proof for it could not be made: {0}")]
    Proof(#[from] ReadError),
}

impl Fault {
    /// What it is called in metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Refused(..) => "refused",
            Self::Conflict(_) => "conflict",
            Self::Ahead { .. } => "ahead",
            Self::Malformed(_) => "malformed",
            Self::OtherKey => "other_key",
            Self::Signature => "bad_signature",
            Self::NoTime => "no_time",
            Self::Proof(_) => "proof",
        }
    }
}

impl Contact {
    /// Asks the witness to cosign, one tree at a time. What comes back is verified: one line by each of its keys at
    /// most.
    pub(super) async fn cosign<S: Store, G: Register>(
        &self,
        asked: &Asked<S, G>,
    ) -> Result<Vec<NoteSignature>, Fault> {
        let head = asked.checkpoint.head();
        let mut state = self.state.lock().await;
        let mut said = 0;
        for _ in 0..TRIES {
            // Who was never asked is asked from the beginning, and says where it is.
            let old = state.size.unwrap_or(0);
            let proof = asked.proofs.from(old).await?.unwrap_or_default();
            let checkpoint = asked.checkpoint.note().clone();
            let body = AddCheckpoint { old, proof, checkpoint }.to_string();
            let WitnessAnswer { status, body } =
                self.client.add_checkpoint(body).await.map_err(Fault::Unreachable)?;
            match status {
                200 => {
                    let lines = self.verified(&asked.checkpoint, &body)?;
                    state.size = Some(head.size());
                    return Ok(lines);
                }
                409 => said = parse_size(&body)?,
                status => return Err(Fault::Refused(status, first_line(&body))),
            }
            if said > head.size() {
                let shown = self.shows_more(&asked.trusted, head.size()).await;
                return Err(Fault::Ahead { theirs: said, ours: head.size(), shown });
            }
            state.size = Some(said);
        }
        Err(Fault::Conflict(said))
    }

    fn verified(&self, checkpoint: &SignedCheckpoint, answer: &[u8]) -> Result<Vec<NoteSignature>, Fault> {
        let answer = Cosignatures::parse(answer)?;
        let text = checkpoint.note().unverified_text();
        let mut lines = Vec::new();
        for key in &self.keys {
            let Some(line) = answer.lines().iter().find(|line| line.is_by(key)) else { continue };
            if !key.verify(text, line.signature()) {
                return Err(Fault::Signature);
            }
            if key.time_of(line).is_none_or(|time| time == 0) {
                return Err(Fault::NoTime);
            }
            lines.push(line.clone());
        }
        if lines.is_empty() { Err(Fault::OtherKey) } else { Ok(lines) }
    }

    /// Whether the witness shows monitors a larger tree that this log signed.
    async fn shows_more(&self, log: &TrustedLog, size: u64) -> bool {
        let hash = origin_hash(log.origin());
        let Ok(Some(body)) = self.client.checkpoint(hash).await else { return false };
        log.open(&body).is_ok_and(|checkpoint| checkpoint.head().size() > size)
    }
}

/// What a person may read of a refusal.
fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let line: String = text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

/// A witness that knows a larger tree than this log has.
#[derive(Debug)]
pub(crate) struct KnowsMore {
    pub(crate) witness: String,
    pub(crate) size: u64,
}

/// Asks all witnesses, at a load, how large the log's tree is that they know: with a checkpoint of the empty tree, which
/// every tree extends. Returns one that knows a larger one than `size`, if that is to be believed: it shows it, signed by
/// this log, or those that say so are so many that the others could not meet the quorum.
///
/// Who does not answer says nothing.
pub(crate) async fn ask_sizes(
    witnesses: &Witnesses,
    log: &TrustedLog,
    empty: &SignedCheckpoint,
    size: u64,
) -> Option<KnowsMore> {
    let asked = join_all(witnesses.contacts.iter().map(|contact| async move {
        let request = AddCheckpoint { old: 0, proof: Proof::default(), checkpoint: empty.note().clone() };
        let said = timeout(PATIENCE_AT_LOAD, contact.client.add_checkpoint(request.to_string())).await;
        let known = match said {
            Ok(Ok(answer)) if answer.status == 409 => parse_size(&answer.body).ok(),
            Ok(Ok(answer)) if answer.status == 200 => Some(0),
            _ => None,
        };
        let Some(known) = known else {
            tracing::warn!(witness = %contact.name, "it does not say which tree it knows; going on without it");
            return None;
        };
        contact.state.lock().await.size = Some(known.min(size));
        let ahead = known > size;
        let shown = ahead && contact.shows_more(log, size).await;
        ahead.then_some((contact, known, shown))
    }))
    .await;
    let ahead: Vec<_> = asked.into_iter().flatten().collect();
    let places: Vec<usize> = ahead.iter().flat_map(|(contact, ..)| contact.places.iter().copied()).collect();
    let blocked = !ahead.is_empty() && !witnesses.are_enough_without(&places);
    for (contact, known, shown) in &ahead {
        if !shown && !blocked {
            tracing::error!(
                witness = %contact.name, known, size,
                "it says that it knows a larger tree, and shows none that this log signed; going on without it"
            );
        }
    }
    let believed = ahead.into_iter().find(|(_, _, shown)| *shown || blocked);
    believed.map(|(contact, size, _)| KnowsMore { witness: contact.name.to_string(), size })
}
