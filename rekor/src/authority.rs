//! The authorities of a trusted root: who certifies signers, and who signs timestamps.

use serde::{Deserialize, Serialize};

use crate::json::{self, Bytes};
use crate::timestamp::Timestamp;

/// A time with both ends included.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// The first moment.
    pub start: Timestamp,
    /// The last moment, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// A certificate or timestamp authority.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateAuthority {
    /// Its name; sigstore-python demands both parts.
    #[serde(deserialize_with = "json::object")]
    pub subject: DistinguishedName,
    /// Its URL.
    #[serde(default)]
    pub uri: String,
    #[serde(alias = "cert_chain", deserialize_with = "json::object")]
    cert_chain: CertChain,
    /// When the whole chain counts.
    #[serde(alias = "valid_for", deserialize_with = "json::object")]
    pub valid_for: TimeRange,
    /// Who runs it; of media type 0.2 and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
}

/// The name of an authority.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DistinguishedName {
    /// `O`.
    pub organization: String,
    /// `CN`.
    #[serde(alias = "common_name")]
    pub common_name: String,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct CertChain {
    #[serde(deserialize_with = "json::objects")]
    certificates: Vec<RawCertificate>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawCertificate {
    #[serde(alias = "raw_bytes")]
    raw_bytes: Bytes,
}

impl TimeRange {
    /// Whether the time lies within, ends included.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && self.end.is_none_or(|end| time <= end)
    }
}

impl CertificateAuthority {
    /// An authority with its certificates in DER, the trust anchor last.
    #[must_use]
    pub fn new(subject: DistinguishedName, uri: &str, chain: Vec<Vec<u8>>, valid_for: TimeRange) -> Self {
        let certificates = chain.into_iter().map(|der| RawCertificate { raw_bytes: Bytes(der) }).collect();
        Self {
            subject,
            uri: uri.to_owned(),
            cert_chain: CertChain { certificates },
            valid_for,
            operator: None,
        }
    }

    /// The certificates in DER, the trust anchor last.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.cert_chain.certificates.iter().map(|certificate| &certificate.raw_bytes.0[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2024-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn both_ends_of_a_time_belong_to_it() {
        let end: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        let after: Timestamp = "2025-01-01T00:00:00.001Z".parse().unwrap();
        let range = TimeRange { start: start(), end: Some(end) };
        assert!(range.contains(start()) && range.contains(end) && !range.contains(after));
        assert!(TimeRange { start: start(), end: None }.contains(after));
        assert!(!TimeRange { start: after, end: None }.contains(end));
    }
}
