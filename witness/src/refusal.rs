//! Why a request is refused, and with which status: the table of the specification.

use std::time::Duration;

use kiln_http::{Response, StatusCode, header, reply};
use kiln_tiles::{
    ParseCheckpointError, ParseWitnessError, ProofError, QuorumNotMet, SIZE_MEDIA_TYPE, VerifyNoteError,
    size_answer,
};

/// Why nothing was cosigned: each with the status that [tlog-witness] names.
///
/// | status | rule |
/// |---|---|
/// | 400 | the request is malformed, or `old` is above the size of the checkpoint, or a subtree lies outside of it |
/// | 403 | no key that is trusted for the origin signed the checkpoint, or the signature of one is wrong, or witnesses that were asked for have not cosigned it |
/// | 404 | the origin is unknown |
/// | 409 | `old` is not the size that the witness knows; the body says which is |
/// | 422 | the tree does not extend the known one, as far as the proof shows |
/// | 429 | more requests than the list of logs grants |
/// | 503 | the witness itself is at fault: nobody knows whether the checkpoint was recorded |
///
/// [tlog-witness]: https://c2sp.org/tlog-witness#add-checkpoint
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not of the form of a request.
    #[error("{0}")]
    Request(#[from] ParseWitnessError),
    /// What is signed is no checkpoint.
    #[error("{0}")]
    Checkpoint(#[from] ParseCheckpointError),
    /// No list of logs names the origin.
    #[error("the origin of the checkpoint is not known here")]
    UnknownOrigin,
    /// Nobody who may has signed it.
    #[error("{0}")]
    NotSigned(#[from] VerifyNoteError),
    /// The operator has asked for witnesses of this log, and too few have cosigned the checkpoint.
    #[error("{0}")]
    Unwitnessed(#[from] QuorumNotMet),
    /// The old size is above that of the checkpoint.
    #[error("the old size is above the size of the checkpoint")]
    OldAboveSize,
    /// The old size is another than that of the latest checkpoint that was recorded: this one.
    #[error("the latest checkpoint is of size {0}")]
    Conflict(u64),
    /// A checkpoint of the empty tree has a root hash that this tree does not have.
    #[error("the root hash is not that of the empty tree")]
    EmptyRoot,
    /// The tree has the size of the latest one, and another root hash.
    #[error("the tree of this size has another root hash")]
    Fork,
    /// The proof does not verify.
    #[error("{0}")]
    Proof(ProofError),
    /// The subtree does not lie within the tree of the checkpoint.
    #[error("the subtree ends behind the tree of the checkpoint")]
    SubtreeOutside,
    /// None of the keys of this witness can sign subtrees.
    #[error("none of the keys here can sign subtrees")]
    NoSubtreeKey,
    /// The log has used up what its list grants it a day.
    #[error("more requests than this log may do a day")]
    TooMany {
        /// When the next is taken.
        retry_after: Duration,
    },
    /// More requests wait than this witness lets wait.
    #[error("too many requests are waiting; send it again in a moment")]
    Crowded,
    /// The store or the clock of the witness fails.
    #[error("nothing can be cosigned at the moment; send it again")]
    Unavailable,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Request(_) | Self::Checkpoint(_) | Self::OldAboveSize | Self::SubtreeOutside => {
                StatusCode::BAD_REQUEST
            }
            Self::UnknownOrigin | Self::NoSubtreeKey => StatusCode::NOT_FOUND,
            Self::NotSigned(_) | Self::Unwitnessed(_) => StatusCode::FORBIDDEN,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::EmptyRoot | Self::Fork | Self::Proof(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Crowded | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What it is called where outcomes are counted.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Request(_) | Self::Checkpoint(_) => "malformed",
            Self::UnknownOrigin => "unknown_origin",
            Self::NotSigned(_) => "not_signed",
            Self::Unwitnessed(_) => "unwitnessed",
            Self::OldAboveSize => "old_above_size",
            Self::Conflict(_) => "conflict",
            Self::EmptyRoot | Self::Fork => "fork",
            Self::Proof(_) => "bad_proof",
            Self::SubtreeOutside => "subtree_outside",
            Self::NoSubtreeKey => "no_subtree_key",
            Self::TooMany { .. } => "too_many",
            Self::Crowded => "crowded",
            Self::Unavailable => "unavailable",
        }
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        if let Self::Conflict(size) = self {
            let mut response = reply::text(StatusCode::CONFLICT, size_answer(size));
            let kind = header::HeaderValue::from_static(SIZE_MEDIA_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            return response;
        }
        let mut response = reply::text(self.status(), format!("{self}\n"));
        let retry_after = match self {
            Self::TooMany { retry_after } => retry_after.as_secs().max(1),
            Self::Crowded | Self::Unavailable => 1,
            _ => return response,
        };
        response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
        response
    }
}
