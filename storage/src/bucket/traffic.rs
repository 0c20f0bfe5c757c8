//! The requests that an object store is sent: what its owner pays for.

use async_trait::async_trait;
use hyper::StatusCode;
use hyper::body::Body;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

/// What went to a bucket and came back, retries and requests for credentials included. Clones share the counters.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    requests: Family<Answered, Counter>,
    sent: Counter,
    received: Counter,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Answered {
    method: String,
    status: String,
}

impl Traffic {
    /// Counts what goes over the clients that `connector` makes.
    pub(super) fn through<C>(&self, connector: C) -> Counted<C> {
        Counted { inner: connector, traffic: self.clone() }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "HTTP requests to the object store, by method and status; none where no answer came";
        registry.register("storage_http_requests", help, self.requests.clone());
        let help = "Bytes of bodies sent to the object store";
        registry.register_with_unit("storage_http_sent", help, Unit::Bytes, self.sent.clone());
        let help = "Bytes of bodies that the object store announced in answers";
        registry.register_with_unit("storage_http_received", help, Unit::Bytes, self.received.clone());
    }
}

/// Something whose requests are counted: what makes clients, or a client.
#[derive(Debug)]
pub(super) struct Counted<T> {
    inner: T,
    traffic: Traffic,
}

impl<C: HttpConnector> HttpConnector for Counted<C> {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = self.inner.connect(options)?;
        Ok(HttpClient::new(Counted { inner, traffic: self.traffic.clone() }))
    }
}

#[async_trait]
impl HttpService for Counted<HttpClient> {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut sent = Sent { method: request.method().to_string(), status: None, traffic: &self.traffic };
        self.traffic.sent.inc_by(request.body().content_length() as u64);
        let answer = self.inner.execute(request).await?;
        sent.status = Some(answer.status());
        self.traffic.received.inc_by(answer.body().size_hint().lower());
        Ok(answer)
    }
}

/// A request that was sent; counted when it is over, also where nobody waits for its answer any more.
struct Sent<'a> {
    method: String,
    status: Option<StatusCode>,
    traffic: &'a Traffic,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        let status = self.status.as_ref().map_or("none", StatusCode::as_str).to_owned();
        let answered = Answered { method: std::mem::take(&mut self.method), status };
        self.traffic.requests.get_or_create(&answered).inc();
    }
}

#[cfg(test)]
mod tests {
    use object_store::client::HttpErrorKind;

    use super::*;

    /// Answers the first with 3 bytes, fails the second, and lets the third wait for ever.
    #[derive(Debug, Default)]
    struct Far(std::sync::atomic::AtomicU32);

    #[async_trait]
    impl HttpService for Far {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Ok(HttpResponse::new(b"abc".to_vec().into())),
                1 => Err(HttpError::new(HttpErrorKind::Connect, std::io::Error::other("no"))),
                _ => std::future::pending().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_is_counted_answered_or_not() {
        let traffic = Traffic::default();
        let client = traffic.through(HttpClient::new(Far::default()));
        let request = || {
            let mut request = HttpRequest::new(b"hello".to_vec().into());
            *request.method_mut() = hyper::Method::PUT;
            request
        };
        assert!(client.call(request()).await.is_ok());
        assert!(client.call(request()).await.is_err());
        let given_up = tokio::time::timeout(std::time::Duration::from_secs(1), client.call(request())).await;
        assert!(given_up.is_err());
        let mut registry = Registry::default();
        traffic.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "storage_http_requests_total{method=\"PUT\",status=\"200\"} 1",
            "storage_http_requests_total{method=\"PUT\",status=\"none\"} 2",
            "storage_http_sent_bytes_total 15",
            "storage_http_received_bytes_total 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
