//! `log.json`: what a person or a tool needs to start with a log. Advice, no more: no code takes a
//! key from it.

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
}

/// What `log.json` says of a witness.
#[derive(Clone, Debug, Serialize)]
pub struct WitnessDescription {
    /// What the log's policy calls it.
    pub name: String,
    /// Its verifier key, in note form.
    pub vkey: String,
}

impl Description {
    /// The JSON, for people: indented.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers are JSON") + "\n"
    }
}
