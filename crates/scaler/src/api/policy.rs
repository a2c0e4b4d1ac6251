//! The policy of a service, by the API.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use host::deployments::DeployedService;
use model::policies::PolicySpec;
use model::status::ServiceStatus;
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
    shown(&shared, &caller, &name, |spec| Setting::Policy(spec))
}

pub(super) async fn set(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    condition: IfMatch,
    JsonBody(policy): JsonBody<PolicySpec>,
) -> Tagged<ServiceStatus> {
    let set = move |shared: &SharedState, who, deployed: &DeployedService| {
        allowed(deployed, &policy)?;
        shared.set_policy(who, &deployed.spec, Some(policy)).map_err(not_written)
    };
    change(&shared, &caller, &name, (condition, |spec| Setting::Policy(spec)), set).await
}

pub(super) async fn clear(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    condition: IfMatch,
) -> Tagged<ServiceStatus> {
    let set = |shared: &SharedState, who, deployed: &DeployedService| {
        shared.set_policy(who, &deployed.spec, None).map_err(not_written)
    };
    change(&shared, &caller, &name, (condition, |spec| Setting::Policy(spec)), set).await
}

/// Says whether a policy could be set, with every figure that it would have, and sets nothing.
pub(super) async fn check(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    JsonBody(policy): JsonBody<PolicySpec>,
) -> Answer<PolicySpec> {
    allowed(&*deployed(&shared, &caller, &name)?, &policy)?;
    Ok(Json(policy))
}

fn allowed(deployed: &DeployedService, policy: &PolicySpec) -> Result<(), Problem> {
    deployed.spec.check_policy(policy).map_err(|invalid| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", invalid.to_string())
    })
}
