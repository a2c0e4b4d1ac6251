//! The bounds of a service, by the API.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use host::deployments::DeployedService;
use model::bounds::Bounds;
use model::names::ServiceName;
use model::status::ServiceStatus;
use policy::memory_pool::{self, MemoryNeed};
use policy::slots;
use service::json_body::JsonBody;
use service::path::Path;
use service::problem::Problem;

use super::setting::{IfMatch, Setting};
use super::{Answer, CalledBy, JsonText, Shared, Tagged, change, deployed, not_written, shown};
use crate::shared_state::SharedState;

pub(super) async fn get(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Result<JsonText, Problem> {
    shown(&shared, &caller, &name, |spec| Setting::Bounds(spec))
}

pub(super) async fn set(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    condition: IfMatch,
    JsonBody(bounds): JsonBody<Bounds>,
) -> Tagged<ServiceStatus> {
    let set = move |shared: &SharedState, who, deployed: &DeployedService| {
        allowed(shared, deployed, bounds)?;
        shared.set_bounds(who, &deployed.spec, Some(bounds)).map_err(not_written)
    };
    change(&shared, &caller, &name, (condition, |spec| Setting::Bounds(spec)), set).await
}

pub(super) async fn clear(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    condition: IfMatch,
) -> Tagged<ServiceStatus> {
    let set = |shared: &SharedState, who, deployed: &DeployedService| {
        shared.set_bounds(who, &deployed.spec, None).map_err(not_written)
    };
    change(&shared, &caller, &name, (condition, |spec| Setting::Bounds(spec)), set).await
}

/// Says whether bounds could be set, and sets nothing.
pub(super) async fn check(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    JsonBody(bounds): JsonBody<Bounds>,
) -> Answer<Bounds> {
    let deployed = deployed(&shared, &caller, &name)?;
    allowed(&shared, &deployed, bounds)?;
    Ok(axum::Json(bounds))
}

fn allowed(
    shared: &SharedState,
    deployed: &DeployedService,
    bounds: Bounds,
) -> Result<(), Problem> {
    deployed.spec.replacement.allows(bounds).map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "one_instance", error.to_string())
    })?;
    fits(shared, &deployed.spec.name, bounds)
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
