//! What is answered to a request that is not fulfilled: a status, and an error of gRPC in JSON.

use bytes::Bytes;
use kiln_http::header::{self, HeaderName, HeaderValue};
use kiln_http::{BodyError, NotAdmitted, Response, StatusCode, cors, reply};
use kiln_rekor::{InvalidRequest, ParseRequestError};
use serde_json::{Value, json};

/// The header that names the index of an entry that was there before.
pub(crate) const LOG_INDEX: HeaderName = HeaderName::from_static("x-log-index");

/// Why there is no new entry. Its words are those of rekor-tiles where it has the same error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("Not Found")]
    NotFound,
    #[error("Method Not Allowed")]
    Method,
    #[error("http: request body too large")]
    TooLarge,
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    #[error("{0}")]
    Body(BodyError),
    #[error("{0}")]
    Unreadable(ParseRequestError),
    #[error("invalid {} request", .0.kind().name())]
    Invalid(InvalidRequest),
    #[error("an equivalent entry already exists in the transparency log with index {0}")]
    Duplicate(u64),
    #[error("reached max pushback; retry")]
    Pushback,
    #[error("{0}")]
    Unavailable(String),
    #[error("failed to integrate entry")]
    NoProof { index: u64 },
}

/// The [codes](https://grpc.io/docs/guides/status-codes/) of gRPC that are used here.
#[derive(Clone, Copy)]
enum Code {
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl ApiError {
    const fn status(&self) -> (StatusCode, Code) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, Code::NotFound),
            Self::Method => (StatusCode::NOT_IMPLEMENTED, Code::Unimplemented),
            Self::NotAdmitted(refused) if refused.wait().is_some() => {
                (refused.status(), Code::ResourceExhausted)
            }
            Self::NotAdmitted(refused) => (refused.status(), Code::Unauthenticated),
            Self::Body(BodyError::TimedOut { .. }) => (StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded),
            Self::Pushback | Self::Unavailable(_) | Self::Body(BodyError::Crowded) => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable)
            }
            Self::TooLarge | Self::Body(_) | Self::Unreadable(_) | Self::Invalid(_) => {
                (StatusCode::BAD_REQUEST, Code::InvalidArgument)
            }
            Self::Duplicate(_) => (StatusCode::CONFLICT, Code::AlreadyExists),
            Self::NoProof { .. } => (StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown),
        }
    }

    /// What the message does not say, for people.
    fn reason(&self) -> Option<String> {
        match self {
            Self::Invalid(invalid) => Some(invalid.fault().to_string()),
            Self::NoProof { index } => Some(format!(
                "the entry is logged at index {index}, but its proof could not be made now; send it again"
            )),
            _ => None,
        }
    }

    /// The answer. With `reasons` it says in `details` what the message does not.
    pub(crate) fn into_response(self, reasons: bool) -> Response {
        let (status, code) = self.status();
        let details: Vec<Value> =
            self.reason().filter(|_| reasons).iter().map(|reason| localized(reason)).collect();
        let body = json!({ "code": code as u8, "message": self.to_string(), "details": details });
        let mut response = json_response(status, body.to_string());
        let headers = response.headers_mut();
        match self {
            Self::Duplicate(index) => {
                headers.insert(LOG_INDEX, index.into());
            }
            Self::Pushback | Self::Unavailable(_) | Self::Body(BodyError::Crowded) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::NotAdmitted(refused) => refused.advise(headers),
            // Where the next request would start is unknown, or not worth reading to.
            Self::TooLarge | Self::Body(_) => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { .. } => Self::TooLarge,
            error => Self::Body(error),
        }
    }
}

/// A sentence as the standard [detail](https://google.aip.dev/193) that is meant for people.
fn localized(message: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en", "message": message })
}

/// An answer in JSON.
pub(crate) fn json_response(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = reply::text(status, body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    cors::open(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_unless_they_are_switched_off() {
        let error = || ApiError::NoProof { index: 7 };
        let with = format!("{:?}", error().into_response(true).body());
        let without = format!("{:?}", error().into_response(false).body());
        assert!(with.contains("index 7"), "{with}");
        assert!(
            without.contains(r#"{\"code\":2,\"details\":[],\"message\":\"failed to integrate entry\"}"#),
            "{without}"
        );
    }

    #[test]
    fn who_may_try_again_is_told_so() {
        let response = ApiError::Pushback.into_response(true);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let response = ApiError::Duplicate(12).into_response(true);
        assert_eq!(
            (response.status(), &response.headers()[LOG_INDEX]),
            (StatusCode::CONFLICT, &HeaderValue::from(12))
        );
    }
}
