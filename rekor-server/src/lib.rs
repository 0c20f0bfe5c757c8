//! The HTTP API of Rekor v2, which Sigstore's clients speak, on top of a log that does not know what an
//! entry means.
//!
//! | request | answer |
//! |---|---|
//! | `POST /api/v2/log/entries` | 201 and a `TransparencyLogEntry`: the entry with its proof, against the checkpoint of its round |
//! | `GET /api/v2/checkpoint`, `/api/v2/tile/...` | the same as below `/` |
//! | anything else below `/api/v2/` | 404, or 501 for another method, as rekor-tiles does |
//! | all other paths | what the log's own server answers |
//!
//! Errors are JSON: `{"code":3,"message":"invalid hashedrekord request","details":[]}` with the codes of gRPC. Codes
//! and messages are those of [rekor-tiles]; `details` says what was wrong, unless that is switched off.
//!
//! An entry is checked before it waits for a round: its key is what it says, and its signature holds. An
//! entry that the log has already is answered like a new one, so that a repeated run of a build does not fail.
//!
//! [rekor-tiles]: https://github.com/sigstore/rekor-tiles/blob/main/api/openapi/rekor_service.swagger.json

mod answer;
mod checks;
mod error;
mod metrics;
mod server;

pub use checks::ChecksAtOnce;
pub use server::{API, ENTRIES, OnDuplicate, RekorOptions, RekorServer};
