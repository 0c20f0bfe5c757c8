//! Which key is meant, and where it is: `awskms://...` and `gcpkms://...`, as [cosign] spells them.
//!
//! [cosign]: https://docs.sigstore.dev/cosign/key_management/overview/

use std::fmt;
use std::str::FromStr;

const AWS: &str = "awskms://";
const GCP: &str = "gcpkms://";

/// A key that a key management service keeps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyReference {
    /// `awskms://[ENDPOINT]/ID`, where the ID is a key's, its ARN, `alias/NAME` or the ARN of that.
    Aws(AwsKey),
    /// `gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/versions/V`.
    Gcp(GcpKey),
}

/// A key in AWS KMS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AwsKey {
    endpoint: Option<String>,
    id: String,
    region: Option<String>,
}

/// A version of a key in Google Cloud KMS. Another version is another key, and so is of another log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GcpKey {
    name: String,
}

/// Why a text names no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseReferenceError {
    /// Neither `awskms://` nor `gcpkms://`.
    #[error("a key in a KMS is awskms:///ARN or gcpkms://projects/...: other services are not known here")]
    Scheme,
    /// Not as a key of AWS is named.
    #[error(
        "a key in AWS KMS is awskms:///ID, awskms:///ARN or awskms:///alias/NAME, with an endpoint of your own awskms://HOST/..., \
         and ?region=REGION where neither an ARN nor AWS_REGION says it"
    )]
    Aws,
    /// Not as a version of a key of Google is named.
    #[error(
        "a key in Google Cloud KMS is gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/versions/V"
    )]
    Gcp,
    /// No version is named.
    #[error(
        "name the version of the key, as in .../cryptoKeys/K/versions/1: a log has one key for ever, and each version is another"
    )]
    GcpVersion,
}

impl KeyReference {
    /// Whether a text is to be read as one: anything else may be the path of a file.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, _)| scheme.ends_with("kms") && !scheme.contains('/'))
    }
}

impl FromStr for KeyReference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, ParseReferenceError> {
        if let Some(key) = text.strip_prefix(AWS) {
            return AwsKey::parse(key).map(Self::Aws).ok_or(ParseReferenceError::Aws);
        }
        let key = text.strip_prefix(GCP).ok_or(ParseReferenceError::Scheme)?;
        GcpKey::parse(key).map(Self::Gcp)
    }
}

/// As it was written.
impl fmt::Display for KeyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws(key) => {
                write!(f, "{AWS}{}/{}", key.endpoint().unwrap_or_default(), key.id)?;
                key.region.iter().try_for_each(|region| write!(f, "?region={region}"))
            }
            Self::Gcp(key) => write!(f, "{GCP}{}", key.name),
        }
    }
}

impl AwsKey {
    fn parse(text: &str) -> Option<Self> {
        let (endpoint, key) = text.split_once('/')?;
        let (id, region) = match key.split_once('?') {
            Some((id, query)) => (id, Some(query.strip_prefix("region=")?)),
            None => (key, None),
        };
        let is_one = region.is_none_or(|region| {
            is_region(region) && region_of_arn(id).is_none_or(|of_arn| of_arn == region)
        });
        let endpoint = Some(endpoint).filter(|endpoint| !endpoint.is_empty()).map(str::to_owned);
        let valid = endpoint.as_deref().is_none_or(is_host) && is_key_id(id) && is_one;
        valid.then(|| Self { endpoint, id: id.to_owned(), region: region.map(str::to_owned) })
    }

    /// The host of an endpoint of one's own, and maybe its port; it is asked by https.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// By what KMS knows the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The region that the reference says: an ARN has one within.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref().or_else(|| region_of_arn(&self.id))
    }
}

fn region_of_arn(id: &str) -> Option<&str> {
    id.strip_prefix("arn:")?.split(':').nth(2)
}

/// The ID of a key, its ARN, or the same of an alias.
fn is_key_id(id: &str) -> bool {
    let resource = match id.strip_prefix("arn:") {
        Some(arn) => {
            let parts: Vec<&str> = arn.splitn(5, ':').collect();
            let [partition, "kms", region, account, resource] = parts[..] else { return false };
            let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
            if !(partition.starts_with("aws") && is_word(partition) && is_region(region) && digits) {
                return false;
            }
            match resource.strip_prefix("key/") {
                Some(id) => return is_word(id),
                None => resource,
            }
        }
        None => id,
    };
    match resource.strip_prefix("alias/") {
        Some(alias) => alias.split('/').all(is_word) && alias.len() <= 250,
        None => resource == id && is_word(id),
    }
}

fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=250).contains(&text.len()) && text.bytes().all(plain)
}

fn is_region(text: &str) -> bool {
    is_word(text) && text.len() <= 64
}

/// A host and maybe a port. Whether it is one shows when it is asked.
fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']');
    text.len() <= 255 && text.bytes().all(plain)
}

impl GcpKey {
    fn parse(text: &str) -> Result<Self, ParseReferenceError> {
        use ParseReferenceError as E;
        let parts: Vec<&str> = text.split('/').collect();
        let (["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key], version) =
            parts.split_at_checked(8).ok_or(E::Gcp)?
        else {
            return Err(E::Gcp);
        };
        let version = match version {
            [] => return Err(E::GcpVersion),
            ["versions" | "cryptoKeyVersions", version] => version,
            _ => return Err(E::Gcp),
        };
        // Projects of an organization may be `example.com:project`.
        let is_project = project.split([':', '.']).all(is_word);
        if !(is_project && [location, ring, key, version].into_iter().all(|part| is_word(part))) {
            return Err(E::Gcp);
        }
        let name = format!(
            "projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key}/cryptoKeyVersions/{version}"
        );
        Ok(Self { name })
    }

    /// The name of the version, as the API has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn aws(text: &str) -> AwsKey {
        match text.parse() {
            Ok(KeyReference::Aws(key)) => key,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn keys_of_aws_are_spelled_as_cosign_does() {
        let arn = format!("arn:aws:kms:us-east-2:111122223333:key/{ID}");
        let alias = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/ExampleAlias";
        for (text, endpoint, id, region) in [
            (format!("awskms:///{ID}"), None, ID, None),
            (format!("awskms://localhost:4566/{ID}"), Some("localhost:4566"), ID, None),
            (format!("awskms:///{arn}"), None, &arn, Some("us-east-2")),
            (format!("awskms://kms.example.com/{arn}"), Some("kms.example.com"), &arn, Some("us-east-2")),
            ("awskms:///alias/ExampleAlias".into(), None, "alias/ExampleAlias", None),
            ("awskms:///alias/a/b?region=eu-west-1".into(), None, "alias/a/b", Some("eu-west-1")),
            (format!("awskms:///{alias}"), None, alias, Some("us-gov-west-1")),
            (
                "awskms:///mrk-1234abcd12ab34cd56ef1234567890ab".into(),
                None,
                "mrk-1234abcd12ab34cd56ef1234567890ab",
                None,
            ),
        ] {
            let key = aws(&text);
            assert_eq!((key.endpoint(), key.id(), key.region()), (endpoint, id, region), "{text}");
            assert_eq!(KeyReference::Aws(key).to_string(), text);
        }
    }

    #[test]
    fn keys_of_google_have_a_version() {
        let key = "gcpkms://projects/p-1/locations/global/keyRings/r/cryptoKeys/k";
        let name = "projects/p-1/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3";
        for version in ["versions", "cryptoKeyVersions"] {
            match format!("{key}/{version}/3").parse() {
                Ok(KeyReference::Gcp(key)) => assert_eq!(key.name(), name),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(key.parse::<KeyReference>(), Err(ParseReferenceError::GcpVersion));
    }

    #[test]
    fn what_names_no_key_is_refused() {
        use ParseReferenceError as E;
        for (text, error) in [
            ("", E::Scheme),
            ("azurekms://vault/key", E::Scheme),
            ("awskms://", E::Aws),
            ("awskms:///", E::Aws),
            ("awskms:///a key", E::Aws),
            ("awskms:///alias/", E::Aws),
            ("awskms:///alias/a?zone=b", E::Aws),
            ("awskms:///arn:aws:kms:us-east-2:111122223333:alias/a?region=us-east-1", E::Aws),
            ("awskms:///arn:aws:s3:eu-west-1:111122223333:key/a", E::Aws),
            ("awskms:///arn:aws:kms:eu-west-1:1111:key/a", E::Aws),
            ("awskms:///arn:aws:kms:eu-west-1:111122223333:grant/a", E::Aws),
            ("awskms://user@host/a", E::Aws),
            ("gcpkms://projects/p", E::Gcp),
            ("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions", E::Gcp),
            ("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1/2", E::Gcp),
            ("gcpkms://projects/p/locations/../keyRings/r/cryptoKeys/k/versions/1", E::Gcp),
        ] {
            assert_eq!(text.parse::<KeyReference>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_path_is_not_taken_for_a_key() {
        for (text, meant) in [
            ("awskms:///alias/a", true),
            ("azurekms://vault/key", true),
            ("release.key", false),
            ("/etc/kiln/kms://x", false),
            ("PRIVATE+KEY+a+00000000+AQ==", false),
        ] {
            assert_eq!(KeyReference::is_meant(text), meant, "{text}");
        }
    }
}
