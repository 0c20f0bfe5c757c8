//! An API that a log has beside the reads and submissions of all logs, such as Rekor's.

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};

use super::answer::HttpAnswer;
use super::submit::{TokenError, bearer};
use super::transport::{Ask, HttpError, HttpOptions, HttpSetupError, Transport};

/// Posts JSON to an API below a log's URL.
///
/// Every request is tried again where that may help (see [`HttpOptions::retries`]), so it is for what
/// a server may be sent twice. What the server says is its word, and nothing is verified here.
#[derive(Clone, Debug)]
pub struct ApiClient {
    transport: Transport,
    authorization: Option<HeaderValue>,
}

impl ApiClient {
    /// For the API below `url`.
    ///
    /// # Errors
    /// Where it is no such URL, or the machine has no root certificates for an https one.
    pub fn new(url: &str, options: HttpOptions) -> Result<Self, HttpSetupError> {
        Ok(Self { transport: Transport::new(url, options)?, authorization: None })
    }

    /// Sends a bearer token with each request.
    ///
    /// # Errors
    /// Where the URL is plain http to another machine, or the token cannot stand in a header.
    pub fn with_token(self, token: &str) -> Result<Self, TokenError> {
        let authorization = Some(bearer(token, self.transport.url())?);
        Ok(Self { authorization, ..self })
    }

    /// Posts JSON to `path`, and returns what is answered at last: of at most `limit` bytes, or a refusal.
    ///
    /// # Errors
    /// Where there is no answer, or none that can be read.
    pub async fn post_json(&self, path: &str, json: String, limit: usize) -> Result<HttpAnswer, HttpError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.exchange(path, headers, Some(json.into()), limit).await
    }

    /// Posts text to `path`, and returns what is answered at last: of at most `limit` bytes, or a refusal.
    ///
    /// # Errors
    /// Where there is no answer, or none that can be read.
    pub async fn post_text(&self, path: &str, text: String, limit: usize) -> Result<HttpAnswer, HttpError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        self.exchange(path, headers, Some(text.into()), limit).await
    }

    /// Posts bytes that gzip made to `path`, and returns what is answered at last: of at most `limit` bytes, or a refusal.
    ///
    /// # Errors
    /// Where there is no answer, or none that can be read.
    pub async fn post_gzip(&self, path: &str, body: Bytes, limit: usize) -> Result<HttpAnswer, HttpError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        self.exchange(path, headers, Some(body), limit).await
    }

    /// Posts bytes to `path` with these headers, one of which should say what they are, and returns what is answered at
    /// last: of at most `limit` bytes, or a refusal.
    ///
    /// # Errors
    /// Where there is no answer, or none that can be read.
    pub async fn post(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        limit: usize,
    ) -> Result<HttpAnswer, HttpError> {
        self.exchange(path, headers, Some(body), limit).await
    }

    /// Gets `path`, and returns what is answered at last: of at most `limit` bytes, or a refusal.
    ///
    /// # Errors
    /// Where there is no answer, or none that can be read.
    pub async fn get(&self, path: &str, limit: usize) -> Result<HttpAnswer, HttpError> {
        self.exchange(path, HeaderMap::new(), None, limit).await
    }

    async fn exchange(
        &self,
        path: &str,
        mut headers: HeaderMap,
        body: Option<Bytes>,
        limit: usize,
    ) -> Result<HttpAnswer, HttpError> {
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        self.transport.exchange(&Ask { path, headers, body, limit }).await
    }
}
