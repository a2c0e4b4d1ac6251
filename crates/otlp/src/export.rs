//! What gathers spans, and sends them on a thread of its own: nobody waits for the collector.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;

use crate::Layer;

/// Where a collector takes traces, below its endpoint.
const TRACES: &str = "v1/traces";

/// How long the collector may take to its answer. What it does not take is lost, and the program goes on.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The crates whose spans are sent. Those of libraries are as many, and say nothing of Bellows.
const CRATES: [&str; 3] = ["bellows", "host", "scaler"];

#[derive(Debug)]
pub(crate) struct Export(SdkTracerProvider);

impl Export {
    pub(crate) fn begin(program: &'static str, endpoint: &str) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/{TRACES}", endpoint.trim_end_matches('/')))
            .with_timeout(TIMEOUT)
            .build()?;
        let program = Resource::builder().with_service_name(format!("bellows-{program}")).build();
        let provider = SdkTracerProvider::builder().with_resource(program);
        Ok(Self(provider.with_batch_exporter(exporter).build()))
    }

    pub(crate) fn layer(&self) -> Layer {
        let tracer = self.0.tracer("bellows");
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter_fn(is_sent)).boxed()
    }

    pub(crate) fn end(self) {
        // The collector is away, or slow: nobody is left to be told.
        let _ = self.0.shutdown_with_timeout(TIMEOUT);
    }
}

fn is_sent(of: &Metadata<'_>) -> bool {
    let root = of.target().split("::").next().unwrap_or_default();
    of.is_span() && *of.level() <= Level::DEBUG && CRATES.contains(&root)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Bytes;
    use axum::routing::post;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use prost::Message as _;
    use tokio::sync::mpsc;
    use tracing_subscriber::layer::SubscriberExt as _;

    /// A collector on loopback, and what is sent to it.
    async fn collector() -> (String, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let (sender, receiver) = mpsc::unbounded_channel();
        let take = move |body: Bytes| {
            let sent = sender.send(ExportTraceServiceRequest::decode(body).unwrap());
            async move { sent.unwrap() }
        };
        let routes = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (endpoint, receiver)
    }

    fn launch() {
        let launch = tracing::debug_span!(
            target: "scaler::act", "action", otel.name = "launch", instance = "bw-a-1-x",
            otel.status_code = "ERROR", otel.status_description = "it listens on 127.0.0.1 alone"
        );
        let _launch = launch.enter();
        drop(tracing::debug_span!(target: "host::lxc", "clone").entered());
        drop(tracing::info_span!(target: "hyper::client", "connect").entered());
        tracing::info!(target: "scaler::act", secret = "x", "an event is for the log");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_collector_gets_the_spans_of_our_code_with_their_parents_and_what_went_wrong() {
        let (endpoint, mut sent) = collector().await;
        let traces = crate::Traces::begin("scaler", &endpoint).unwrap();
        let all = tracing_subscriber::registry().with(traces.layer());
        tracing::subscriber::with_default(all, launch);
        tokio::task::spawn_blocking(|| traces.end()).await.unwrap();
        let mut request = sent.try_recv().unwrap();
        let mut of_program = request.resource_spans.remove(0);
        let resource = format!("{:?}", of_program.resource);
        assert!(resource.contains("bellows-scaler"), "{resource}");
        let spans = of_program.scope_spans.remove(0).spans;
        let [clone, launch] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((clone.name.as_str(), launch.name.as_str()), ("clone", "launch"));
        assert_eq!(clone.parent_span_id, launch.span_id);
        let Span { status: Some(Status { message, .. }), attributes, events, .. } = launch else {
            panic!("{launch:?}")
        };
        assert_eq!(message, "it listens on 127.0.0.1 alone");
        assert!(attributes.iter().any(|it| it.key == "instance"), "{attributes:?}");
        assert!(events.is_empty(), "{events:?}");
    }

    #[test]
    fn a_collector_that_is_away_holds_up_nobody() {
        let traces = crate::Traces::begin("scaler", "http://127.0.0.1:9").unwrap();
        let all = tracing_subscriber::registry().with(traces.layer());
        tracing::subscriber::with_default(all, launch);
        traces.end();
    }

    #[test]
    fn an_endpoint_that_is_no_address_is_told_with_the_key() {
        let error = crate::Traces::begin("scaler", "not an address").unwrap_err().to_string();
        assert_eq!(
            error,
            "no traces can be sent to not an address: see traces.endpoint in bellows.toml"
        );
    }
}
