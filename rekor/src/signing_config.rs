//! `signing_config.json`: where a signer finds its services. Media type of version 0.2, as [protobuf-specs]
//! defines it; and the file that holds it together with a trusted root.
//!
//! [protobuf-specs]: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto

use serde::{Deserialize, Serialize};

use crate::authority::TimeRange;
use crate::json::{self, JsonError};
use crate::timestamp::Timestamp;
use crate::trusted_root::TrustedRoot;

/// The services that a signer uses.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningConfig {
    /// The media type.
    #[serde(alias = "media_type")]
    pub media_type: SigningConfigMediaType,
    /// Certificate authorities: their base URLs.
    #[serde(default, alias = "ca_urls", deserialize_with = "json::objects")]
    pub ca_urls: Vec<Service>,
    /// Identity providers: their base URLs.
    #[serde(default, alias = "oidc_urls", deserialize_with = "json::objects")]
    pub oidc_urls: Vec<Service>,
    /// Rekor logs: their base URLs, the newest first.
    #[serde(default, alias = "rekor_tlog_urls", deserialize_with = "json::objects")]
    pub rekor_tlog_urls: Vec<Service>,
    /// How many logs to write to.
    #[serde(default, alias = "rekor_tlog_config", deserialize_with = "json::optional_object")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rekor_tlog_config: Option<ServiceConfiguration>,
    /// Timestamp authorities: their full URLs.
    #[serde(default, alias = "tsa_urls", deserialize_with = "json::objects")]
    pub tsa_urls: Vec<Service>,
    /// How many timestamps to ask for.
    #[serde(default, alias = "tsa_config", deserialize_with = "json::optional_object")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tsa_config: Option<ServiceConfiguration>,
}

/// Media types of signing configs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum SigningConfigMediaType {
    /// Version 0.2, the first that knows Rekor v2.
    #[default]
    #[serde(rename = "application/vnd.dev.sigstore.signingconfig.v0.2+json")]
    V02,
}

/// One service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Where it is.
    pub url: String,
    /// The major version of its API: 2 of a Rekor v2, 1 of all others.
    #[serde(default, alias = "major_api_version")]
    pub major_api_version: u32,
    /// When to use it.
    #[serde(alias = "valid_for", deserialize_with = "json::object")]
    pub valid_for: TimeRange,
    /// Who runs it, as a host name.
    #[serde(default)]
    pub operator: String,
}

/// How many services to use.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfiguration {
    /// Which of them.
    pub selector: ServiceSelector,
    /// How many, where exactly so many are to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// Which of several services to use.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceSelector {
    /// All that are valid.
    All,
    /// Any one.
    Any,
    /// As many as the count says.
    Exact,
}

impl Service {
    /// A service that is to be used from `start` on.
    #[must_use]
    pub fn new(url: &str, major_api_version: u32, start: Timestamp, operator: &str) -> Self {
        let (url, operator) = (url.to_owned(), operator.to_owned());
        Self { url, major_api_version, valid_for: TimeRange { start, end: None }, operator }
    }
}

impl ServiceConfiguration {
    /// Any one of them.
    pub const ANY: Self = Self { selector: ServiceSelector::Any, count: None };
}

impl SigningConfig {
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
}

/// Trusted root and signing config in one file, for `--trust-config` of sigstore-python.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientTrustConfig {
    #[serde(alias = "media_type")]
    media_type: ClientTrustConfigMediaType,
    /// Whom to believe.
    #[serde(alias = "trusted_root", deserialize_with = "json::object")]
    pub trusted_root: TrustedRoot,
    /// Where to sign.
    #[serde(alias = "signing_config", deserialize_with = "json::object")]
    pub signing_config: SigningConfig,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
enum ClientTrustConfigMediaType {
    #[default]
    #[serde(rename = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json")]
    V01,
}

impl ClientTrustConfig {
    /// Both in one.
    #[must_use]
    pub fn new(trusted_root: TrustedRoot, signing_config: SigningConfig) -> Self {
        Self { trusted_root, signing_config, ..Self::default() }
    }

    /// The JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SigningConfig {
        let start = "2024-01-01T00:00:00Z".parse().unwrap();
        let log = Service::new("https://log.example.com", 2, start, "example.com");
        let rekor_tlog_config = Some(ServiceConfiguration::ANY);
        SigningConfig { rekor_tlog_urls: vec![log], rekor_tlog_config, ..SigningConfig::default() }
    }

    #[test]
    fn a_config_is_written_as_sigstores_clients_demand_it() {
        let expected = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[],"oidcUrls":[],"rekorTlogUrls":[{"url":"https://log.example.com","majorApiVersion":2,"validFor":{"start":"2024-01-01T00:00:00Z"},"operator":"example.com"}],"rekorTlogConfig":{"selector":"ANY"},"tsaUrls":[]}"#;
        assert_eq!(config().to_json(), expected);
        assert_eq!(SigningConfig::parse(expected.as_bytes()).unwrap(), config());
    }

    #[test]
    fn another_media_type_is_refused() {
        let json = config().to_json().replace("v0.2", "v0.1");
        assert!(SigningConfig::parse(json.as_bytes()).is_err());
    }

    #[test]
    fn both_files_go_into_one() {
        let both = ClientTrustConfig::new(TrustedRoot::default(), config());
        assert!(both.to_json().contains(r#""signingConfig":{"mediaType":"#));
        let json = both.to_json();
        assert_eq!(json::from_slice::<ClientTrustConfig>(json.as_bytes()).unwrap(), both);
    }
}
