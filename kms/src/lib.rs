//! The first key of a log in a cloud's key management service, which signs when it is asked and gives the key to nobody.
//!
//! | you want to | use |
//! |---|---|
//! | say which key is meant | [`KeyReference`], spelled as cosign spells it |
//! | sign a log with it | [`KmsKey::open`], a [`Signer`] |
//!
//! The services are asked over the transport that object stores are read with, and with the credentials that the
//! environment has for these. There is no SDK: of each service two requests are needed.
//!
//! What a service answers is not believed: a signature is verified by the public key that was read at the start, before it
//! is used, and one that does not verify is asked for again.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "client")]
mod exchange;
mod failure;
#[cfg(feature = "gcp")]
mod gcp;
mod key;
mod public_key;
mod reference;
#[cfg(all(test, feature = "aws", feature = "gcp"))]
mod testing;

pub use failure::KmsError;
pub use key::KmsKey;
pub use reference::{AwsKey, GcpKey, KeyReference, ParseReferenceError};

#[doc(no_inline)]
pub use kiln_sequencer::Signer;
