//! Google Cloud KMS, by its [REST API]: `getPublicKey` and [`asymmetricSign`], both with checksums of what goes there and
//! comes back ([data integrity]).
//!
//! [REST API]: https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions
//! [`asymmetricSign`]: https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign
//! [data integrity]: https://docs.cloud.google.com/kms/docs/data-integrity-guidelines

use base64ct::{Base64, Encoding};
use crc_fast::CrcAlgorithm;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use kiln_storage::bucket::Connector;
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::exchange::{Answer, Exchange, credential, decode, options, retries, variable};
use crate::failure::KmsError;
use crate::key::Service;
use crate::public_key::Algorithm;
use crate::reference::GcpKey;

/// Google Cloud KMS, asked for one version of a key.
#[derive(Debug)]
pub(crate) struct GcpKms {
    name: String,
    exchange: Exchange,
    credentials: GcpCredentialProvider,
}

const ENDPOINT: &str = "https://cloudkms.googleapis.com";

const USE_TO_SIGN: &str = "cloudkms.cryptoKeyVersions.useToSign";
const VIEW_PUBLIC_KEY: &str = "cloudkms.cryptoKeyVersions.viewPublicKey";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyAnswer {
    name: String,
    algorithm: String,
    pem: String,
    pem_crc32c: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignAnswer {
    name: String,
    signature: String,
    signature_crc32c: String,
    #[serde(default)]
    verified_data_crc32c: bool,
    #[serde(default)]
    verified_digest_crc32c: bool,
}

#[derive(Deserialize)]
struct Failed {
    error: Error,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error {
    status: String,
    message: String,
}

impl GcpKms {
    /// With the credentials that the environment has, as Google's own tools take them.
    pub(crate) fn of_environment(key: &GcpKey) -> Result<Self, KmsError> {
        // By this variable gcloud is told of another.
        let endpoint =
            variable("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS").unwrap_or_else(|| ENDPOINT.into());
        // No request goes to a bucket: the credentials are those that a bucket would be read with.
        let store = GoogleCloudStorageBuilder::from_env()
            .with_bucket_name("none")
            .with_client_options(options(&endpoint))
            .with_retry(retries())
            .with_http_connector(Connector)
            .build()
            .map_err(KmsError::Credentials)?;
        Self::with(key, endpoint.trim_end_matches('/').to_owned(), store.credentials().clone())
    }

    pub(crate) fn with(
        key: &GcpKey,
        endpoint: String,
        credentials: GcpCredentialProvider,
    ) -> Result<Self, KmsError> {
        Ok(Self { name: key.name().to_owned(), exchange: Exchange::with(endpoint)?, credentials })
    }

    /// `what`: behind the name of the version.
    async fn ask(
        &self,
        what: &str,
        permission: &'static str,
        input: Option<&Value>,
    ) -> Result<Answer, KmsError> {
        let credential = credential(&*self.credentials).await?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", credential.bearer))
            .map_err(|_| KmsError::Setup("the credentials for Google are no token"))?;
        bearer.set_sensitive(true);
        let request = Request::builder()
            .method(if input.is_some() { Method::POST } else { Method::GET })
            .uri(self.exchange.url(&format!("/v1/{}{what}", self.name)))
            .header(AUTHORIZATION, bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(input.map(Value::to_string).unwrap_or_default().into())
            .map_err(|_| KmsError::Setup("the endpoint of the KMS is no URL"))?;
        let answer = self.exchange.send(request).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(failure(permission, &answer)) }
    }

    /// Another version of the key answers with another key.
    fn check_name(&self, name: &str) -> Result<(), KmsError> {
        if name == self.name { Ok(()) } else { Err(KmsError::Malformed("it is that of another key")) }
    }
}

impl Service for GcpKms {
    fn public_key(&self) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        async {
            let answer: PublicKeyAnswer = self.ask("/publicKey", VIEW_PUBLIC_KEY, None).await?.parse()?;
            self.check_name(&answer.name)?;
            if answer.pem_crc32c != checksum(answer.pem.as_bytes()) {
                return Err(KmsError::Damaged("the public key"));
            }
            if !["EC_SIGN_ED25519", "EC_SIGN_P256_SHA256"].contains(&answer.algorithm.as_str()) {
                return Err(KmsError::KeyType);
            }
            from_pem(&answer.pem).ok_or(KmsError::Malformed("the public key is not in PEM"))
        }
        .boxed()
    }

    fn sign<'a>(&'a self, text: &'a str, by: Algorithm) -> BoxFuture<'a, Result<Vec<u8>, KmsError>> {
        async move {
            let input = match by {
                Algorithm::Ed25519 => json!({
                    "data": Base64::encode_string(text.as_bytes()), "dataCrc32c": checksum(text.as_bytes()),
                }),
                Algorithm::EcdsaP256 => {
                    let digest = Sha256::digest(text);
                    json!({
                        "digest": { "sha256": Base64::encode_string(&digest) }, "digestCrc32c": checksum(&digest),
                    })
                }
            };
            let answer: SignAnswer = self.ask(":asymmetricSign", USE_TO_SIGN, Some(&input)).await?.parse()?;
            self.check_name(&answer.name)?;
            let arrived = match by {
                Algorithm::Ed25519 => answer.verified_data_crc32c,
                Algorithm::EcdsaP256 => answer.verified_digest_crc32c,
            };
            let signature = decode(&answer.signature)?;
            match arrived {
                false => Err(KmsError::Damaged("what was to be signed")),
                true if answer.signature_crc32c != checksum(&signature) => {
                    Err(KmsError::Damaged("the signature"))
                }
                true => Ok(signature),
            }
        }
        .boxed()
    }
}

/// CRC32C, as the API writes it: its number in decimal.
fn checksum(bytes: &[u8]) -> String {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes).to_string()
}

/// The DER form within PEM armor, of which nothing but the key is there.
fn from_pem(pem: &str) -> Option<Vec<u8>> {
    let body = pem.trim_ascii().strip_prefix("-----BEGIN PUBLIC KEY-----")?;
    let body = body.strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    Base64::decode_vec(&body).ok()
}

fn failure(permission: &'static str, answer: &Answer) -> KmsError {
    let Failed { error: Error { status, message } } = answer
        .parse()
        .unwrap_or_else(|_| Failed { error: Error { status: String::new(), message: answer.text() } });
    let message = [&*status, &message].join(if status.is_empty() { "" } else { ": " });
    // Google says the same where its API is not switched on, or not for the project that pays.
    let of_project =
        ["SERVICE_DISABLED", "USER_PROJECT_DENIED"].iter().any(|reason| answer.text().contains(reason));
    if answer.status == StatusCode::FORBIDDEN && status == "PERMISSION_DENIED" && !of_project {
        answer.denial(permission, &message)
    } else {
        answer.refusal(&message, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By RFC 3720, appendix B.4: 32 bytes of zero, and of ones.
    #[test]
    fn checksums_are_those_of_the_castagnoli_polynomial() {
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa_u32.to_string());
        assert_eq!(checksum(&[0xff; 32]), 0x62a8_ab43_u32.to_string());
    }

    #[test]
    fn a_public_key_stands_alone_in_its_armor() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMCow\nBQYD\n-----END PUBLIC KEY-----\n";
        assert_eq!(from_pem(pem).unwrap(), decode("MCowBQYD").unwrap());
        for pem in
            ["", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----"]
        {
            assert_eq!(from_pem(pem), None, "{pem}");
        }
    }
}
