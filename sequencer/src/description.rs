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
    /// Where entries are submitted, without a trailing slash.
    pub submission_url: Option<String>,
    /// Where the log is read, without a trailing slash.
    pub read_url: Option<String>,
    /// What a submission may be.
    pub limits: SubmissionLimits,
}

impl Description {
    /// The JSON, for people: indented.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers are JSON") + "\n"
    }
}
