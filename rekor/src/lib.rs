//! Rekor v2 as data.
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
pub use signing_config::{ClientTrustConfig, Service, ServiceConfiguration, ServiceSelector, SigningConfig};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use trusted_root::{TransparencyLogInstance, TrustedKey, TrustedLogError, TrustedRoot};
pub use verifier::{KeyMaterial, KeyMaterialError, KeyMismatch, Verifier, VerifierError};
