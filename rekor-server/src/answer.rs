//! The answer to who added an entry.

use kiln_http::{Response, StatusCode};
use kiln_rekor::{EntryKind, InclusionProof, LogId, TransparencyLogEntry};

use crate::error::{LOG_INDEX, json_response};

/// An entry in the log, with its proof.
pub(crate) struct Logged {
    pub(crate) kind: EntryKind,
    /// The canonical body.
    pub(crate) body: Vec<u8>,
    pub(crate) log_id: LogId,
    pub(crate) proof: InclusionProof,
    /// Whether the log had it before.
    pub(crate) known: bool,
}

impl Logged {
    pub(crate) fn into_response(self) -> Response {
        let index = self.proof.log_index;
        let entry = TransparencyLogEntry::from_parts(self.kind, self.body, self.log_id, self.proof);
        let mut response = json_response(StatusCode::CREATED, entry.to_json());
        if self.known {
            response.headers_mut().insert(LOG_INDEX, index.into());
        }
        response
    }
}
