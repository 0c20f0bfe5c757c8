//! Rekor v2 as data.
mod base64;
mod canonical;
mod certificate;
#[cfg(feature = "signatures")]
mod check;
mod digest;
mod dsse;
mod entry;
mod json;
mod key;
mod key_details;
mod messages;
mod policy;
mod request;
#[cfg(feature = "signatures")]
mod signature;
mod verifier;

pub use certificate::{Certificate, CertificateError};
#[cfg(feature = "signatures")]
pub use check::{InvalidRequest, RequestFault};
pub use digest::{Digest, DigestLength, HashAlgorithm, UnknownHashAlgorithm};
pub use dsse::{Envelope, EnvelopeSignature};
pub use entry::{Dsse, Entry, EntryKind, HashedRekord, ParseEntryError, Signature, Spec};
pub use json::JsonError;
pub use key::{KeyKind, PublicKey, PublicKeyError};
pub use key_details::{KeyDetails, UnknownKeyDetails};
pub use messages::TwoOfOneof;
pub use policy::{NeverAccepted, Policy};
pub use request::{CreateEntryRequest, ParseRequestError};
#[cfg(feature = "signatures")]
pub use signature::{BadSignature, verify_digest, verify_message};
pub use verifier::{KeyMaterial, KeyMaterialError, KeyMismatch, Verifier, VerifierError};
