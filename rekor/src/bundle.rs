//! Sigstore bundles (`.sigstore.json`), versions 0.1 to 0.3, as [protobuf-specs] defines them: what was
//! signed, by whom, and where that is logged.
//!
//! [protobuf-specs]: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto

use serde::Deserialize;

use crate::digest::{Digest, HashAlgorithm};
use crate::dsse::{Envelope, EnvelopeMessage};
use crate::json::{self, Bytes, JsonError, Message};
use crate::log_entry::{ParseLogEntryError, TransparencyLogEntry};
use crate::log_entry_message::LogEntryMessage;
use crate::messages::{HashOutput, RawBytes, TwoOfOneof};

/// A bundle that could be read. It proves nothing before somebody verifies it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bundle {
    material: VerificationMaterial,
    log_entries: Vec<TransparencyLogEntry>,
    timestamps: Vec<Vec<u8>>,
    content: BundleContent,
}

/// By whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VerificationMaterial {
    /// A key that the verifier has; this is a hint at which.
    PublicKey {
        /// Which key. Nothing vouches for it.
        hint: String,
    },
    /// A certificate in DER: of versions 0.1 and 0.2 the first of a chain.
    Certificate(Vec<u8>),
}

/// What was signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BundleContent {
    /// An artifact that stands elsewhere.
    MessageSignature {
        /// Its digest, as the signer says. It identifies, and proves nothing.
        digest: Option<Digest>,
        /// The signature.
        signature: Vec<u8>,
    },
    /// A DSSE envelope, with one signature.
    DsseEnvelope(Envelope),
}

/// Why bytes are no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseBundleError {
    /// Not its JSON.
    #[error("not the JSON of a bundle: {0}")]
    Json(#[from] JsonError),
    /// Another media type.
    #[error("the media type is not that of a bundle of version 0.1, 0.2 or 0.3")]
    MediaType,
    /// Two members of a oneof.
    #[error(transparent)]
    Oneof(#[from] TwoOfOneof),
    /// A field is missing or malformed.
    #[error("the bundle's {0} is missing or malformed")]
    Field(&'static str),
    /// A chain of certificates, which version 0.3 does not have.
    #[error("a bundle of version 0.3 has one certificate and no chain")]
    Chain,
    /// More log entries than any client reads.
    #[error("the bundle has more than {max} log entries", max = Bundle::MAX_LOG_ENTRIES)]
    TooManyLogEntries,
    /// An envelope in a bundle has one signature.
    #[error("the envelope has not exactly one signature")]
    SignatureCount,
    /// A log entry.
    #[error(transparent)]
    LogEntry(#[from] ParseLogEntryError),
}

impl Bundle {
    /// The most log entries that are read; the limit of sigstore-go.
    pub const MAX_LOG_ENTRIES: usize = 32;

    /// Reads the JSON.
    ///
    /// # Errors
    /// The first thing about it that no bundle has.
    pub fn parse(json: &[u8]) -> Result<Self, ParseBundleError> {
        json::from_slice::<BundleMessage>(json)?.try_into()
    }

    /// By whom it was signed.
    #[must_use]
    pub const fn material(&self) -> &VerificationMaterial {
        &self.material
    }

    /// Where it was logged.
    #[must_use]
    pub fn log_entries(&self) -> &[TransparencyLogEntry] {
        &self.log_entries
    }

    /// When it was signed: timestamps by RFC 3161, in DER.
    #[must_use]
    pub fn timestamps(&self) -> &[Vec<u8>] {
        &self.timestamps
    }

    /// What was signed.
    #[must_use]
    pub const fn content(&self) -> &BundleContent {
        &self.content
    }

    /// The one signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        match &self.content {
            BundleContent::MessageSignature { signature, .. } => signature,
            BundleContent::DsseEnvelope(envelope) => &envelope.signatures[0].sig,
        }
    }
}

/// `Bundle`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct BundleMessage {
    #[serde(alias = "media_type")]
    media_type: Option<String>,
    #[serde(alias = "verification_material")]
    verification_material: Option<Message<MaterialMessage>>,
    #[serde(alias = "message_signature")]
    message_signature: Option<Message<MessageSignature>>,
    #[serde(alias = "dsse_envelope")]
    dsse_envelope: Option<Message<EnvelopeMessage>>,
}

/// `VerificationMaterial`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct MaterialMessage {
    #[serde(alias = "public_key")]
    public_key: Option<Message<PublicKeyIdentifier>>,
    #[serde(alias = "x509_certificate_chain")]
    x509_certificate_chain: Option<Message<CertificateChain>>,
    certificate: Option<Message<RawBytes>>,
    #[serde(alias = "tlog_entries")]
    tlog_entries: Option<Vec<Message<LogEntryMessage>>>,
    #[serde(alias = "timestamp_verification_data")]
    timestamp_verification_data: Option<Message<TimestampData>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PublicKeyIdentifier {
    hint: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CertificateChain {
    certificates: Option<Vec<Message<RawBytes>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct TimestampData {
    #[serde(alias = "rfc3161_timestamps")]
    rfc3161_timestamps: Option<Vec<Message<SignedTimestamp>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SignedTimestamp {
    #[serde(alias = "signed_timestamp")]
    signed_timestamp: Option<Bytes>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct MessageSignature {
    #[serde(alias = "message_digest")]
    message_digest: Option<Message<HashOutput>>,
    signature: Option<Bytes>,
}

impl TryFrom<BundleMessage> for Bundle {
    type Error = ParseBundleError;

    fn try_from(message: BundleMessage) -> Result<Self, ParseBundleError> {
        let has_chain = has_chain(message.media_type.as_deref().unwrap_or_default())?;
        let mut material =
            message.verification_material.ok_or(ParseBundleError::Field("verificationMaterial"))?.0;
        if material.x509_certificate_chain.is_some() && !has_chain {
            return Err(ParseBundleError::Chain);
        }
        let log_entries = material.tlog_entries.take().unwrap_or_default();
        if log_entries.len() > Self::MAX_LOG_ENTRIES {
            return Err(ParseBundleError::TooManyLogEntries);
        }
        let timestamps = material.timestamp_verification_data.take().unwrap_or_default().0;
        let timestamps = timestamps.rfc3161_timestamps.unwrap_or_default().into_iter();
        Ok(Self {
            log_entries: log_entries.into_iter().map(|entry| entry.0.try_into()).collect::<Result<_, _>>()?,
            timestamps: timestamps.map(|stamp| stamp.0.signed_timestamp.unwrap_or_default().0).collect(),
            material: material.try_into()?,
            content: content(message.message_signature, message.dsse_envelope)?,
        })
    }
}

/// Whether a bundle of this media type may have a chain of certificates; only a bundle's is read at all.
fn has_chain(media_type: &str) -> Result<bool, ParseBundleError> {
    let rest =
        media_type.strip_prefix("application/vnd.dev.sigstore.bundle").ok_or(ParseBundleError::MediaType)?;
    match rest {
        "+json;version=0.1" | ".v0.1+json" | "+json;version=0.2" | ".v0.2+json" => Ok(true),
        "+json;version=0.3" | ".v0.3+json" => Ok(false),
        _ => Err(ParseBundleError::MediaType),
    }
}

impl TryFrom<MaterialMessage> for VerificationMaterial {
    type Error = ParseBundleError;

    fn try_from(message: MaterialMessage) -> Result<Self, ParseBundleError> {
        match (message.public_key, message.x509_certificate_chain, message.certificate) {
            (Some(key), None, None) => Ok(Self::PublicKey { hint: key.0.hint.unwrap_or_default() }),
            (None, Some(chain), None) => {
                let first = chain.0.certificates.and_then(|certificates| certificates.into_iter().next());
                first
                    .map(|first| Self::Certificate(first.0.into_bytes()))
                    .ok_or(ParseBundleError::Field("x509CertificateChain"))
            }
            (None, None, Some(certificate)) => Ok(Self::Certificate(certificate.0.into_bytes())),
            (None, None, None) => Err(ParseBundleError::Field("verificationMaterial")),
            (Some(_), Some(_), _) => Err(TwoOfOneof("publicKey", "x509CertificateChain").into()),
            (Some(_), _, _) => Err(TwoOfOneof("publicKey", "certificate").into()),
            (None, _, _) => Err(TwoOfOneof("x509CertificateChain", "certificate").into()),
        }
    }
}

fn content(
    signature: Option<Message<MessageSignature>>,
    envelope: Option<Message<EnvelopeMessage>>,
) -> Result<BundleContent, ParseBundleError> {
    match (signature, envelope) {
        (Some(_), Some(_)) => Err(TwoOfOneof("messageSignature", "dsseEnvelope").into()),
        (Some(signature), None) => message_signature(signature.0),
        (None, Some(envelope)) => dsse_envelope(envelope.0.into()),
        (None, None) => Err(ParseBundleError::Field("content")),
    }
}

fn message_signature(message: MessageSignature) -> Result<BundleContent, ParseBundleError> {
    let digest = message.message_digest.map(|digest| message_digest(digest.0)).transpose()?;
    let signature = message.signature.unwrap_or_default().0;
    let signed = !signature.is_empty();
    signed
        .then_some(BundleContent::MessageSignature { digest, signature })
        .ok_or(ParseBundleError::Field("signature"))
}

fn message_digest(hash: HashOutput) -> Result<Digest, ParseBundleError> {
    let malformed = || ParseBundleError::Field("messageDigest");
    let algorithm = hash.algorithm.map_or(0, |field| field.number);
    let algorithm = HashAlgorithm::try_from(algorithm).map_err(|_| malformed())?;
    Digest::new(algorithm, hash.digest.unwrap_or_default().0).map_err(|_| malformed())
}

fn dsse_envelope(envelope: Envelope) -> Result<BundleContent, ParseBundleError> {
    match &envelope.signatures[..] {
        [signature] if signature.sig.is_empty() => Err(ParseBundleError::Field("signature")),
        [_] => Ok(BundleContent::DsseEnvelope(envelope)),
        _ => Err(ParseBundleError::SignatureCount),
    }
}
