//! [DSSE] envelopes: a payload, its type, and signatures over both.
//!
//! [DSSE]: https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md

use serde::{Deserialize, Serialize};

use crate::json::{Bytes, Message};

/// A DSSE envelope. Whether its signatures are right, nobody has said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Envelope {
    /// What is signed, together with its type.
    pub payload: Vec<u8>,
    /// How to interpret the payload.
    pub payload_type: String,
    /// The signatures.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature of an envelope.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EnvelopeSignature {
    /// The bytes.
    pub sig: Vec<u8>,
    /// A hint at the key, which nothing vouches for.
    pub keyid: String,
}

impl Envelope {
    /// What is signed: the [pre-authentication encoding] of type and payload.
    ///
    /// [pre-authentication encoding]: https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md#signature-definition
    #[must_use]
    pub fn pre_authentication_encoding(&self) -> Vec<u8> {
        let (kind, payload) = (&self.payload_type, &self.payload);
        let mut encoding = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
        encoding.extend_from_slice(payload);
        encoding
    }
}

/// `io.intoto.Envelope`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct EnvelopeMessage {
    payload: Option<Bytes>,
    payload_type: Option<String>,
    signatures: Option<Vec<Message<EnvelopeSignatureMessage>>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct EnvelopeSignatureMessage {
    sig: Option<Bytes>,
    keyid: Option<String>,
}

impl From<EnvelopeMessage> for Envelope {
    fn from(message: EnvelopeMessage) -> Self {
        let signatures = message.signatures.unwrap_or_default().into_iter();
        Self {
            payload: message.payload.unwrap_or_default().0,
            payload_type: message.payload_type.unwrap_or_default(),
            signatures: signatures.map(|signature| signature.0.into()).collect(),
        }
    }
}

impl From<EnvelopeSignatureMessage> for EnvelopeSignature {
    fn from(message: EnvelopeSignatureMessage) -> Self {
        Self { sig: message.sig.unwrap_or_default().0, keyid: message.keyid.unwrap_or_default() }
    }
}

impl From<&Envelope> for EnvelopeMessage {
    fn from(envelope: &Envelope) -> Self {
        let signatures = envelope.signatures.iter().map(|signature| {
            let (sig, keyid) = (Bytes(signature.sig.clone()), signature.keyid.clone());
            Message(EnvelopeSignatureMessage { sig: Some(sig), keyid: Some(keyid) })
        });
        Self {
            payload: Some(Bytes(envelope.payload.clone())),
            payload_type: Some(envelope.payload_type.clone()),
            signatures: Some(signatures.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        let envelope = Envelope {
            payload: b"hello world".to_vec(),
            payload_type: "http://example.com/HelloWorld".to_owned(),
            signatures: Vec::new(),
        };
        let encoding = envelope.pre_authentication_encoding();
        assert_eq!(encoding, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn lengths_count_bytes() {
        let envelope = Envelope { payload_type: "ü".to_owned(), ..Envelope::default() };
        assert_eq!(envelope.pre_authentication_encoding(), "DSSEv1 2 ü 0 ".as_bytes());
    }
}
