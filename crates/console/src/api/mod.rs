//! The HTTP API, version 1: what is now, what was, and what happens. It reads, and changes nothing.

mod door;
mod past;
mod problem;
mod query;
pub mod series;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use model::names::ServiceName;
use model::status::{HostStatus, ServiceStatus};
use prometheus_client::registry::Registry;
use service::metrics::HttpMetrics;
use service::problem::{Problem, guard};

use crate::history::History;
use crate::live::Hub;
use crate::metrics::{self, Moment};
use crate::watch::{Now, Seen};
use query::Fields;

/// What the routes answer from.
#[derive(Debug, Clone)]
pub struct Known {
    /// What is now.
    pub now: Arc<Now>,
    /// What was.
    pub history: History,
    /// What happens.
    pub hub: Arc<Hub>,
    /// What is counted.
    pub registry: Arc<Registry>,
}

type Shared = State<Known>;
type Answer<T> = Result<Json<T>, Problem>;

/// All routes, each with its bounds.
pub fn routes(known: Known, metrics: HttpMetrics) -> Router {
    let instance = "/v1/services/{name}/instances/{instance}/series";
    let routes = Router::new()
        .route("/v1/services", get(all_services))
        .route("/v1/services/{name}", get(one_service))
        .route("/v1/services/{name}/series", get(past::service_series))
        .route("/v1/services/{name}/turns", get(past::turns))
        .route(instance, get(past::instance_series))
        .route("/v1/ticks", get(past::ticks))
        .route("/v1/events", get(past::events))
        .route("/v1/history", get(past::history))
        .route("/v1/live", get(live))
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(known);
    let door = Arc::new(door::Door::default());
    let admitted = guard(routes).layer(from_fn_with_state(door, door::admit));
    metrics.observe(admitted.layer(from_fn(problem::said)))
}

async fn all_services(State(known): Shared, fields: Fields) -> Answer<HostStatus> {
    fields.end("none")?;
    is_now(&known)?;
    Ok(Json(known.now.host()))
}

async fn one_service(
    State(known): Shared,
    Path(name): Path<String>,
    fields: Fields,
) -> Answer<ServiceStatus> {
    fields.end("none")?;
    is_now(&known)?;
    let status = name.parse().ok().and_then(|name| known.now.one(&name));
    status.map(Json).ok_or_else(|| no_such_service(&name))
}

/// What the scaler told is of now.
fn is_now(known: &Known) -> Result<(), Problem> {
    let Seen::Away(why) = known.now.seen() else { return Ok(()) };
    tracing::debug!(why, "asked while the scaler is away");
    let message = "The scaler does not tell what it does: see its log. What it did is in /v1/ticks and /v1/events.";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "scaler_away", message);
    Err(problem.with_header(header::RETRY_AFTER, 1))
}

fn no_such_service(name: &str) -> Problem {
    let message = format!("There is no service {name:?}; GET /v1/services lists them.");
    Problem::new(StatusCode::NOT_FOUND, "no_such_service", message)
}

/// The service of a field, deployed or not: the history has those that were.
fn service_field(fields: &mut Fields) -> Result<Option<ServiceName>, Problem> {
    fields.value("service", "the name of a service")
}

async fn live(
    State(known): Shared,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let service = service_field(&mut fields)?;
    fields.end("service")?;
    let last_id = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let listener = known.hub.listen(last_id, service).ok_or_else(|| {
        let message = "As many listen as may: end one of them.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", message)
    })?;
    let text = futures_util::stream::unfold(listener, async |mut listener| {
        let part = listener.next().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(part), listener))
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(text)).into_response())
}

async fn metrics_text(State(known): Shared, fields: Fields) -> Result<Response, Problem> {
    fields.end("none")?;
    let host = (known.now.seen() == Seen::Now).then(|| known.now.host());
    let moment = Moment { host: host.as_ref(), history: &known.history.status() };
    let text = metrics::text(&known.registry, &moment);
    let text = text.map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
