//! `log.json`: what a person or a tool needs to start with a log. Advice, no more: no code takes a
//! key from it.

use kiln_tiles::{SignedEnd, Successor};
use serde::Serialize;

use crate::server::SubmissionLimits;

/// What `log.json` says.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// The origin of the log.
    pub origin: String,
    /// Its verifier keys, in note form.
    pub vkeys: Vec<String>,
    /// The witnesses that are asked to cosign.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<WitnessDescription>,
    /// Where entries are submitted, without a trailing slash.
    pub submission_url: Option<String>,
    /// Where the log is read, without a trailing slash.
    pub read_url: Option<String>,
    /// What a submission may be.
    pub limits: SubmissionLimits,
    /// How it ended, if it has.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndDescription>,
}

/// What `log.json` says of a log that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct EndDescription {
    frozen: bool,
    end: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<SuccessorDescription>,
}

/// The log that goes on in its place. The note of its end says the same, and is signed.
#[derive(Clone, Debug, Serialize)]
struct SuccessorDescription {
    vkey: String,
    url: String,
}

/// What `log.json` says of a witness.
#[derive(Clone, Debug, Serialize)]
pub struct WitnessDescription {
    /// What the log's policy calls it.
    pub name: String,
    /// Its verifier key, in note form.
    pub vkey: String,
}

impl From<&SignedEnd> for EndDescription {
    fn from(end: &SignedEnd) -> Self {
        let described = |successor: &Successor| SuccessorDescription {
            vkey: successor.vkey().to_string(),
            url: successor.url().to_owned(),
        };
        Self { frozen: true, end: end.note().to_string(), successor: end.successor().map(described) }
    }
}

impl Description {
    /// The same of a log that ended so.
    #[must_use]
    pub fn with_end(&self, end: &SignedEnd) -> Self {
        Self { end: Some(end.into()), ..self.clone() }
    }

    /// The JSON, for people: indented.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers are JSON") + "\n"
    }
}
