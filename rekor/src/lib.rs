//! Rekor v2 as data: what Sigstore's clients send to a log, what the log holds, and what it answers. Pure:
//! no clock, no network, no randomness, no async. Without default features it builds for WebAssembly.
//!
//! | type | what it is | where it comes from |
//! |---|---|---|
//! | [`CreateEntryRequest`] | the body of a submission | clients |
//! | [`Entry`] | a leaf: `hashedrekord` or `dsse`, with its canonical body | logs |
//! | [`Verifier`], [`PublicKey`], [`Certificate`], [`Identity`] | who signed | both |
//! | [`TransparencyLogEntry`] | an entry with the proof that it is logged | logs, bundles |
//! | [`Bundle`] | a signature with all that verifies it | signers |
//! | [`TrustedRoot`], [`SigningConfig`] | whom to believe, where to sign | operators |
//! | [`RekorLog`], [`LogKey`], [`LogId`] | a log that is believed | trusted roots |
//!
//! # From a request to an answer
//!
//! ```
//! # #[cfg(feature = "signatures")]
//! # fn answer(body: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
//! use kiln_rekor::{CreateEntryRequest, Policy};
//!
//! let policy = Policy::default();
//! let request = CreateEntryRequest::parse(body, &policy)?; // 400, with this message
//! let entry = request.verify(&policy)?; // 400, with one fixed message and the fault beside it
//! let leaf = entry.into_body(); // what goes into the log
//! # Ok(leaf) }
//! ```
//!
//! What was parsed is what somebody said. It is true when something named `verify` says so, and then only
//! what that says: a proof shows that a log holds an entry, not that its signature is right.
//!
//! # Features
//!
//! `signatures` (default): `CreateEntryRequest::verify` and all else that verifies signatures by ECDSA and
//! RSA. Without it, what verifies is the log part of bundles, from logs with Ed25519 keys.

mod authority;
mod base64;
mod bundle;
mod canonical;
mod certificate;
#[cfg(feature = "signatures")]
mod check;
mod digest;
mod dsse;
mod entry;
#[cfg(feature = "signatures")]
mod entry_signature;
mod expected;
mod identity;
mod json;
mod key;
mod key_details;
mod log_entry;
mod log_entry_message;
mod log_key;
mod messages;
mod policy;
mod rekor_log;
mod request;
#[cfg(feature = "signatures")]
mod signature;
mod signing_config;
mod timestamp;
mod trusted_root;
mod verifier;

pub use authority::{CertificateAuthority, DistinguishedName, TimeRange};
pub use bundle::{Bundle, BundleContent, ParseBundleError, VerificationMaterial};
pub use certificate::{Certificate, CertificateError};
#[cfg(feature = "signatures")]
pub use check::{InvalidRequest, RequestFault};
pub use digest::{Digest, DigestLength, HashAlgorithm, UnknownHashAlgorithm};
pub use dsse::{Envelope, EnvelopeSignature};
pub use entry::{Dsse, Entry, EntryKind, HashedRekord, ParseEntryError, Signature, Spec};
#[cfg(feature = "signatures")]
pub use entry_signature::EntrySignatureError;
pub use expected::{Expected, ExpectedEntryError, VerifyBundleError};
pub use identity::{FulcioExtension, Identity, IdentityError, SubjectName};
pub use json::JsonError;
pub use key::{KeyKind, PublicKey, PublicKeyError};
pub use key_details::{KeyDetails, UnknownKeyDetails};
pub use log_entry::{InclusionProof, ParseLogEntryError, TransparencyLogEntry, VerifyLogEntryError};
pub use log_key::{LogId, LogKey};
pub use messages::TwoOfOneof;
pub use policy::{NeverAccepted, Policy};
pub use rekor_log::{OpenRekorCheckpointError, RekorLog};
pub use request::{CreateEntryRequest, ParseRequestError};
#[cfg(feature = "signatures")]
pub use signature::{BadSignature, verify_digest, verify_message};
pub use signing_config::{
    ClientTrustConfig, Service, ServiceConfiguration, ServiceSelector, SigningConfig, SigningConfigMediaType,
};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use trusted_root::{
    TransparencyLogInstance, TrustedKey, TrustedLogError, TrustedRoot, TrustedRootMediaType,
};
pub use verifier::{KeyMaterial, KeyMaterialError, KeyMismatch, Verifier, VerifierError};
