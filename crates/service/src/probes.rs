//! What machines ask every server: whether it is alive, and its metrics.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::problem::Problem;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /healthz`, which answers 200 while the process takes requests, and `GET /metrics`, which
/// writes `registry` in the text format of Prometheus.
pub fn routes(registry: Registry) -> Router {
    let registry = Arc::new(registry);
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(move || std::future::ready(metrics(&registry))))
}

fn metrics(registry: &Registry) -> Result<impl IntoResponse + use<>, Problem> {
    let mut text = String::new();
    encode(&mut text, registry).map_err(|error| Problem::internal(&error))?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text))
}
