//! What the errors of an object store ask of the caller.

use std::fmt::Display;

use object_store::Error;

use crate::error::{StorageError, StorageErrorKind};

/// Where credentials are asked for that the environment does not have.
const METADATA: [&str; 3] = ["169.254.169.254", "169.254.170.2", "metadata.google.internal"];

/// What is wrong is not the service that did not answer, on most machines.
#[derive(Debug, thiserror::Error)]
#[error("no credentials in the environment, and none from the machine: {0}")]
struct NoCredentials(#[source] Error);

/// The error of an operation that is no answer to a condition.
pub(super) fn storage_error(operation: &'static str, object: &dyn Display, error: Error) -> StorageError {
    let text = error.to_string();
    if METADATA.iter().any(|host| text.contains(host)) {
        let source = NoCredentials(error).into();
        return StorageError::new(StorageErrorKind::Denied, operation, object, Some(source));
    }
    StorageError::new(kind_of(&error), operation, object, Some(error.into()))
}

fn kind_of(error: &Error) -> StorageErrorKind {
    // Quotas come with various statuses: 403, 409, 507. Only the text tells, in which the words stand
    // that each store has for it.
    let text = error.to_string();
    let full = ["507 Insufficient Storage", "QuotaExceeded", "StorageFull", "quotaExceeded"];
    if full.iter().any(|words| text.contains(words)) {
        return StorageErrorKind::Full;
    }
    if is_unknown(error) {
        return StorageErrorKind::Denied;
    }
    // Of a removal of many objects at once, each is denied by itself within an answer of 200. In another
    // region than the one asked, S3 answers 301, to nowhere.
    let denied = ["(code: AccessDenied)", "(code: 403)", "incorrectly configured region"];
    if denied.iter().any(|words| text.contains(words)) {
        return StorageErrorKind::Denied;
    }
    match error {
        // Not found is the bucket: a missing object is no error where one is read, created or replaced.
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } | Error::NotFound { .. } => {
            StorageErrorKind::Denied
        }
        _ => StorageErrorKind::Transient,
    }
}

/// Whether it is the bucket that is missing, by the codes of S3, Azure and Google. A log in a bucket
/// that was deleted, or misspelt, is not an empty log.
pub(super) fn is_bucket_missing(error: &Error) -> bool {
    let text = error.to_string();
    let codes = ["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"];
    matches!(error, Error::NotFound { .. }) && codes.iter().any(|code| text.contains(code))
}

/// Whether a condition did not hold. An `Update` of an object that is gone answers 404 on some stores
/// and 412 on others; S3 answers 409 while another write is under way.
pub(super) fn is_conflict(error: &Error) -> bool {
    match error {
        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => true,
        Error::NotFound { .. } => !is_bucket_missing(error),
        _ => false,
    }
}

/// Whether the store says that it does not know what was asked: 501, or a driver without it.
pub(super) fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::NotSupported { .. } | Error::NotImplemented { .. })
        || error.to_string().contains("501 Not Implemented")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.into() }
    }

    fn not_found(text: &str) -> Error {
        Error::NotFound { path: "private/head".into(), source: text.into() }
    }

    #[test]
    fn an_error_says_what_to_do() {
        use StorageErrorKind as K;
        let path = || "p".to_owned();
        let quota = Error::PermissionDenied { path: path(), source: "<Code>QuotaExceeded</Code>".into() };
        let status = "Server returned non-2xx status code: 507 Insufficient Storage: ";
        for (error, kind) in [
            (generic("connection refused"), K::Transient),
            (generic(status), K::Full),
            (generic("501 Not Implemented: <Code>NotImplemented</Code>"), K::Denied),
            (generic("XMinioStorageFull"), K::Full),
            (quota, K::Full),
            (Error::PermissionDenied { path: path(), source: "403".into() }, K::Denied),
            (Error::Unauthenticated { path: path(), source: "401".into() }, K::Denied),
            (
                generic("DeleteObjects request failed for key a: Access Denied (code: AccessDenied)"),
                K::Denied,
            ),
            (generic("Received redirect without LOCATION, .. an incorrectly configured region"), K::Denied),
            (generic("PUT http://169.254.169.254/latest/api/token - connection refused"), K::Denied),
            (not_found("<Code>NoSuchBucket</Code>"), K::Denied),
        ] {
            let text = error.to_string();
            assert_eq!(storage_error("create", &"tile", error).kind(), kind, "{text}");
        }
    }

    #[test]
    fn a_missing_bucket_is_no_missing_object() {
        assert!(is_conflict(&not_found("<Code>NoSuchKey</Code>")));
        assert!(!is_conflict(&not_found("<Code>NoSuchBucket</Code>")));
        assert!(!is_conflict(&generic("500")));
    }
}
