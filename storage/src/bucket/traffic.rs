//! The requests that an object store is sent: what its owner pays for.

use async_trait::async_trait;
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
        let method = request.method().to_string();
        self.traffic.sent.inc_by(request.body().content_length() as u64);
        let answer = self.inner.execute(request).await;
        let status = answer.as_ref().map_or_else(|_| "none".into(), |answer| answer.status().as_str().into());
        self.traffic.requests.get_or_create(&Answered { method, status }).inc();
        if let Ok(answer) = &answer {
            self.traffic.received.inc_by(answer.body().size_hint().lower());
        }
        answer
    }
}
