//! `TransparencyLogEntry`: what a log answers, and what travels in bundles: an entry, its place in a log, and
//! the proof of it. As [protobuf-specs] defines it.
//!
//! Reading is strict: sigstore-go and sigstore-python refuse unknown fields too. Entries of Rekor v1 can be
//! read, and are refused when they are to be verified.
//!
//! [protobuf-specs]: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_rekor.proto

use kiln_tiles::{Hash, Proof, ProofError, TreeHead};

use crate::entry::{Entry, EntryKind, ParseEntryError};
use crate::json::{self, JsonError};
use crate::log_entry_message::LogEntryMessage;
use crate::log_key::LogId;
use crate::rekor_log::{OpenRekorCheckpointError, RekorLog};

/// An entry of a log, with the proof. It proves nothing before [`verify`](Self::verify).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransparencyLogEntry {
    pub(crate) log_index: u64,
    pub(crate) log_id: LogId,
    pub(crate) kind: String,
    pub(crate) version: String,
    pub(crate) integrated_time: i64,               // 0 in Rekor v2
    pub(crate) inclusion_promise: Option<Vec<u8>>, // none in Rekor v2
    pub(crate) inclusion_proof: Option<InclusionProof>,
    pub(crate) canonicalized_body: Vec<u8>,
}

/// That an entry is in the tree of a checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InclusionProof {
    /// The index in the tree: that of the entry, unless a Rekor v1 was sharded.
    pub log_index: u64,
    /// Size and root hash of the tree.
    pub head: TreeHead,
    /// From the leaf towards the root.
    pub hashes: Proof,
    /// The checkpoint, a signed note. The first of the Rekor v1 gave none.
    pub checkpoint: Option<String>,
}

/// Why bytes are no log entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseLogEntryError {
    /// Not its JSON.
    #[error("not the JSON of a log entry: {0}")]
    Json(#[from] JsonError),
    /// A field is missing, or has a value that no log gives.
    #[error("the log entry's {0} is missing or malformed")]
    Field(&'static str),
}

/// Why a log entry is not shown to be in a log: the first step that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyLogEntryError {
    /// It names another log.
    #[error("the entry is of the log {0}")]
    OtherLog(LogId),
    /// There is no inclusion proof: it is an entry of Rekor v1, with a promise at best.
    #[error("there is no inclusion proof")]
    NoProof,
    /// The proof comes without a checkpoint, so nobody vouches for its tree.
    #[error("the inclusion proof has no checkpoint")]
    NoCheckpoint,
    /// Rekor v2 promises nothing, and clients would try to verify it.
    #[error("there is an inclusion promise, which no log of this kind gives")]
    Promise,
    /// The checkpoint is not one that the log signed.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] OpenRekorCheckpointError),
    /// Root hash or tree size are not those of the checkpoint.
    #[error("root hash or tree size of the proof are not those of the checkpoint")]
    Head,
    /// The proof is for another index.
    #[error("the proof is for another index")]
    Index,
    /// The body is not at the index in the tree.
    #[error("inclusion: {0}")]
    Inclusion(#[from] ProofError),
    /// It is, and is not what is said of it.
    #[error(transparent)]
    Entry(#[from] ParseEntryError),
    /// Its kind and version are not those that stand beside it.
    #[error("kind or version are not those of the entry")]
    Kind,
}

impl TransparencyLogEntry {
    /// What a log answers: an entry, its index, the proof in the tree of `checkpoint`.
    #[must_use]
    pub fn new(
        entry: &Entry,
        log_index: u64,
        log_id: LogId,
        proof: Proof,
        checkpoint: (TreeHead, String),
    ) -> Self {
        let (head, checkpoint) = (checkpoint.0, Some(checkpoint.1));
        Self::from_parts(
            entry.kind(),
            entry.body().to_vec(),
            log_id,
            InclusionProof { log_index, head, hashes: proof, checkpoint },
        )
    }

    /// The same, for who has kept no more of the entry than kind and body.
    #[must_use]
    pub fn from_parts(kind: EntryKind, body: Vec<u8>, log_id: LogId, proof: InclusionProof) -> Self {
        Self {
            log_index: proof.log_index,
            log_id,
            kind: kind.name().to_owned(),
            version: EntryKind::VERSION.to_owned(),
            integrated_time: 0,
            inclusion_promise: None,
            inclusion_proof: Some(proof),
            canonicalized_body: body,
        }
    }

    /// Reads the JSON.
    ///
    /// # Errors
    /// Where it is another, or a value is one that no log gives.
    pub fn parse(json: &[u8]) -> Result<Self, ParseLogEntryError> {
        json::from_slice::<LogEntryMessage>(json)?.try_into()
    }

    /// The JSON, with all fields: those that are empty too.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::to_string(&LogEntryMessage::from(self))
    }

    /// The index of the entry in its log.
    #[must_use]
    pub const fn log_index(&self) -> u64 {
        self.log_index
    }

    /// The log.
    #[must_use]
    pub const fn log_id(&self) -> LogId {
        self.log_id
    }

    /// Kind and version of the entry, as they stand beside it.
    #[must_use]
    pub fn kind_version(&self) -> (&str, &str) {
        (&self.kind, &self.version)
    }

    /// When a Rekor v1 took the entry, in seconds since 1970; 0 in Rekor v2. Nothing here vouches for it.
    #[must_use]
    pub const fn integrated_time(&self) -> i64 {
        self.integrated_time
    }

    /// Whether a Rekor v1 promised to include the entry.
    #[must_use]
    pub const fn has_inclusion_promise(&self) -> bool {
        self.inclusion_promise.is_some()
    }

    /// The proof.
    #[must_use]
    pub const fn inclusion_proof(&self) -> Option<&InclusionProof> {
        self.inclusion_proof.as_ref()
    }

    /// The body of the entry.
    #[must_use]
    pub fn canonicalized_body(&self) -> &[u8] {
        &self.canonicalized_body
    }

    /// Verifies that the log has the entry at its index, in the tree of a checkpoint that the log signed. Pure.
    ///
    /// The entry that comes back is what the log holds. Whether its signature is right, and what it signs
    /// the artifact at hand, is not asked here.
    ///
    /// # Errors
    /// The step that failed.
    pub fn verify(&self, log: &RekorLog) -> Result<Entry, VerifyLogEntryError> {
        use VerifyLogEntryError as E;
        let proof = self.proof_in(log)?;
        let checkpoint = proof.checkpoint.as_ref().ok_or(E::NoCheckpoint)?;
        if log.open_checkpoint(checkpoint.as_bytes())? != proof.head {
            return Err(E::Head);
        }
        if proof.log_index != self.log_index {
            return Err(E::Index);
        }
        let leaf = Hash::leaf(&self.canonicalized_body);
        proof.hashes.verify_inclusion(self.log_index, leaf, proof.head)?;
        let entry = Entry::parse(&self.canonicalized_body)?;
        let same = self.kind_version() == (entry.kind().name(), EntryKind::VERSION);
        if same { Ok(entry) } else { Err(E::Kind) }
    }

    fn proof_in(&self, log: &RekorLog) -> Result<&InclusionProof, VerifyLogEntryError> {
        use VerifyLogEntryError as E;
        if self.log_id != log.id() {
            return Err(E::OtherLog(self.log_id));
        }
        let proof = self.inclusion_proof.as_ref().ok_or(E::NoProof)?;
        if self.has_inclusion_promise() { Err(E::Promise) } else { Ok(proof) }
    }
}
