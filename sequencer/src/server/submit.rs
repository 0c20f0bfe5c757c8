//! Submissions: `POST /add` and `POST /add-batch`.

use bytes::Bytes;
use kiln_http::{
    Admitted, Client, Gate, Incoming, Method, NotAdmitted, Parts, Request, Response, StatusCode, Version,
    asks_for, discard, header, read_body, reply,
};
use kiln_storage::{Register, Store};
use kiln_tiles::{ParseBundleError, split_entries};
use tokio::time::Instant;

use super::prover::ProveError;
use super::{LogServer, Submissions};
use crate::entry::{Entry, EntryError};
use crate::pool::{Answer, Refusal, Wait};
use crate::state::Status;

/// The media type of a tlog proof: Kiln's own, since the specification names none.
pub(super) const TLOG_PROOF: &str = "text/x.tlog-proof";

/// Why a submission is refused for good: the request is at fault.
#[derive(Debug, thiserror::Error)]
enum BadSubmission {
    #[error("a submission is a POST")]
    Method,
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    #[error("this log is read-only: it takes no entries")]
    ReadOnly,
    #[error("{0}")]
    Frozen(Status),
    #[error("this log takes no raw entries: {0}")]
    Elsewhere(&'static str),
    #[error("{0}")]
    Entry(EntryError),
    #[error("entry {0} of the batch: {1}; nothing of the batch was logged")]
    BatchEntry(usize, EntryError),
    #[error(
        "{0}: a batch is entries, each behind its length as a big-endian uint16; nothing of it was logged"
    )]
    Framing(ParseBundleError),
    #[error("a batch holds at least one entry")]
    EmptyBatch,
    #[error("a batch holds at most {0} entries; nothing of it was logged")]
    TooManyEntries(usize),
    #[error("entry {0} of the batch is longer than {1} bytes; nothing of it was logged")]
    TooLongInBatch(usize, usize),
    #[error("a body is taken as it is, in no Content-Encoding")]
    Encoding,
    #[error("?wait is \"sequenced\" or \"published\", and there is no other parameter")]
    Query,
    #[error(
        "a tlog proof needs a published checkpoint and one entry: not with wait=sequenced, not for a batch"
    )]
    Proof,
}

impl BadSubmission {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Method => return reply::method_not_allowed("POST"),
            Self::NotAdmitted(refused) => return refused.into_response(),
            Self::ReadOnly | Self::Frozen(_) => StatusCode::GONE,
            Self::Elsewhere(_) => StatusCode::FORBIDDEN,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Entry(EntryError::TooLong(_)) | Self::TooManyEntries(_) | Self::TooLongInBatch(..) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            _ => StatusCode::BAD_REQUEST,
        };
        reply::text(status, format!("{self}\n"))
    }
}

/// A submission as its head describes it. The head itself is not kept: the wait is long, and many wait.
struct Head {
    batch: bool,
    wait: Wait,
    proof: bool,
    admitted: Admitted,
    /// For a request that may be handed on.
    parts: Option<Box<Parts>>,
}

impl Head {
    fn parse(
        parts: &Parts,
        client: Client,
        batch: bool,
        taken: Submissions,
        gate: &Gate,
    ) -> Result<Self, BadSubmission> {
        match taken {
            Submissions::Raw => {}
            Submissions::Elsewhere(hint) => return Err(BadSubmission::Elsewhere(hint)),
            Submissions::None => return Err(BadSubmission::ReadOnly),
        }
        if parts.method != Method::POST {
            return Err(BadSubmission::Method);
        }
        let admitted = gate.admit(client, &parts.headers)?;
        // Who compresses means what is inside; it would be logged as it came.
        if parts.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(BadSubmission::Encoding);
        }
        let (wait, proof) = (parse_wait(parts.uri.query())?, asks_for(&parts.headers, TLOG_PROOF));
        if proof && (batch || wait == Wait::Sequenced) {
            return Err(BadSubmission::Proof);
        }
        Ok(Self { batch, wait, proof, admitted, parts: None })
    }
}

impl<S: Store, G: Register> LogServer<S, G> {
    /// Takes a submission: one entry, or a batch.
    pub(super) fn submit(
        &self,
        request: Request<Incoming>,
        client: Client,
        batch: bool,
    ) -> impl Future<Output = Response> + Send {
        let (parts, body) = request.into_parts();
        let parsed = || Head::parse(&parts, client, batch, self.options.submissions, &self.gate);
        let version = parts.version;
        let head = self.not_frozen().and_then(|()| parsed()).map(|head| {
            let may_be_handed_on = self.relay.is_some();
            Head { parts: may_be_handed_on.then(|| Box::new(parts)), ..head }
        });
        async move {
            let taken = match head {
                Ok(head) => self.take(head, version, body).await,
                Err(bad) => {
                    discard(version, body).await;
                    Err(bad.into_response())
                }
            };
            taken.unwrap_or_else(|refusal| refusal)
        }
    }

    /// A log that has ended says so before anything else is asked.
    fn not_frozen(&self) -> Result<(), BadSubmission> {
        self.shared.end().map_or(Ok(()), |end| Err(BadSubmission::Frozen(Status::Frozen(end))))
    }

    async fn take(&self, head: Head, version: Version, body: Incoming) -> Result<Response, Response> {
        let Head { batch, wait, proof, admitted, parts } = head;
        let most = if batch { self.options.limits.batch_bytes } else { self.options.limits.entry_bytes };
        let mut share = self.bodies.empty_share();
        let body = read_body(version, body, most, self.options.body_timeout, &mut share).await;
        let body = body.map_err(kiln_http::BodyError::into_response)?;
        let entries = if batch { self.split_batch(&body) } else { one_entry(body.clone()) };
        let entries = entries.map_err(BadSubmission::into_response)?;
        self.gate.charge(admitted, entries.len() - 1);
        if let Some(parts) = parts
            && let Some(response) = Box::pin(self.hand_on(&parts, body.clone())).await
        {
            return Ok(response);
        }
        drop((share, body)); // from here on the pool counts the bytes
        let deadline = Instant::now() + self.options.answer_timeout;
        let answer = self.sequence(entries, wait, deadline).await?;
        if proof { Box::pin(self.tlog_proof(answer, deadline)).await } else { Ok(indices(&answer.indices)) }
    }

    async fn sequence(&self, entries: Vec<Entry>, wait: Wait, deadline: Instant) -> Result<Answer, Response> {
        self.submit_entries(entries, wait, deadline).await.map_err(|refusal| {
            match (refusal, self.not_frozen()) {
                // It ended while the body was read.
                (Refusal::Closed, Err(frozen)) => frozen.into_response(),
                _ => reply::unavailable(1, format!("{}\n", self.explained(refusal))),
            }
        })
    }

    fn split_batch(&self, body: &Bytes) -> Result<Vec<Entry>, BadSubmission> {
        let mut entries = Vec::new();
        for (number, bytes) in split_entries(body).enumerate() {
            if number == self.options.limits.batch_entries {
                return Err(BadSubmission::TooManyEntries(number));
            }
            let (bytes, most) = (bytes.map_err(BadSubmission::Framing)?, self.options.limits.entry_bytes);
            if bytes.len() > most {
                return Err(BadSubmission::TooLongInBatch(number, most));
            }
            entries.push(body.slice_ref(bytes));
        }
        if entries.is_empty() {
            return Err(BadSubmission::EmptyBatch);
        }
        Entry::batch(entries).map_err(|(number, error)| BadSubmission::BatchEntry(number, error))
    }

    async fn tlog_proof(&self, answer: Answer, deadline: Instant) -> Result<Response, Response> {
        let index = answer.indices[0];
        let proof =
            self.prove(index, &answer.checkpoint, deadline).await.map_err(|error| no_proof(index, &error))?;
        let mut response = reply::text(StatusCode::OK, proof.to_string());
        let kind = header::HeaderValue::from_static(TLOG_PROOF);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(response)
    }
}

/// 500 and not 503: who sends the entry again blindly would, without dedup, log it twice.
fn no_proof(index: u64, error: &ProveError) -> Response {
    tracing::error!(%error, index, "no proof could be made");
    let message = format!("the entry is logged at index {index}, but its proof could not be made now\n");
    reply::text(StatusCode::INTERNAL_SERVER_ERROR, message)
}

fn one_entry(body: Bytes) -> Result<Vec<Entry>, BadSubmission> {
    Ok(vec![Entry::new(body).map_err(BadSubmission::Entry)?])
}

fn parse_wait(query: Option<&str>) -> Result<Wait, BadSubmission> {
    match query {
        None | Some("" | "wait=published") => Ok(Wait::Published),
        Some("wait=sequenced") => Ok(Wait::Sequenced),
        Some(_) => Err(BadSubmission::Query),
    }
}

fn indices(indices: &[u64]) -> Response {
    // One index stands alone, as Tessera's clients expect it; many stand one a line.
    let text = match indices {
        [index] => index.to_string(),
        _ => indices.iter().map(|index| format!("{index}\n")).collect(),
    };
    reply::text(StatusCode::OK, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_waits_are_known() {
        assert_eq!(parse_wait(None).unwrap(), Wait::Published);
        assert_eq!(parse_wait(Some("wait=sequenced")).unwrap(), Wait::Sequenced);
        for bad in ["wait=", "wait=never", "wait=sequenced&wait=published", "x=y"] {
            assert!(parse_wait(Some(bad)).is_err(), "{bad}");
        }
    }
}
