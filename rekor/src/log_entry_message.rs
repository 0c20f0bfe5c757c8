//! The JSON of a [`TransparencyLogEntry`]: what may be absent there, and what it must be.

use kiln_tiles::{Hash, Proof, TreeHead};
use serde::{Deserialize, Serialize};

use crate::json::{Bytes, Int64, Message};
use crate::log_entry::{InclusionProof, ParseLogEntryError, TransparencyLogEntry};
use crate::log_key::LogId;

/// `TransparencyLogEntry`.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LogEntryMessage {
    #[serde(alias = "log_index")]
    log_index: Option<Int64>,
    #[serde(alias = "log_id")]
    log_id: Option<Message<LogIdMessage>>,
    #[serde(alias = "kind_version")]
    kind_version: Option<Message<KindVersion>>,
    #[serde(alias = "integrated_time")]
    integrated_time: Option<Int64>,
    #[serde(alias = "inclusion_promise")]
    inclusion_promise: Option<Message<InclusionPromise>>,
    #[serde(alias = "inclusion_proof")]
    inclusion_proof: Option<Message<InclusionProofMessage>>,
    #[serde(alias = "canonicalized_body")]
    canonicalized_body: Option<Bytes>,
}

/// `LogId`.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LogIdMessage {
    #[serde(alias = "key_id")]
    pub(crate) key_id: Option<Bytes>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct KindVersion {
    kind: Option<String>,
    version: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct InclusionPromise {
    #[serde(alias = "signed_entry_timestamp")]
    signed_entry_timestamp: Option<Bytes>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct InclusionProofMessage {
    #[serde(alias = "log_index")]
    log_index: Option<Int64>,
    #[serde(alias = "root_hash")]
    root_hash: Option<Bytes>,
    #[serde(alias = "tree_size")]
    tree_size: Option<Int64>,
    hashes: Option<Vec<Bytes>>,
    checkpoint: Option<Message<CheckpointMessage>>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct CheckpointMessage {
    envelope: Option<String>,
}

impl TryFrom<LogEntryMessage> for TransparencyLogEntry {
    type Error = ParseLogEntryError;

    fn try_from(message: LogEntryMessage) -> Result<Self, ParseLogEntryError> {
        use ParseLogEntryError::Field;
        let KindVersion { kind, version } = message.kind_version.ok_or(Field("kindVersion"))?.0;
        let promise =
            message.inclusion_promise.map(|promise| promise.0.signed_entry_timestamp.unwrap_or_default().0);
        Ok(Self {
            log_index: index(message.log_index).ok_or(Field("logIndex"))?,
            log_id: message.log_id.and_then(|id| id.0.log_id()).ok_or(Field("logId"))?,
            kind: kind.unwrap_or_default(),
            version: version.unwrap_or_default(),
            integrated_time: message.integrated_time.unwrap_or_default().0,
            inclusion_promise: promise,
            inclusion_proof: message.inclusion_proof.map(|proof| proof.0.try_into()).transpose()?,
            canonicalized_body: message.canonicalized_body.ok_or(Field("canonicalizedBody"))?.0,
        })
    }
}

/// What is absent is 0, as in all of protobuf.
fn index(number: Option<Int64>) -> Option<u64> {
    u64::try_from(number.unwrap_or_default().0).ok()
}

impl LogIdMessage {
    pub(crate) fn log_id(self) -> Option<LogId> {
        self.key_id?.0.try_into().ok().map(LogId::from_bytes)
    }
}

impl TryFrom<InclusionProofMessage> for InclusionProof {
    type Error = ParseLogEntryError;

    fn try_from(message: InclusionProofMessage) -> Result<Self, ParseLogEntryError> {
        use ParseLogEntryError::Field;
        let root = message.root_hash.and_then(hash).ok_or(Field("rootHash"))?;
        let head = index(message.tree_size).and_then(|size| TreeHead::new(size, root));
        let hashes = message.hashes.unwrap_or_default().into_iter().map(hash).collect::<Option<_>>();
        let checkpoint = message.checkpoint.map(|checkpoint| checkpoint.0.envelope.unwrap_or_default());
        Ok(Self {
            log_index: index(message.log_index).ok_or(Field("logIndex"))?,
            head: head.ok_or(Field("treeSize"))?,
            hashes: hashes.and_then(Proof::from_hashes).ok_or(Field("hashes"))?,
            checkpoint,
        })
    }
}

fn hash(bytes: Bytes) -> Option<Hash> {
    bytes.0.try_into().ok().map(Hash::from_bytes)
}

impl From<&TransparencyLogEntry> for LogEntryMessage {
    fn from(entry: &TransparencyLogEntry) -> Self {
        let kind_version =
            KindVersion { kind: Some(entry.kind.clone()), version: Some(entry.version.clone()) };
        let promise =
            |set: &Vec<u8>| Message(InclusionPromise { signed_entry_timestamp: Some(Bytes(set.clone())) });
        Self {
            log_index: Some(int64(entry.log_index)),
            log_id: Some(entry.log_id.into()),
            kind_version: Some(Message(kind_version)),
            integrated_time: Some(Int64(entry.integrated_time)),
            inclusion_promise: entry.inclusion_promise.as_ref().map(promise),
            inclusion_proof: entry.inclusion_proof.as_ref().map(|proof| Message(proof.into())),
            canonicalized_body: Some(Bytes(entry.canonicalized_body.clone())),
        }
    }
}

/// No tree has an index or a size beyond it.
fn int64(number: u64) -> Int64 {
    Int64(number.try_into().unwrap_or(i64::MAX))
}

impl From<LogId> for Message<LogIdMessage> {
    fn from(id: LogId) -> Self {
        Self(LogIdMessage { key_id: Some(Bytes(id.as_bytes().to_vec())) })
    }
}

impl From<&InclusionProof> for InclusionProofMessage {
    fn from(proof: &InclusionProof) -> Self {
        let bytes = |hash: Hash| Bytes(hash.as_bytes().to_vec());
        Self {
            log_index: Some(int64(proof.log_index)),
            root_hash: Some(bytes(proof.head.root())),
            tree_size: Some(int64(proof.head.size())),
            hashes: Some(proof.hashes.hashes().iter().copied().map(bytes).collect()),
            checkpoint: proof
                .checkpoint
                .clone()
                .map(|note| Message(CheckpointMessage { envelope: Some(note) })),
        }
    }
}
