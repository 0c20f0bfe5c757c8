//! `CreateEntryRequest`, the body of `POST /api/v2/log/entries`, as [protobuf] maps it to JSON.
//!
//! Reading says what a request asks for, not whether it is right: anything may be missing still.
//!
//! [protobuf]: https://github.com/sigstore/rekor-tiles/blob/main/api/proto/rekor/v2/rekor_service.proto

use serde::{Deserialize, Serialize};

use crate::dsse::{Envelope, EnvelopeMessage};
use crate::entry::{EntryKind, Signature};
use crate::json::{self, Bytes, JsonError, Message};
use crate::messages::{SignatureMessage, TwoOfOneof, VerifierMessage};
use crate::policy::Policy;
use crate::verifier::{KeyMaterial, Verifier};

/// A request that could be read. `verify` makes an entry of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreateEntryRequest(pub(crate) Asked);

/// What is asked for, by kind of entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    HashedRekord { digest: Vec<u8>, content: Vec<u8>, verifier: Option<AskedVerifier> },
    Dsse { envelope: Option<Envelope>, verifiers: Vec<AskedVerifier> },
}

/// A verifier, of which anything may be missing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AskedVerifier {
    pub(crate) details: i32,
    pub(crate) material: Option<KeyMaterial>,
}

/// Why bytes are no request, in words for who sent it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRequestError {
    /// Not the JSON of a request: syntax, unknown field, bad base64 or name, anything behind it.
    #[error("the body is not a request in JSON: {0}")]
    Json(#[from] JsonError),
    /// Two members of a oneof.
    #[error("the body is not a request in JSON: {0}")]
    Oneof(#[from] TwoOfOneof),
    /// Of no kind, or not of the only one that is taken.
    #[error("invalid type, must be hashedrekord")]
    NotHashedRekord,
    /// Of no kind, where both are taken.
    #[error("invalid type, must be either hashedrekord or dsse")]
    NoKind,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RequestMessage {
    #[serde(rename = "hashedRekordRequestV002", alias = "hashed_rekord_request_v002")]
    #[serde(skip_serializing_if = "Option::is_none")]
    hashed_rekord: Option<Message<HashedRekordMessage>>,
    #[serde(rename = "dsseRequestV002", alias = "dsse_request_v002")]
    #[serde(skip_serializing_if = "Option::is_none")]
    dsse: Option<Message<DsseMessage>>,
}

/// `HashedRekordRequestV002`.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct HashedRekordMessage {
    digest: Option<Bytes>,
    signature: Option<Message<SignatureMessage>>,
}

/// `DSSERequestV002`.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct DsseMessage {
    envelope: Option<Message<EnvelopeMessage>>,
    verifiers: Option<Vec<Message<VerifierMessage>>>,
}

impl CreateEntryRequest {
    /// Reads a request of a kind that the policy takes. No body at all is a request of no kind.
    ///
    /// # Errors
    /// Where it is no request, or of another kind.
    pub fn parse(body: &[u8], policy: &Policy) -> Result<Self, ParseRequestError> {
        let empty = body.trim_ascii().is_empty();
        let request: RequestMessage = if empty { Default::default() } else { json::from_slice(body)? };
        let asked = match (request.hashed_rekord, request.dsse) {
            (Some(_), Some(_)) => return Err(TwoOfOneof("hashedRekordRequestV002", "dsseRequestV002").into()),
            (Some(request), None) => request.0.into_asked()?,
            (None, Some(request)) if policy.accepts_dsse() => request.0.into_asked()?,
            _ if policy.accepts_dsse() => return Err(ParseRequestError::NoKind),
            _ => return Err(ParseRequestError::NotHashedRekord),
        };
        Ok(Self(asked))
    }

    /// The kind of entry that is asked for.
    #[must_use]
    pub const fn kind(&self) -> EntryKind {
        match self.0 {
            Asked::HashedRekord { .. } => EntryKind::HashedRekord,
            Asked::Dsse { .. } => EntryKind::Dsse,
        }
    }

    /// The JSON with which a client asks for a `hashedrekord` entry.
    #[must_use]
    pub fn hashedrekord_json(digest: &[u8], signature: &Signature) -> String {
        let verifier = Some(Message((&signature.verifier).into()));
        let signature = SignatureMessage { content: Some(Bytes(signature.content.clone())), verifier };
        let request =
            HashedRekordMessage { digest: Some(Bytes(digest.to_vec())), signature: Some(Message(signature)) };
        json::to_string(&RequestMessage { hashed_rekord: Some(Message(request)), dsse: None })
    }

    /// The JSON with which a client asks for a `dsse` entry.
    #[must_use]
    pub fn dsse_json(envelope: &Envelope, verifiers: &[Verifier]) -> String {
        let verifiers = verifiers.iter().map(|verifier| Message(verifier.into())).collect();
        let request = DsseMessage { envelope: Some(Message(envelope.into())), verifiers: Some(verifiers) };
        json::to_string(&RequestMessage { hashed_rekord: None, dsse: Some(Message(request)) })
    }
}

impl HashedRekordMessage {
    /// What is absent is empty, as in all of protobuf.
    fn into_asked(self) -> Result<Asked, TwoOfOneof> {
        let signature = self.signature.unwrap_or_default().0;
        let verifier = signature.verifier.map(|verifier| AskedVerifier::new(verifier.0)).transpose()?;
        let (digest, content) = (self.digest.unwrap_or_default().0, signature.content.unwrap_or_default().0);
        Ok(Asked::HashedRekord { digest, content, verifier })
    }
}

impl DsseMessage {
    fn into_asked(self) -> Result<Asked, TwoOfOneof> {
        let verifiers = self.verifiers.unwrap_or_default().into_iter();
        let verifiers = verifiers.map(|verifier| AskedVerifier::new(verifier.0)).collect::<Result<_, _>>()?;
        Ok(Asked::Dsse { envelope: self.envelope.map(|envelope| envelope.0.into()), verifiers })
    }
}

impl AskedVerifier {
    fn new(message: VerifierMessage) -> Result<Self, TwoOfOneof> {
        Ok(Self { details: message.number_of_details(), material: message.into_material()? })
    }
}
