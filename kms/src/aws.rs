//! AWS KMS, by its [JSON protocol]: [`GetPublicKey`] and [`Sign`].
//!
//! [JSON protocol]: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
//! [`GetPublicKey`]: https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html
//! [`Sign`]: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html

use base64ct::{Base64, Encoding};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::{Method, Request};
use kiln_storage::bucket::Connector;
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exchange::{Answer, Exchange, credential, decode, options, retries, variable};
use crate::failure::KmsError;
use crate::key::Service;
use crate::public_key::Algorithm;
use crate::reference::AwsKey;

/// AWS KMS, asked for one key.
#[derive(Debug)]
pub(crate) struct AwsKms {
    id: String,
    region: String,
    exchange: Exchange,
    credentials: AwsCredentialProvider,
}

/// An operation, and the permission that it needs.
struct Operation {
    target: &'static str,
    permission: &'static str,
}

const SIGN: Operation = Operation { target: "TrentService.Sign", permission: "kms:Sign" };
const GET_PUBLIC_KEY: Operation =
    Operation { target: "TrentService.GetPublicKey", permission: "kms:GetPublicKey" };

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublicKeyAnswer {
    public_key: String,
    key_usage: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SignAnswer {
    signature: String,
}

/// Why it did not: `__type` may stand behind a namespace, and the message has been spelled both ways.
#[derive(Deserialize)]
struct Error {
    #[serde(default, rename = "__type")]
    kind: String,
    #[serde(default, alias = "Message")]
    message: String,
}

impl AwsKms {
    /// With the credentials and the region that the environment has, as AWS's own tools take them.
    pub(crate) fn of_environment(key: &AwsKey) -> Result<Self, KmsError> {
        let region = region(key, variable).ok_or(KmsError::Setup(
            "no region says where the key is: give its ARN, or ?region=REGION, or set AWS_REGION",
        ))?;
        let endpoint = endpoint(key, &region, variable).ok_or(KmsError::Setup(
            "it is not known here where the KMS of this region is: say it with AWS_ENDPOINT_URL_KMS",
        ))?;
        // No request goes to a bucket: the credentials are those that a bucket would be read with.
        let store = AmazonS3Builder::from_env()
            .with_bucket_name("none")
            .with_region(&region)
            .with_client_options(options(&endpoint))
            .with_retry(retries())
            .with_http_connector(Connector)
            .build()
            .map_err(KmsError::Credentials)?;
        Self::with(key, region, endpoint, store.credentials().clone())
    }

    pub(crate) fn with(
        key: &AwsKey,
        region: String,
        endpoint: String,
        credentials: AwsCredentialProvider,
    ) -> Result<Self, KmsError> {
        Ok(Self { id: key.id().to_owned(), region, exchange: Exchange::with(endpoint)?, credentials })
    }

    async fn ask(&self, operation: &Operation, input: &Value) -> Result<Answer, KmsError> {
        let credential = credential(&*self.credentials).await?;
        let mut request = self.request(operation, input)?;
        AwsAuthorizer::new(&credential, "kms", &self.region)
            .try_authorize(&mut request, None)
            .map_err(KmsError::Credentials)?;
        let answer = self.exchange.send(request).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(failure(operation, &answer)) }
    }

    fn request(&self, operation: &Operation, input: &Value) -> Result<HttpRequest, KmsError> {
        Request::builder()
            .method(Method::POST)
            .uri(self.exchange.url("/"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", operation.target)
            .body(input.to_string().into())
            .map_err(|_| KmsError::Setup("the endpoint of the KMS is no URL"))
    }
}

impl Service for AwsKms {
    fn public_key(&self) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        async {
            let answer = self.ask(&GET_PUBLIC_KEY, &json!({ "KeyId": self.id })).await?;
            let answer: PublicKeyAnswer = answer.parse()?;
            if answer.key_usage == "SIGN_VERIFY" {
                decode(&answer.public_key)
            } else {
                Err(KmsError::KeyType)
            }
        }
        .boxed()
    }

    fn sign<'a>(&'a self, text: &'a str, by: Algorithm) -> BoxFuture<'a, Result<Vec<u8>, KmsError>> {
        let algorithm = match by {
            Algorithm::Ed25519 => "ED25519_SHA_512",
            Algorithm::EcdsaP256 => "ECDSA_SHA_256",
        };
        let input = json!({
            "KeyId": self.id,
            "Message": Base64::encode_string(text.as_bytes()),
            // The text itself, not a digest of it: Ed25519 in its pure form has no other.
            "MessageType": "RAW",
            "SigningAlgorithm": algorithm,
        });
        async move {
            let answer: SignAnswer = self.ask(&SIGN, &input).await?.parse()?;
            decode(&answer.signature)
        }
        .boxed()
    }
}

/// Each error but those of its own making has the status 400, too many requests among them.
fn failure(operation: &Operation, answer: &Answer) -> KmsError {
    let Error { kind, message } =
        answer.parse().unwrap_or_else(|_| Error { kind: String::new(), message: answer.text() });
    let kind = kind.rsplit('#').next().unwrap_or_default();
    let message = [kind, &message].join(if kind.is_empty() { "" } else { ": " });
    match kind {
        "AccessDeniedException" | "AccessDenied" => answer.denial(operation.permission, &message),
        kind => answer.refusal(&message, kind.starts_with("Throttling")),
    }
}

fn region(key: &AwsKey, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let of_environment = || variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    key.region().map(str::to_owned).or_else(of_environment)
}

/// That of the reference, else what the environment says for KMS or for all services, else that of the region; `None` in
/// the regions of which only those know who use them.
fn endpoint(key: &AwsKey, region: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let of_region = || {
        let domain = match region.split('-').next()? {
            "cn" => "amazonaws.com.cn",
            "eusc" => "amazonaws.eu",
            _ if region.contains("iso") => return None,
            _ => "amazonaws.com",
        };
        let fips = variable("AWS_USE_FIPS_ENDPOINT").is_some_and(|set| set.eq_ignore_ascii_case("true"));
        Some(format!("https://kms{}.{region}.{domain}", if fips { "-fips" } else { "" }))
    };
    let endpoint = match key.endpoint() {
        Some(endpoint) => format!("https://{endpoint}"),
        None => {
            let said = || variable("AWS_ENDPOINT_URL_KMS").or_else(|| variable("AWS_ENDPOINT_URL"));
            said().or_else(of_region)?
        }
    };
    Some(endpoint.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyReference;

    fn key(text: &str) -> AwsKey {
        match text.parse() {
            Ok(KeyReference::Aws(key)) => key,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_region_is_that_of_the_reference_or_of_the_environment() {
        let of = |text: &str, set: &[&str]| {
            region(&key(text), |name| set.contains(&name).then(|| name.to_lowercase()))
        };
        assert_eq!(
            of("awskms:///arn:aws:kms:us-east-2:111122223333:alias/a", &["AWS_REGION"]).unwrap(),
            "us-east-2"
        );
        assert_eq!(of("awskms:///alias/a?region=eu-west-1", &["AWS_REGION"]).unwrap(), "eu-west-1");
        assert_eq!(of("awskms:///alias/a", &["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap(), "aws_region");
        assert_eq!(of("awskms:///alias/a", &["AWS_DEFAULT_REGION"]).unwrap(), "aws_default_region");
        assert_eq!(of("awskms:///alias/a", &[]), None);
    }

    #[test]
    fn the_endpoint_is_the_one_that_was_named_last() {
        let set = [("AWS_ENDPOINT_URL_KMS", "http://kms:1/"), ("AWS_ENDPOINT_URL", "http://all:2")];
        let of = |text: &str, region: &str, set: &[(&str, &str)]| {
            let value =
                |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into());
            endpoint(&key(text), region, value).unwrap_or_default()
        };
        assert_eq!(of("awskms://localhost:4566/alias/a", "r", &set), "https://localhost:4566");
        assert_eq!(of("awskms:///alias/a", "r", &set), "http://kms:1");
        assert_eq!(of("awskms:///alias/a", "r", &set[1..]), "http://all:2");
        assert_eq!(of("awskms:///alias/a", "eu-west-1", &[]), "https://kms.eu-west-1.amazonaws.com");
        assert_eq!(of("awskms:///alias/a", "cn-north-1", &[]), "https://kms.cn-north-1.amazonaws.com.cn");
        assert_eq!(of("awskms:///alias/a", "eusc-de-east-1", &[]), "https://kms.eusc-de-east-1.amazonaws.eu");
        assert_eq!(of("awskms:///alias/a", "us-iso-east-1", &[]), "");
        let fips = [("AWS_USE_FIPS_ENDPOINT", "true")];
        assert_eq!(of("awskms:///alias/a", "us-east-1", &fips), "https://kms-fips.us-east-1.amazonaws.com");
    }
}
