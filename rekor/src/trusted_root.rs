//! `trusted_root.json`: whom a verifier believes. The media type is that of version 0.1, the one that all
//! clients take. As [protobuf-specs] defines it.
//!
//! The types are the messages. What clients demand is demanded here; what they ignore may be left out.
//!
//! [protobuf-specs]: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto

use kiln_tiles::KeyNameError;
use serde::{Deserialize, Serialize};

use crate::authority::{CertificateAuthority, TimeRange};
use crate::digest::HashAlgorithm;
use crate::json::{self, Bytes, EnumField, JsonError};
use crate::key::PublicKeyError;
use crate::key_details::KeyDetails;
use crate::log_key::{LogId, LogKey};
use crate::rekor_log::RekorLog;
use crate::timestamp::Timestamp;

/// All that a verifier believes: logs, certificate authorities, and timestamp authorities.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedRoot {
    /// The media type.
    #[serde(alias = "media_type")]
    pub media_type: TrustedRootMediaType,
    /// Rekor logs.
    #[serde(default, deserialize_with = "json::objects")]
    pub tlogs: Vec<TransparencyLogInstance>,
    /// Authorities that certify signers, as Fulcio does.
    #[serde(default, alias = "certificate_authorities", deserialize_with = "json::objects")]
    pub certificate_authorities: Vec<CertificateAuthority>,
    /// Certificate transparency logs.
    #[serde(default, deserialize_with = "json::objects")]
    pub ctlogs: Vec<TransparencyLogInstance>,
    /// Authorities that sign timestamps.
    #[serde(default, alias = "timestamp_authorities", deserialize_with = "json::objects")]
    pub timestamp_authorities: Vec<CertificateAuthority>,
}

/// Media types of trusted roots, which differ in fields that may be left out.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum TrustedRootMediaType {
    /// Version 0.1, in the form that all clients read: sigstore-go reads no other.
    #[default]
    #[serde(rename = "application/vnd.dev.sigstore.trustedroot+json;version=0.1")]
    V01,
    /// Version 0.1, in its later form.
    #[serde(rename = "application/vnd.dev.sigstore.trustedroot.v0.1+json")]
    NewV01,
    /// Version 0.2.
    #[serde(rename = "application/vnd.dev.sigstore.trustedroot.v0.2+json")]
    V02,
}

/// A log: for entries, or for certificates.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransparencyLogInstance {
    /// The URL. Its host is the origin of a Rekor v2.
    #[serde(default, alias = "base_url")]
    pub base_url: String,
    #[serde(alias = "hash_algorithm")]
    hash_algorithm: EnumField<HashAlgorithm>,
    /// The key.
    #[serde(alias = "public_key", deserialize_with = "json::object")]
    pub public_key: TrustedKey,
    #[serde(alias = "log_id", deserialize_with = "json::object")]
    log_id: KeyId,
    #[serde(default, alias = "checkpoint_key_id", deserialize_with = "json::optional_object")]
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_key_id: Option<KeyId>,
    /// Who runs it; of media type 0.2 and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
}

/// A public key, and when it counts.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedKey {
    #[serde(alias = "raw_bytes")]
    raw_bytes: Bytes,
    #[serde(alias = "key_details")]
    key_details: EnumField<KeyDetails>,
    /// When it counts. sigstore-go demands a start.
    #[serde(default, alias = "valid_for", deserialize_with = "json::optional_object")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_for: Option<TimeRange>,
}

/// `LogId`, whose length depends on what it is the ID of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyId {
    #[serde(alias = "key_id")]
    key_id: Bytes,
}

/// Why a log of a trusted root is no Rekor v2 that can be believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedLogError {
    /// Hashes its tree by another algorithm.
    #[error("the log's tree is not one of SHA2_256")]
    HashAlgorithm,
    /// The host of the URL is no origin.
    #[error("the host of the log's baseUrl: {0}")]
    Host(#[from] KeyNameError),
    /// The key is none.
    #[error("the log's key: {0}")]
    Key(#[from] PublicKeyError),
    /// The key is another than its details say.
    #[error("the log's key is not of the kind that its keyDetails say")]
    KeyDetails,
    /// The log ID is not that of origin and key: it is a Rekor v1, or another host than the log's.
    #[error("the logId is not that of a Rekor v2 with this host and key")]
    LogId,
}

impl TrustedRoot {
    /// Reads the JSON.
    ///
    /// # Errors
    /// Where it is another.
    pub fn parse(json: &[u8]) -> Result<Self, JsonError> {
        json::from_slice(json)
    }

    /// The JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::to_string(self)
    }

    /// The Rekor log with this ID.
    #[must_use]
    pub fn rekor_log(&self, id: LogId) -> Option<&TransparencyLogInstance> {
        self.tlogs.iter().find(|log| log.log_id.bytes() == id.as_bytes())
    }
}

impl TransparencyLogInstance {
    /// A Rekor v2 that is reached at `base_url`, the host of which is the log's origin, and whose key counts
    /// from `start`. `None` where the host is another, or clients take no such key.
    #[must_use]
    pub fn rekor(base_url: &str, log: &RekorLog, start: Timestamp) -> Option<Self> {
        let id = KeyId::new(log.id().as_bytes());
        let public_key = TrustedKey::new(log.key().spki_der(), log.key().details()?, start);
        let is_at_origin = host_name(base_url) == log.origin().as_str();
        is_at_origin.then(|| Self {
            base_url: base_url.to_owned(),
            hash_algorithm: EnumField::new(HashAlgorithm::Sha2_256.number()),
            public_key,
            log_id: id.clone(),
            checkpoint_key_id: Some(id),
            operator: None,
        })
    }

    /// A certificate transparency log, which has the hash of its key for an ID.
    #[must_use]
    pub fn ct_log(base_url: &str, key: TrustedKey) -> Self {
        let id = crate::Digest::of(HashAlgorithm::Sha2_256, &key.raw_bytes.0);
        Self {
            base_url: base_url.to_owned(),
            hash_algorithm: EnumField::new(HashAlgorithm::Sha2_256.number()),
            public_key: key,
            log_id: KeyId::new(id.as_bytes()),
            checkpoint_key_id: None,
            operator: None,
        }
    }

    /// The ID by which entries name it.
    #[must_use]
    pub fn log_id(&self) -> Option<LogId> {
        self.log_id.bytes().try_into().ok().map(LogId::from_bytes)
    }

    /// The log, as one whose checkpoints can be verified: a Rekor v2, with the host of its URL for an
    /// origin, as sigstore-go has it. When its key counts is for the caller: entries of Rekor v2 have no time.
    ///
    /// # Errors
    /// Where it is another, or key, host and ID do not fit together.
    pub fn to_rekor_log(&self) -> Result<RekorLog, TrustedLogError> {
        use TrustedLogError as E;
        if self.hash_algorithm.number != HashAlgorithm::Sha2_256.number() {
            return Err(E::HashAlgorithm);
        }
        let key = LogKey::from_spki_der(&self.public_key.raw_bytes.0)?;
        if key.details().map(KeyDetails::number) != Some(self.public_key.key_details.number) {
            return Err(E::KeyDetails);
        }
        let log = RekorLog::new(host_name(&self.base_url).parse()?, key);
        if self.log_id() == Some(log.id()) { Ok(log) } else { Err(E::LogId) }
    }
}

impl TrustedKey {
    /// A key in DER, which counts from `start`.
    #[must_use]
    pub fn new(spki_der: &[u8], details: KeyDetails, start: Timestamp) -> Self {
        Self {
            raw_bytes: Bytes(spki_der.to_vec()),
            key_details: EnumField::new(details.number()),
            valid_for: Some(TimeRange { start, end: None }),
        }
    }

    /// The key in DER, as it stands there.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.raw_bytes.0
    }
}

impl KeyId {
    fn new(id: &[u8]) -> Self {
        Self { key_id: Bytes(id.to_vec()) }
    }

    fn bytes(&self) -> &[u8] {
        &self.key_id.0
    }
}

/// The host of a URL, without port: what `Hostname()` of Go's `net/url` says of it. The scheme may be missing.
fn host_name(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ip, _)) => ip,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(origin: &str) -> RekorLog {
        RekorLog::new(origin.parse().unwrap(), LogKey::ed25519(&[7; 32]))
    }

    fn start() -> Timestamp {
        "2024-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_host_is_that_of_go() {
        for (url, host) in [
            ("https://log.example.com", "log.example.com"),
            ("https://log.example.com:8443/a/b?c#d", "log.example.com"),
            ("http://user:pw@127.0.0.1:3000", "127.0.0.1"),
            ("https://[::1]:3000/", "::1"),
            ("log.example.com/2026a", "log.example.com"),
            ("", ""),
        ] {
            assert_eq!(host_name(url), host, "{url}");
        }
    }

    #[test]
    fn a_log_is_written_as_sigstores_clients_demand_it() {
        let tlog =
            TransparencyLogInstance::rekor("http://log.example.com:3000", &log("log.example.com"), start());
        let root = TrustedRoot { tlogs: vec![tlog.unwrap()], ..TrustedRoot::default() };
        let json = root.to_json();
        let id = log("log.example.com").id();
        let key = crate::base64::encode(log("log.example.com").key().spki_der());
        let expected = format!(
            r#"{{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[{{"baseUrl":"http://log.example.com:3000","hashAlgorithm":"SHA2_256","publicKey":{{"rawBytes":"{key}","keyDetails":"PKIX_ED25519","validFor":{{"start":"2024-01-01T00:00:00Z"}}}},"logId":{{"keyId":"{id}"}},"checkpointKeyId":{{"keyId":"{id}"}}}}],"certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}}"#
        );
        assert_eq!(json, expected);
        let read = TrustedRoot::parse(json.as_bytes()).unwrap();
        assert_eq!(read, root);
        assert_eq!(read.rekor_log(id).unwrap().to_rekor_log(), Ok(log("log.example.com")));
        assert_eq!(read.rekor_log(log("other.example.com").id()), None);
    }

    #[test]
    fn a_log_at_another_host_than_its_origin_is_not_written() {
        assert_eq!(
            TransparencyLogInstance::rekor("https://other.example", &log("log.example.com"), start()),
            None
        );
    }

    #[test]
    fn a_log_that_does_not_fit_together_is_not_believed() {
        use TrustedLogError as E;
        let good =
            TransparencyLogInstance::rekor("https://log.example.com", &log("log.example.com"), start())
                .unwrap();
        let with = |change: &dyn Fn(&mut TransparencyLogInstance)| {
            let mut changed = good.clone();
            change(&mut changed);
            changed.to_rekor_log().unwrap_err()
        };
        assert_eq!(with(&|log| log.base_url = "https://other.example".to_owned()), E::LogId);
        assert_eq!(with(&|log| log.base_url = String::new()), E::Host(KeyNameError));
        assert_eq!(with(&|log| log.log_id = KeyId::new(&[0; 32])), E::LogId);
        assert_eq!(with(&|log| log.log_id = KeyId::new(&[0; 4])), E::LogId);
        assert_eq!(with(&|log| log.hash_algorithm = EnumField::new(2)), E::HashAlgorithm);
        assert_eq!(with(&|log| log.public_key.key_details = EnumField::new(8)), E::KeyDetails);
        assert_eq!(with(&|log| log.public_key.raw_bytes = Bytes(vec![0x30])), E::Key(PublicKeyError::Der));
    }
}
