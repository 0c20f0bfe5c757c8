//! Opening a bucket with the credentials that the environment has, as each cloud's own tools take them.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::Bucket;
use super::pace::Pace;
use super::traffic::{Counted, Traffic};
use super::transport::Connector;
use super::url::{BucketUrl, Cloud};

/// Why a bucket cannot be opened: the environment lacks something, or holds what makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {source}")]
pub struct OpenBucketError {
    url: BucketUrl,
    source: Box<object_store::Error>,
}

impl Bucket {
    /// The store at a URL. Looks at the environment only; the first request tells whether the bucket
    /// and the credentials are any good.
    ///
    /// | cloud | variables, as its own tools have them |
    /// |-------|---------------------------------------|
    /// | S3 | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, roles of instances, tasks and web identities |
    /// | Google | `GOOGLE_APPLICATION_CREDENTIALS`, the login of `gcloud`, service accounts, `STORAGE_EMULATOR_HOST` |
    /// | Azure | `AZURE_STORAGE_ACCOUNT`, `AZURE_STORAGE_KEY`, `AZURE_STORAGE_SAS_TOKEN`, client secrets, managed identities, `AZURE_STORAGE_ENDPOINT`, `AZURE_STORAGE_USE_EMULATOR` |
    ///
    /// # Errors
    /// Where the environment says too little or what makes no sense.
    pub fn open(url: &BucketUrl) -> Result<Self, OpenBucketError> {
        let traffic = Traffic::default();
        let connector = traffic.through(Connector);
        let store = match url.cloud() {
            Cloud::S3 => s3(url, connector),
            Cloud::Google => google(url, connector),
            Cloud::Azure => azure(url, connector),
        };
        let store = store.map_err(|source| OpenBucketError { url: url.clone(), source: source.into() })?;
        let emulated = url.cloud() == Cloud::Google && google_emulator().is_some();
        let pace = if emulated { Pace::none() } else { Pace::of(url.cloud()) };
        Ok(Self::paced(store, url, pace, traffic))
    }
}

/// The writer waits for these, with a round or with everything, and tries again itself, for as long as
/// it takes: so few retries, which spare it the trouble of a hiccup.
fn retries(first_pause: Duration) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: first_pause, max_backoff: 2 * first_pause, base: 2.0 },
        max_retries: 2,
        retry_timeout: Duration::from_secs(15),
    }
}

const SOON: Duration = Duration::from_millis(100);

/// Google's word for one write too many to an object is to come back after a second.
const AFTER_A_SECOND: Duration = Duration::from_secs(1);

/// Requests are not encrypted where the operator's endpoint says so, and nowhere else.
fn options(endpoint: Option<&str>) -> ClientOptions {
    ClientOptions::new().with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")))
}

/// An endpoint that is no URL would show only with the first request, and as a panic there.
fn checked(store: &'static str, endpoint: Option<String>) -> object_store::Result<Option<String>> {
    let is_url = |text: &String| {
        let uri: Option<hyper::Uri> = text.parse().ok();
        uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
    };
    match endpoint.clone().filter(|text| !is_url(text)) {
        None => Ok(endpoint),
        Some(text) => {
            let source = format!(
                "the endpoint that the environment names, {text:?}, is not a URL that begins with http:// or https://"
            );
            Err(object_store::Error::Generic { store, source: source.into() })
        }
    }
}

fn s3(url: &BucketUrl, connector: Counted<Connector>) -> object_store::Result<Arc<dyn ObjectStore>> {
    let builder = AmazonS3Builder::from_env();
    let of = |key| builder.get_config_value(&key);
    let endpoint = of(AmazonS3ConfigKey::S3Endpoint).or_else(|| of(AmazonS3ConfigKey::Endpoint));
    let endpoint = checked("S3", endpoint)?;
    let builder = builder
        .with_bucket_name(url.bucket())
        // Whatever the environment says: without conditions there is no log.
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(options(endpoint.as_deref()))
        .with_retry(retries(SOON))
        .with_http_connector(connector);
    Ok(Arc::new(builder.build()?))
}

fn google(url: &BucketUrl, connector: Counted<Connector>) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder = GoogleCloudStorageBuilder::from_env();
    if let Some(base) = google_emulator() {
        builder = builder.with_base_url(&base).with_bearer_token("none"); // it asks for none
    }
    let endpoint = checked("GCS", builder.get_config_value(&GoogleConfigKey::BaseUrl))?;
    let builder = builder
        .with_bucket_name(url.bucket())
        .with_client_options(options(endpoint.as_deref()))
        .with_retry(retries(AFTER_A_SECOND))
        .with_http_connector(connector);
    Ok(Arc::new(builder.build()?))
}

/// What Google's own clients read, with a scheme or without.
fn google_emulator() -> Option<String> {
    let host = variable("STORAGE_EMULATOR_HOST")?;
    Some(if host.contains("://") { host } else { format!("http://{host}") })
}

fn azure(url: &BucketUrl, connector: Counted<Connector>) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder = MicrosoftAzureBuilder::from_env();
    // What `az` reads.
    for (key, name) in [
        (AzureConfigKey::AccountName, "AZURE_STORAGE_ACCOUNT"),
        (AzureConfigKey::AccessKey, "AZURE_STORAGE_KEY"),
    ] {
        if let (None, Some(value)) = (builder.get_config_value(&key), variable(name)) {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = checked("Azure", builder.get_config_value(&AzureConfigKey::Endpoint))?;
    let builder = builder
        .with_container_name(url.bucket())
        .with_client_options(options(endpoint.as_deref()))
        .with_retry(retries(SOON))
        .with_http_connector(connector);
    Ok(Arc::new(builder.build()?))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `AWS_ENDPOINT_URL=localhost:9000` ended in a panic of the first request for credentials.
    #[test]
    fn an_endpoint_is_a_url() {
        for good in [None, Some("http://127.0.0.1:9000"), Some("https://s3.example.com/")] {
            let endpoint = good.map(str::to_owned);
            assert_eq!(checked("S3", endpoint.clone()).unwrap(), endpoint);
        }
        for bad in
            ["", "localhost", "localhost:9000", "minio:9000/", "http://local host", "https:/x", "ftp://x"]
        {
            let error = checked("S3", Some(bad.to_owned())).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
