//! The metrics that every HTTP server of the project has.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Requests answered, by method and status, and requests in flight.
#[derive(Clone, Debug, Default)]
pub struct HttpMetrics {
    answered: Family<Labels, Counter>,
    in_flight: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    status: u16,
}

impl HttpMetrics {
    /// Makes the metrics and enters them into `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let answered = metrics.answered.clone();
        registry.register("http_requests", "Requests answered, by method and status", answered);
        let in_flight = metrics.in_flight.clone();
        registry.register("http_requests_in_flight", "Requests not yet answered", in_flight);
        metrics
    }

    /// Counts the requests to `routes`.
    pub fn observe(self, routes: Router) -> Router {
        routes.layer(from_fn_with_state(self, count))
    }
}

async fn count(State(metrics): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let method = method_label(request.method().as_str());
    let in_flight = InFlight::enter(&metrics.in_flight);
    let response = next.run(request).await;
    drop(in_flight);
    let status = response.status().as_u16();
    metrics.answered.get_or_create(&Labels { method, status }).inc();
    response
}

/// Leaves the gauge when dropped, so that a client that goes away is not counted for ever.
struct InFlight<'a>(&'a Gauge);

impl<'a> InFlight<'a> {
    fn enter(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A label of a closed set: a client that invents methods must not add time series.
fn method_label(method: &str) -> &'static str {
    ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::probes;

    async fn send(routes: &Router, method: &str, path: &str) -> String {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8_lossy(&body).into_owned()
    }

    #[tokio::test]
    async fn requests_are_counted_by_method_and_status_and_invented_methods_together() {
        let mut registry = Registry::default();
        let metrics = HttpMetrics::register(&mut registry);
        let routes = metrics
            .observe(Router::new().route("/", get(|| async { "hello" })))
            .merge(probes::routes(registry));
        send(&routes, "GET", "/").await;
        send(&routes, "BREW", "/").await;
        send(&routes, "KNIT", "/").await;
        let mut lines: Vec<_> = send(&routes, "GET", "/metrics")
            .await
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        lines.sort();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        http_requests_in_flight 0
        http_requests_total{method="GET",status="200"} 1
        http_requests_total{method="other",status="405"} 2
        "#);
    }
}
