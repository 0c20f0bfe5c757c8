//! One request to a service and its answer, of bounded length.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use kiln_storage::bucket::Connector;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest};
use object_store::{BackoffConfig, ClientOptions, CredentialProvider, RetryConfig};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use url::{Host, Url};

use crate::failure::{FIRST_PAUSE, KmsError, PATIENCE};

/// Longer than any answer: the longest is a public key, of some hundred bytes.
const MAX_ANSWER: usize = 64 << 10;

/// How long the fetching of credentials may take: less than a try.
const FETCH: Duration = Duration::from_millis(1500);

/// The longest of a service's words that are passed on.
const MAX_WORDS: usize = 300;

/// A way to a service.
#[derive(Debug)]
pub(crate) struct Exchange {
    client: HttpClient,
    endpoint: String,
}

/// Credentials, which may have to be fetched: of the metadata service of a machine, which there is none of where nobody
/// answers.
pub(crate) async fn credential<T: Debug>(
    provider: &dyn CredentialProvider<Credential = T>,
) -> Result<Arc<T>, KmsError> {
    let got = timeout(FETCH, provider.get_credential()).await;
    got.map_err(|_| KmsError::NoCredentials(FETCH))?.map_err(KmsError::Credentials)
}

/// What a service answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Exchange {
    /// The way to this endpoint, a URL without a slash at its end. It is encrypted, for what is sent there is as good as the
    /// credentials, unless it does not leave this machine.
    pub(crate) fn with(endpoint: String) -> Result<Self, KmsError> {
        check(&endpoint)?;
        let client = Connector.connect(&options(&endpoint)).map_err(KmsError::Client)?;
        Ok(Self { client, endpoint })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint)
    }

    pub(crate) async fn send(&self, request: HttpRequest) -> Result<Answer, KmsError> {
        let (parts, body) = self.client.execute(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
            match error.downcast::<HttpError>() {
                Ok(error) => KmsError::Transport(*error),
                Err(error) if error.is::<LengthLimitError>() => KmsError::Malformed("it is longer than any"),
                Err(_) => KmsError::Malformed("it broke off"),
            }
        })?;
        Ok(Answer { status: parts.status, body: body.to_bytes() })
    }
}

/// What signs requests takes the URL for one.
fn check(endpoint: &str) -> Result<(), KmsError> {
    let url = Url::parse(endpoint).map_err(|_| KmsError::Setup("the endpoint of the KMS is no URL"))?;
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        _ => Err(KmsError::Setup("the endpoint of the KMS is neither https nor on this machine")),
    }
}

pub(crate) fn options(endpoint: &str) -> ClientOptions {
    ClientOptions::new().with_allow_http(endpoint.starts_with("http://"))
}

/// Of those who give credentials: they are asked again when the service is.
pub(crate) fn retries() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: FIRST_PAUSE, base: 2.0 };
    RetryConfig { backoff, max_retries: 1, retry_timeout: PATIENCE }
}

impl Answer {
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, KmsError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| KmsError::Malformed("it is not what is written in its API"))
    }

    /// What it says, where it is no answer of the API: a proxy's, say.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The error that an answer is that says neither yes nor that a permission is lacking. `throttled`: whether it says
    /// that too much was asked for, whatever its status.
    pub(crate) fn refusal(&self, message: &str, throttled: bool) -> KmsError {
        let (status, message) = (self.status.as_u16(), words(message));
        if throttled || self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error() {
            KmsError::Busy { status, message }
        } else {
            KmsError::Refused { status, message }
        }
    }

    pub(crate) fn denial(&self, permission: &'static str, message: &str) -> KmsError {
        KmsError::Denied { permission, status: self.status.as_u16(), message: words(message) }
    }
}

/// What may be shown of what a service says.
fn words(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS);
    Some(shown.collect::<String>()).filter(|text| !text.is_empty()).unwrap_or_else(|| "and not why".into())
}

pub(crate) fn decode(base64: &str) -> Result<Vec<u8>, KmsError> {
    Base64::decode_vec(base64).map_err(|_| KmsError::Malformed("its bytes are not in base64"))
}

/// A variable of the environment that says something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_that_nobody_on_the_way_reads() {
        for good in [
            "https://kms.eu-west-1.amazonaws.com",
            "http://127.0.0.1:5000",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        // What signs requests panicked at the first three.
        for bad in [
            "https://host:99999",
            "https://host:x",
            "https://1.2.3.999",
            "http://kms.example.com",
            "ftp://localhost",
            "kms",
        ] {
            assert!(matches!(check(bad), Err(KmsError::Setup(_))), "{bad}");
        }
    }
}
