//! The messages of Rekor v2 that requests and entries share, as they stand in JSON: anything may be absent.

use serde::{Deserialize, Serialize};

use crate::json::{Bytes, EnumField, Message};
use crate::key_details::KeyDetails;
use crate::verifier::{KeyMaterial, Verifier};

/// `Signature`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignatureMessage {
    pub(crate) content: Option<Bytes>,
    pub(crate) verifier: Option<Message<VerifierMessage>>,
}

/// `Verifier`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct VerifierMessage {
    #[serde(alias = "key_details")]
    pub(crate) key_details: Option<EnumField<KeyDetails>>,
    #[serde(alias = "public_key", skip_serializing_if = "Option::is_none")]
    public_key: Option<Message<RawBytes>>,
    #[serde(alias = "x509_certificate", skip_serializing_if = "Option::is_none")]
    x509_certificate: Option<Message<RawBytes>>,
}

/// `PublicKey` of Rekor v2, and `X509Certificate`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawBytes {
    #[serde(alias = "raw_bytes")]
    pub(crate) raw_bytes: Option<Bytes>,
}

/// `HashOutput`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HashOutput {
    pub(crate) algorithm: Option<EnumField<crate::digest::HashAlgorithm>>,
    pub(crate) digest: Option<Bytes>,
}

/// Two members of a oneof, of which a message has one at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} and {1} exclude each other")]
pub struct TwoOfOneof(pub &'static str, pub &'static str);

impl RawBytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Message<Self> {
        Message(Self { raw_bytes: Some(Bytes(bytes)) })
    }

    /// What is absent is empty, as in all of protobuf.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.raw_bytes.unwrap_or_default().0
    }
}

impl VerifierMessage {
    pub(crate) fn number_of_details(&self) -> i32 {
        self.key_details.map_or(0, |details| details.number)
    }

    /// The key or certificate, where there is one.
    pub(crate) fn into_material(self) -> Result<Option<KeyMaterial>, TwoOfOneof> {
        match (self.public_key, self.x509_certificate) {
            (Some(_), Some(_)) => Err(TwoOfOneof("publicKey", "x509Certificate")),
            (Some(key), None) => Ok(Some(KeyMaterial::PublicKey(key.0.into_bytes()))),
            (None, Some(cert)) => Ok(Some(KeyMaterial::X509Certificate(cert.0.into_bytes()))),
            (None, None) => Ok(None),
        }
    }
}

impl From<&Verifier> for VerifierMessage {
    fn from(verifier: &Verifier) -> Self {
        let raw = RawBytes::new(verifier.material().as_der().to_vec());
        let (public_key, x509_certificate) = match verifier.material() {
            KeyMaterial::PublicKey(_) => (Some(raw), None),
            KeyMaterial::X509Certificate(_) => (None, Some(raw)),
        };
        let key_details = Some(EnumField::new(verifier.details().number()));
        Self { key_details, public_key, x509_certificate }
    }
}

impl From<&crate::digest::Digest> for HashOutput {
    fn from(digest: &crate::digest::Digest) -> Self {
        let algorithm = Some(EnumField::new(digest.algorithm().number()));
        Self { algorithm, digest: Some(Bytes(digest.as_bytes().to_vec())) }
    }
}
