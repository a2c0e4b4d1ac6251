//! The HTTP API, version 1: what the loop sees and does, and what an operator sets:
//! bounds, policies and the way of membership.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use model::bounds::Bounds;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::service::ServiceSpec;
use model::status::{HostStatus, Membership, MembershipStatus, ServiceStatus, TickPage};
use policy::slots::SlotsError;
use serde::Deserialize;
use service::json_body::JsonBody;
use service::problem::Problem;

use crate::services::Services;
use crate::shared_state::SharedState;

/// Ticks that one answer holds unless `limit` says otherwise, and at most: about 1 MB.
const TICKS_MAX: usize = 1000;

/// A body of bounds is some 30 bytes; a policy with a schedule of some hundred entries, 10 kB.
const BODY_MAX_BYTES: usize = 65_536;

/// What every handler works on.
#[derive(Debug, Clone)]
struct Context {
    shared: Arc<SharedState>,
    services: Arc<Services>,
}

/// The whole API.
pub(crate) fn routes(shared: Arc<SharedState>, services: Arc<Services>) -> Router {
    let api = Router::new()
        .route("/v1/services", get(all_services))
        .route("/v1/services/{name}", get(one_service))
        .route("/v1/services/{name}/bounds", put(set_bounds).delete(clear_bounds))
        .route("/v1/services/{name}/policy", put(set_policy).delete(clear_policy))
        .route("/v1/membership", get(membership).put(set_membership).delete(clear_membership))
        .route("/v1/ticks", get(ticks))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(Context { shared, services });
    service::problem::guard(api)
}

async fn all_services(State(context): State<Context>) -> Json<HostStatus> {
    Json(context.shared.host_status())
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
    JsonBody(bounds): JsonBody<Bounds>,
) -> Result<Json<ServiceStatus>, Problem> {
    let spec = context.spec(&name)?;
    context.fits(&spec.name, bounds).map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_slots", error.to_string())
    })?;
    context.shared.set_bounds(spec, Some(bounds)).map_err(not_written)?;
    context.status(&name).map(Json)
}

async fn clear_bounds(
    State(context): State<Context>,
    Path(name): Path<String>,
) -> Result<Json<ServiceStatus>, Problem> {
    context.shared.set_bounds(context.spec(&name)?, None).map_err(not_written)?;
    context.status(&name).map(Json)
}

async fn set_policy(
    State(context): State<Context>,
    Path(name): Path<String>,
    JsonBody(policy): JsonBody<PolicySpec>,
) -> Result<Json<ServiceStatus>, Problem> {
    context.shared.set_policy(context.spec(&name)?, Some(policy)).map_err(not_written)?;
    context.status(&name).map(Json)
}

async fn clear_policy(
    State(context): State<Context>,
    Path(name): Path<String>,
) -> Result<Json<ServiceStatus>, Problem> {
    context.shared.set_policy(context.spec(&name)?, None).map_err(not_written)?;
    context.status(&name).map(Json)
}

async fn membership(State(context): State<Context>) -> Json<MembershipStatus> {
    Json(context.shared.membership())
}

/// The body that sets the way of membership.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MembershipBody {
    membership: Membership,
}

async fn set_membership(
    State(context): State<Context>,
    body: Result<Json<MembershipBody>, JsonRejection>,
) -> Result<Json<MembershipStatus>, Problem> {
    let Json(MembershipBody { membership }) = body?;
    context.shared.set_membership(Some(membership)).map_err(not_written)?;
    Ok(Json(context.shared.membership()))
}

async fn clear_membership(
    State(context): State<Context>,
) -> Result<Json<MembershipStatus>, Problem> {
    context.shared.set_membership(None).map_err(not_written)?;
    Ok(Json(context.shared.membership()))
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
    let Query(TicksQuery { since, limit }) = query.map_err(|_| bad_ticks_query())?;
    let limit = limit.unwrap_or(TICKS_MAX).min(TICKS_MAX);
    let ticks = context.shared.ticks(since, limit);
    let next = ticks.last().map_or(since, |tick| tick.sequence);
    Ok(Json(TickPage { ticks, next }))
}

fn bad_ticks_query() -> Problem {
    let message = "The query is not understood: since (a tick's sequence number) and limit are whole \
                   numbers, each given once at most.";
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
}

fn no_such_service(name: &str) -> Problem {
    let message = format!("There is no service {name:?}; GET /v1/services lists them.");
    Problem::new(StatusCode::NOT_FOUND, "no_such_service", message)
}

/// What an operator set could not be kept.
fn not_written(error: io::Error) -> Problem {
    tracing::error!(%error, "what was set could not be written");
    let message =
        "It could not be written below paths.state, and nothing was changed: check the disk.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not_written", message)
}

impl Context {
    fn status(&self, name: &str) -> Result<ServiceStatus, Problem> {
        let known = name.parse().ok().and_then(|name| self.shared.service_status(&name));
        known.ok_or_else(|| no_such_service(name))
    }

    /// A service as its file describes it.
    fn spec(&self, name: &str) -> Result<&ServiceSpec, Problem> {
        let deployed = name.parse().ok().and_then(|name| self.services.get(&name));
        deployed.map(|deployed| &deployed.spec).ok_or_else(|| no_such_service(name))
    }

    /// Whether the host has slots for all services when this one has these bounds.
    fn fits(&self, service: &ServiceName, bounds: Bounds) -> Result<(), SlotsError> {
        let in_force = |spec: &ServiceSpec| {
            if spec.name == *service { bounds } else { self.shared.bounds(spec) }
        };
        self.services.slots(in_force).map(drop)
    }
}
