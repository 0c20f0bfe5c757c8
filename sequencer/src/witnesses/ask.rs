//! A conversation with one witness.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use kiln_storage::{Register, Store};
use kiln_tiles::{
    AddCheckpoint, Cosignatures, NoteSignature, ParseWitnessError, Proof, SignedCheckpoint, TreeHead,
    TrustedLog, origin_hash, parse_size,
};
use tokio::time::timeout;

use super::{Contact, Proofs, WitnessAnswer, WitnessError, Witnesses};
use crate::read::ReadError;

/// How often a witness is sent the same checkpoint: with the size that is remembered, with the one that it
/// says it has, and once more should that have changed meanwhile.
const TRIES: usize = 3;

/// How long a witness may take that is asked for no more than its size.
const PATIENCE_AT_LOAD: Duration = Duration::from_secs(3);
/// How long it may take to show the tree that it knows. Its word stands without that.
const PATIENCE_TO_SEE: Duration = Duration::from_secs(1);

/// What it is called in metrics that a witness did not answer in time.
pub(super) const LATE: &str = "late";

/// What a witness is asked to cosign.
#[derive(Debug)]
pub(crate) struct Asked<S, G> {
    pub(crate) checkpoint: SignedCheckpoint,
    pub(crate) trusted: TrustedLog,
    pub(crate) proofs: Proofs<S, G>,
}

/// A cosignature that was verified.
#[derive(Debug)]
pub(super) struct Line {
    /// The place in the policy of the witness that made it.
    pub(super) place: usize,
    /// When, by its own clock: never zero.
    pub(super) time: u64,
    pub(super) signature: NoteSignature,
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
    #[error("it did not answer before the next tree was there, or time was up")]
    Late,
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
            Self::Late => LATE,
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
    ) -> Result<Vec<Line>, Fault> {
        let head = asked.checkpoint.head();
        let mut size = self.size.lock().await;
        let mut said = 0;
        for _ in 0..TRIES {
            // Who was never asked is asked from the beginning, and says where it is.
            let old = size.unwrap_or(0);
            let proof = asked.proofs.from(old).await?.unwrap_or_default();
            let checkpoint = asked.checkpoint.note().clone();
            let body = AddCheckpoint { old, proof, checkpoint }.to_string();
            let WitnessAnswer { status, body } =
                self.client.add_checkpoint(body).await.map_err(Fault::Unreachable)?;
            match status {
                200 => {
                    let lines = self.verified(&asked.checkpoint, &body)?;
                    *size = Some(head.size());
                    return Ok(lines);
                }
                409 => said = parse_size(&body)?,
                status => return Err(Fault::Refused(status, first_line(&body))),
            }
            if said > head.size() {
                let shown = self.shown(&asked.trusted).await;
                let shown = shown.is_some_and(|tree| tree.size() > head.size());
                return Err(Fault::Ahead { theirs: said, ours: head.size(), shown });
            }
            *size = Some(said);
        }
        Err(Fault::Conflict(said))
    }

    fn verified(&self, checkpoint: &SignedCheckpoint, answer: &[u8]) -> Result<Vec<Line>, Fault> {
        let answer = Cosignatures::parse(answer)?;
        let text = checkpoint.note().unverified_text();
        let mut lines = Vec::new();
        for (place, key) in &self.keys {
            let Some(line) = answer.lines().iter().find(|line| line.is_by(key)) else { continue };
            if !key.verify(text, line.signature()) {
                return Err(Fault::Signature);
            }
            let time = key.time_of(line).filter(|time| *time > 0).ok_or(Fault::NoTime)?;
            lines.push(Line { place: *place, time, signature: line.clone() });
        }
        if lines.is_empty() { Err(Fault::OtherKey) } else { Ok(lines) }
    }

    /// The tree of this log that the witness shows monitors, if the log signed it.
    async fn shown(&self, log: &TrustedLog) -> Option<TreeHead> {
        let shown =
            timeout(PATIENCE_TO_SEE, self.client.checkpoint(origin_hash(log.origin()).to_hex())).await;
        let body = shown.ok()?.ok()??;
        log.open(&body).ok().map(|checkpoint| checkpoint.head())
    }

    /// How large the log's tree is that the witness knows, and the tree itself if it shows it.
    async fn knows(&self, log: &TrustedLog, published: Option<&SignedCheckpoint>) -> Known {
        let published = published.filter(|published| published.head().size() > 0);
        let said = match published {
            Some(published) => self.says(published).await,
            None => None, // there is nothing that could be shown to it
        };
        let shown = if said == Some(0) { None } else { self.shown(log).await };
        // Who shows a tree that this log signed knows it, whatever else it says.
        let seen = shown.map(|tree| tree.size());
        Known { size: said.max(seen), shown }
    }

    /// The size that the witness says it knows, when it is asked to cosign this checkpoint from the beginning: that in its
    /// 409, or that of the checkpoint, if it knew nothing.
    async fn says(&self, published: &SignedCheckpoint) -> Option<u64> {
        let checkpoint = published.note().clone();
        let request = AddCheckpoint { old: 0, proof: Proof::default(), checkpoint }.to_string();
        let answer = timeout(PATIENCE_AT_LOAD, self.client.add_checkpoint(request)).await.ok()?.ok()?;
        match answer.status {
            200 => Some(0),
            409 => parse_size(&answer.body).ok(),
            _ => None,
        }
    }
}

/// What a witness says that it knows of a log.
#[derive(Clone, Copy, Debug)]
struct Known {
    size: Option<u64>,
    shown: Option<TreeHead>,
}

/// What a person may read of a refusal.
pub(crate) fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let line: String = text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

/// What witnesses remember of a log.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The trees that they show, each signed by the log: it must extend them.
    pub(crate) trees: Vec<TreeHead>,
    /// One that is to be believed, and knows a larger tree than the log has.
    pub(crate) ahead: Option<(String, u64)>,
}

/// What witnesses said at a load, before the head was read, which may grow in between.
#[derive(Debug)]
pub(crate) struct Said(Vec<(Arc<Contact>, Known)>);

/// Asks all witnesses, at a load, how large the log's tree is that they know: by what is published, of which each that
/// knows more or less says so. Who does not answer says nothing.
pub(crate) async fn ask_all(
    witnesses: &Witnesses,
    log: &TrustedLog,
    published: Option<&SignedCheckpoint>,
) -> Said {
    let asked = join_all(witnesses.contacts.iter().map(|contact| async move {
        let known = contact.knows(log, published).await;
        if published.is_some() && known.size.is_none() {
            tracing::warn!(witness = %contact.name, "it does not say which tree it knows; going on without it");
        }
        (contact.clone(), known)
    }));
    Said(asked.await)
}

impl Said {
    /// What is to be believed of it, for a log of this size. One that knows a larger tree is where it shows it, signed by
    /// this log, or where those that say so are so many that the others could not meet the quorum.
    pub(crate) fn judge(&self, witnesses: &Witnesses, size: u64) -> Heard {
        let (mut heard, mut ahead) = (Heard::default(), Vec::new());
        for (contact, Known { size: known, shown }) in &self.0 {
            match known {
                Some(known) if *known > size => {
                    ahead.push((contact, *known, shown.is_some_and(|tree| tree.size() > size)));
                }
                // The empty tree vouches for nothing.
                _ => heard.trees.extend(shown.filter(|tree| tree.size() > 0)),
            }
        }
        let places: Vec<usize> = ahead.iter().flat_map(|(contact, ..)| contact.places()).collect();
        let blocked = witnesses.are_blocked_by(&places);
        for (contact, known, shown) in ahead {
            if shown || blocked {
                heard.ahead.get_or_insert((contact.name.to_string(), known));
            } else {
                tracing::error!(
                    witness = %contact.name, known, size,
                    "it says that it knows a larger tree, and shows none that this log signed; going on without it"
                );
            }
        }
        heard
    }
}
