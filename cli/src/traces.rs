//! Traces of what a server does, for a collector of OpenTelemetry's.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response};
use kiln_client::{ApiClient, HttpAnswer, HttpOptions};
use opentelemetry::trace::{Link, SpanKind, TraceId, TracerProvider as _};
use opentelemetry::{Context, Key, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample};
use tokio::runtime::Runtime;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::failure::Failure;

/// Where traces go.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TraceArgs {
    /// Send traces to the OpenTelemetry collector at this URL, by OTLP over HTTP: of each round with its steps, what it
    /// asks of the store and of witnesses, and of some requests. OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and
    /// OTEL_EXPORTER_OTLP_HEADERS are heeded.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// The share of requests that are traced, and of whatever else is no round; rounds always are.
    #[arg(long, value_name = "0..1", default_value = "0.01", value_parser = parse_share, requires = "otlp")]
    otlp_requests: f64,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a number from 0 to 1".into())
}

/// Sends what is traced, from a thread of its own.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// How long the end of the process waits for the last of them.
const LAST: Duration = Duration::from_secs(2);

impl TraceArgs {
    /// Begins to send, if they say where to.
    pub(crate) fn open(&self) -> Result<Option<Traces>, Failure> {
        let Some(url) = self.otlp.as_deref() else { return Ok(None) };
        // Some write the path that all collectors have.
        let url = url.trim_end_matches('/');
        let url = url.strip_suffix("/v1/traces").unwrap_or(url);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::open(url)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .build()
            .map_err(Failure::undone)?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .with_sampler(Sampler::ParentBased(Box::new(Choice { requests: self.otlp_requests })))
            .build();
        let tracer = provider.tracer("kiln");
        Ok(Some(Traces { provider, tracer }))
    }
}

/// What is said of this process: by its environment, and where that is silent, that it is Kiln.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = || Resource::builder().with_attribute(version.clone());
    let said = builder().build();
    let name = said.get(&Key::from_static_str("service.name"));
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    if is_named { said } else { builder().with_service_name("kiln").build() }
}

impl Traces {
    /// What collects the spans of this program, and none of its libraries'.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.tracer.clone());
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false);
        layer.with_filter(filter_fn(is_traced))
    }

    /// Sends what is left.
    pub(crate) fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

fn is_traced(of: &Metadata<'_>) -> bool {
    let most = if of.is_span() { Level::DEBUG } else { Level::INFO };
    of.target().starts_with("kiln") && (of.is_span() || of.is_event()) && *of.level() <= most
}

/// Which traces are kept. There are a few rounds a second, and there may be a hundred thousand requests; what is no part of
/// either, such as looks at the head of a log that another process writes, is as frequent as that.
#[derive(Clone, Debug)]
struct Choice {
    requests: f64,
}

/// The roots that are always kept.
const ROUNDS: [&str; 2] = ["round", "refresh"];

impl ShouldSample for Choice {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let share = if ROUNDS.contains(&name) { 1.0 } else { self.requests };
        Sampler::TraceIdRatioBased(share).should_sample(parent, trace, name, kind, attributes, links)
    }
}

/// The collector, asked over the HTTP of all of Kiln, on a runtime of its own: what exports is a thread without one.
struct Collector {
    client: ApiClient,
    runtime: Runtime,
    /// Whether the last try failed: each outage is told once.
    is_away: AtomicBool,
}

/// What it may take to answer, and the longest answer, in bytes.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 64 << 10;

impl Collector {
    fn open(url: &str) -> Result<Self, Failure> {
        // The exporter tries again itself.
        let options = HttpOptions::default().user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")));
        let client = ApiClient::new(url, options.timeout(PATIENCE).retries(0));
        // The URL may have a password in it.
        let client = client.map_err(|_| {
            Failure::usage("--otlp is no http or https URL, or has more than a host and a path")
        })?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("otlp").enable_all();
        Ok(Self { client, runtime: runtime.build()?, is_away: AtomicBool::new(false) })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let client = self.client.clone();
        let asked = async move { client.post("v1/traces", head.headers, body, LONGEST_ANSWER).await };
        let answer = self.runtime.spawn(asked).await?;
        self.tell(answer.as_ref());
        let answer = answer?;
        let response = Response::builder().status(answer.status());
        // Who is told to wait waits.
        let response = match answer.header(RETRY_AFTER.as_str()) {
            "" => response,
            wait => response.header(RETRY_AFTER, wait),
        };
        Ok(response.body(answer.body().clone())?)
    }
}

impl Collector {
    /// Tells once when it begins to fail, and once when that is over.
    fn tell(&self, answer: Result<&HttpAnswer, &kiln_client::HttpError>) {
        let fault = match answer {
            Ok(answer) if answer.is_success() => None,
            Ok(answer) => Some(answer.refusal().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let was_away = self.is_away.swap(fault.is_some(), Ordering::Relaxed);
        match fault {
            Some(error) if !was_away => {
                tracing::warn!(%error, "the collector takes no traces; those of this time are lost");
            }
            None if was_away => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("client", &self.client).finish_non_exhaustive()
    }
}
