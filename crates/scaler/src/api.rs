//! The HTTP API, version 1: what the loop sees and does, and what an operator sets:
//! bounds, policies and the way of membership.

use std::io;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use host::deployments::DeployedService;
use model::bounds::Bounds;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::status::{HostStatus, Membership, MembershipStatus, ServiceStatus, TickPage};
use model::value::{Checked, Invalid};
use policy::memory_pool::{self, MemoryNeed};
use policy::slots;
use serde::Deserialize;
use service::json_body::JsonBody;
use service::problem::Problem;

use crate::shared_state::SharedState;

/// Ticks that one answer holds unless `limit` says otherwise, and at most: about 1 MB.
const TICKS_MAX: usize = 1000;

/// A body of bounds is some 30 bytes; a policy with a schedule of some hundred entries, 10 kB.
const BODY_MAX_BYTES: usize = 65_536;

type Shared = State<Arc<SharedState>>;
type Answer<T> = Result<Json<T>, Problem>;

/// The whole API.
pub(crate) fn routes(shared: Arc<SharedState>) -> Router {
    let api = Router::new()
        .route("/v1/services", get(all_services))
        .route("/v1/services/{name}", get(one_service))
        .route("/v1/services/{name}/bounds", put(set_bounds).delete(clear_bounds))
        .route("/v1/services/{name}/policy", put(set_policy).delete(clear_policy))
        .route("/v1/membership", get(membership).put(set_membership).delete(clear_membership))
        .route("/v1/ticks", get(ticks))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(shared);
    service::problem::guard(api)
}

async fn all_services(State(shared): Shared) -> Json<HostStatus> {
    Json(shared.host_status())
}

async fn one_service(State(shared): Shared, Path(name): Path<String>) -> Answer<ServiceStatus> {
    Ok(Json(shared.service_status(&*deployed(&shared, &name)?)))
}

async fn set_bounds(
    State(shared): Shared,
    Path(name): Path<String>,
    JsonBody(bounds): JsonBody<Bounds>,
) -> Answer<ServiceStatus> {
    let deployed = deployed(&shared, &name)?;
    deployed.spec.replacement.allows(bounds).map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "one_instance", error.to_string())
    })?;
    fits(&shared, &deployed.spec.name, bounds)?;
    shared.set_bounds(&deployed.spec, Some(bounds)).map_err(not_written)?;
    Ok(Json(shared.service_status(&deployed)))
}

async fn clear_bounds(State(shared): Shared, Path(name): Path<String>) -> Answer<ServiceStatus> {
    let deployed = deployed(&shared, &name)?;
    shared.set_bounds(&deployed.spec, None).map_err(not_written)?;
    Ok(Json(shared.service_status(&deployed)))
}

async fn set_policy(
    State(shared): Shared,
    Path(name): Path<String>,
    JsonBody(policy): JsonBody<PolicySpec>,
) -> Answer<ServiceStatus> {
    let deployed = deployed(&shared, &name)?;
    deployed.spec.check_policy(&policy).map_err(|invalid| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", invalid.to_string())
    })?;
    shared.set_policy(&deployed.spec, Some(policy)).map_err(not_written)?;
    Ok(Json(shared.service_status(&deployed)))
}

async fn clear_policy(State(shared): Shared, Path(name): Path<String>) -> Answer<ServiceStatus> {
    let deployed = deployed(&shared, &name)?;
    shared.set_policy(&deployed.spec, None).map_err(not_written)?;
    Ok(Json(shared.service_status(&deployed)))
}

/// A service as its file describes it.
fn deployed(shared: &SharedState, name: &str) -> Result<Arc<DeployedService>, Problem> {
    let deployed = name.parse().ok().and_then(|name| shared.services().get(&name));
    deployed.ok_or_else(|| {
        let message = format!("There is no service {name:?}; GET /v1/services lists them.");
        Problem::new(StatusCode::NOT_FOUND, "no_such_service", message)
    })
}

/// Whether the host has slots and memory for what all services always need when this one has these
/// bounds.
fn fits(shared: &SharedState, service: &ServiceName, bounds: Bounds) -> Result<(), Problem> {
    let services = shared.services().all();
    let lower_bounds = services.values().map(|deployed| {
        let spec = &deployed.spec;
        let now = if spec.name == *service { bounds } else { shared.bounds(spec) };
        let instance_mib = spec.instance.memory_mib;
        MemoryNeed { service: &spec.name, instances: now.min(), instance_mib }
    });
    let refused = |code, error: &dyn std::error::Error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    };
    let last_slot = shared.services().subnet().last_slot();
    slots::suffice(lower_bounds.clone().map(|need| (need.service, need.instances)), last_slot)
        .map_err(|error| refused("too_many_slots", &error))?;
    memory_pool::suffice(lower_bounds, shared.memory_mib())
        .map_err(|error| refused("too_little_memory", &error))
}

async fn membership(State(shared): Shared) -> Json<MembershipStatus> {
    Json(shared.membership())
}

/// The body that sets the way of membership.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MembershipBody {
    membership: Membership,
}

impl Checked for MembershipBody {
    type Raw = Self;

    fn from_raw(raw: Self) -> Result<Self, Invalid> {
        Ok(raw)
    }
}

async fn set_membership(
    State(shared): Shared,
    JsonBody(MembershipBody { membership }): JsonBody<MembershipBody>,
) -> Answer<MembershipStatus> {
    shared.set_membership(Some(membership)).map_err(not_written)?;
    Ok(Json(shared.membership()))
}

async fn clear_membership(State(shared): Shared) -> Answer<MembershipStatus> {
    shared.set_membership(None).map_err(not_written)?;
    Ok(Json(shared.membership()))
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
    State(shared): Shared,
    query: Result<Query<TicksQuery>, QueryRejection>,
) -> Answer<TickPage> {
    let Query(TicksQuery { since, limit }) = query.map_err(|_| {
        let message = "The query is not understood: since (a tick's sequence number) and limit are \
                       whole numbers, each given once at most.";
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
    })?;
    let limit = limit.unwrap_or(TICKS_MAX).min(TICKS_MAX);
    let ticks = shared.ticks(since, limit);
    let next = ticks.last().map_or(since, |tick| tick.sequence);
    Ok(Json(TickPage { ticks, next }))
}

/// What an operator set could not be kept.
fn not_written(error: io::Error) -> Problem {
    tracing::error!(%error, "what was set could not be written");
    let message =
        "It could not be written below paths.state, and nothing was changed: check the disk.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not_written", message)
}
