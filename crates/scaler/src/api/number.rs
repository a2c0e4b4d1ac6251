//! An operator's hand on the number of a service's instances: held, one more, one fewer, or without one of them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use host::deployments::DeployedService;
use model::access::Who;
use model::bounds::Bounds;
use model::hold::{HoldRequest, HoldTime};
use model::names::InstanceName;
use model::service::ServiceSpec;
use model::status::ServiceStatus;
use service::json_body::JsonBody;
use service::path::Path;
use service::problem::Problem;

use super::setting::{IfMatch, Setting};
use super::{CalledBy, JsonText, Shared, Tagged, change, not_written, shown};
use crate::access::Caller;
use crate::shared_state::SharedState;

pub(super) async fn held(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Result<JsonText, Problem> {
    shown(&shared, &caller, &name, |spec| Setting::Hold(spec))
}

pub(super) async fn hold(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    condition: IfMatch,
    JsonBody(asked): JsonBody<HoldRequest>,
) -> Tagged<ServiceStatus> {
    change_hold(&shared, &caller, &name, condition, move |shared, who, deployed| {
        hold_within_bounds(shared, who, &deployed.spec, asked)
    })
    .await
}

pub(super) async fn release(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    condition: IfMatch,
) -> Tagged<ServiceStatus> {
    change_hold(&shared, &caller, &name, condition, |shared, who, deployed| {
        shared.set_hold(who, &deployed.spec, None).map_err(not_written)
    })
    .await
}

pub(super) async fn add(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    condition: IfMatch,
) -> Tagged<ServiceStatus> {
    change_hold(&shared, &caller, &name, condition, |shared, who, deployed| {
        let ready = decided(&shared.service_status(deployed))?.saturating_add(1);
        let asked = HoldRequest { ready, lasts: HoldTime::default() };
        hold_within_bounds(shared, who, &deployed.spec, asked)
    })
    .await
}

pub(super) async fn remove_idlest(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    condition: IfMatch,
) -> Tagged<ServiceStatus> {
    change_hold(&shared, &caller, &name, condition, |shared, who, deployed| {
        let ready = decided(&shared.service_status(deployed))?.saturating_sub(1);
        if ready == 0 {
            return Err(would_be_none(&deployed.spec));
        }
        let asked = HoldRequest { ready, lasts: HoldTime::default() };
        hold_within_bounds(shared, who, &deployed.spec, asked)
    })
    .await
}

/// Takes note that an instance is to be removed; the loop does it.
pub(super) async fn remove(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path((name, instance)): Path<(String, String)>,
) -> Result<(StatusCode, Json<ServiceStatus>), Problem> {
    let done = change_hold(
        &shared,
        &caller,
        &name,
        IfMatch::none(),
        move |shared, who, deployed| {
            let status = shared.service_status(deployed);
            let asked: Option<InstanceName> = instance.parse().ok();
            let known = asked.filter(|asked| status.instances.iter().any(|it| it.name == *asked));
            let Some(known) = known else {
                let name = &deployed.spec.name;
                let message = format!(
                    "There is no instance {instance:?} of {name}; GET /v1/services/{name} lists them."
                );
                return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_instance", message));
            };
            shared.ask_removal(who, known).map_err(not_written)
        },
    );
    let (_, status) = done.await?;
    Ok((StatusCode::ACCEPTED, status))
}

/// Changes what stands of a service where the condition holds for what it is held at.
async fn change_hold(
    shared: &Arc<SharedState>,
    caller: &Caller,
    name: &str,
    condition: IfMatch,
    set: impl FnOnce(&SharedState, Who, &DeployedService) -> Result<(), Problem> + Send + 'static,
) -> Tagged<ServiceStatus> {
    change(shared, caller, name, (condition, |spec| Setting::Hold(spec)), set).await
}

/// How many ready instances are decided on for a service now.
fn decided(status: &ServiceStatus) -> Result<u32, Problem> {
    if let Some(hold) = status.hold {
        return Ok(hold.within(status.bounds).ready);
    }
    let tick = status.tick.as_ref().ok_or_else(|| {
        let message = "The scaler has not looked at the service yet: ask again in a second.";
        Problem::new(StatusCode::CONFLICT, "not_seen_yet", message)
    })?;
    Ok(tick.target().unwrap_or(status.phases.ready))
}

fn hold_within_bounds(
    shared: &SharedState,
    who: Who,
    spec: &ServiceSpec,
    asked: HoldRequest,
) -> Result<(), Problem> {
    let bounds = shared.bounds(spec);
    if !(bounds.min()..=bounds.max()).contains(&asked.ready) {
        return Err(out_of_bounds(spec, bounds, asked.ready));
    }
    shared.set_hold(who, spec, Some(asked)).map_err(not_written)
}

/// The number lies without the bounds in force: which command sets others that allow it, if any may.
fn out_of_bounds(spec: &ServiceSpec, bounds: Bounds, ready: u32) -> Problem {
    let (min, max) = (bounds.min(), bounds.max());
    let may = format!("{} may have {min} to {max} ready instances, and not {ready}", spec.name);
    let wider = Bounds::new(min.min(ready), max.max(ready));
    let cure = match wider.and_then(|wider| spec.replacement.allows(wider).map(|()| wider)) {
        Ok(wider) => format!(
            "`bellows bounds {} {} {}` sets bounds that allow it",
            spec.name,
            wider.min(),
            wider.max()
        ),
        Err(error) => error.to_string(),
    };
    let message = format!("{may}: {cure}.");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "out_of_bounds", message)
}

/// That a service has no instance at all is nothing that happens by counting down.
fn would_be_none(spec: &ServiceSpec) -> Problem {
    let name = &spec.name;
    let message = format!(
        "{name} would be held at no instance, and answer nobody: `bellows scale {name} 0` does that, if it is meant."
    );
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "would_be_none", message)
}
