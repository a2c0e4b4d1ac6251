//! The HTTP API, version 1: what the loop sees and does, and the bounds that an operator sets.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use policy::bounds::Bounds;
use policy::names::ServiceName;
use policy::slots::SlotsError;
use policy::status::{HostStatus, ServiceStatus, TickPage};
use serde::Deserialize;
use service::problem::Problem;

use crate::board::Board;
use crate::services::Services;

/// Ticks that one answer holds unless `limit` says otherwise, and at most: about 1 MB.
const TICKS_MAX: usize = 1000;

/// A body of bounds is some 30 bytes.
const BODY_MAX_BYTES: usize = 4096;

/// What every handler works on.
#[derive(Debug, Clone)]
struct Context {
    board: Arc<Board>,
    services: Arc<Services>,
}

/// The whole API.
pub(crate) fn routes(board: Arc<Board>, services: Arc<Services>) -> Router {
    let api = Router::new()
        .route("/v1/services", get(all_services))
        .route("/v1/services/{name}", get(one_service))
        .route("/v1/services/{name}/bounds", put(set_bounds).delete(clear_bounds))
        .route("/v1/ticks", get(ticks))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(Context { board, services });
    service::problem::guard(api)
}

async fn all_services(State(context): State<Context>) -> Json<HostStatus> {
    Json(context.board.host_status())
}

async fn one_service(
    State(context): State<Context>,
    Path(name): Path<String>,
) -> Result<Json<ServiceStatus>, Problem> {
    context.status(&name).map(Json)
}

async fn set_bounds(
    State(context): State<Context>,
    Path(name): Path<String>,
    bounds: Result<Json<Bounds>, JsonRejection>,
) -> Result<Json<ServiceStatus>, Problem> {
    let Json(bounds) = bounds?;
    let service = context.status(&name)?.name;
    context.fits(&service, bounds).map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_slots", error.to_string())
    })?;
    context.board.set_bounds(&service, bounds).map_err(|error| Problem::internal(&error))?;
    tracing::info!(%service, min = bounds.min(), max = bounds.max(), "bounds were set");
    context.status(&name).map(Json)
}

async fn clear_bounds(
    State(context): State<Context>,
    Path(name): Path<String>,
) -> Result<Json<ServiceStatus>, Problem> {
    let service = context.status(&name)?.name;
    if let Some(deployed) = context.services.get(&service) {
        let cleared = context.board.clear_bounds(&deployed.spec);
        cleared.map_err(|error| Problem::internal(&error))?;
        tracing::info!(%service, "bounds are the file's again");
    }
    context.status(&name).map(Json)
}

/// Which ticks to give.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TicksQuery {
    #[serde(default)]
    since: u64,
    limit: Option<usize>,
}

async fn ticks(
    State(context): State<Context>,
    query: Result<Query<TicksQuery>, QueryRejection>,
) -> Result<Json<TickPage>, Problem> {
    let Query(TicksQuery { since, limit }) = query?;
    let limit = limit.unwrap_or(TICKS_MAX).min(TICKS_MAX);
    let ticks = context.board.ticks(since, limit);
    let next = ticks.last().map_or(since, |tick| tick.sequence);
    Ok(Json(TickPage { ticks, next }))
}

impl Context {
    fn status(&self, name: &str) -> Result<ServiceStatus, Problem> {
        let known = name.parse().ok().and_then(|name| self.board.service_status(&name));
        known.ok_or_else(|| {
            let message = format!("There is no service {name:?}; GET /v1/services lists them.");
            Problem::new(StatusCode::NOT_FOUND, "no_such_service", message)
        })
    }

    /// Whether the host has slots for all services when this one has these bounds.
    fn fits(&self, service: &ServiceName, bounds: Bounds) -> Result<(), SlotsError> {
        let in_force = |spec: &policy::spec::ServiceSpec| {
            if spec.name == *service { bounds } else { self.board.bounds(spec) }
        };
        self.services.slots(in_force).map(drop)
    }
}
