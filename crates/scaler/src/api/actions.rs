//! The actions that a service's file declares, by the API.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use model::access::Changed;
use model::names::ActionName;
use model::service::{ActionAnswer, ServiceActions};
use model::value::Plain;
use serde::Deserialize;
use service::json_body::JsonBody;
use service::path::Path;
use service::problem::Problem;

use super::jobs::{note, to_its_end};
use super::{Answer, CalledBy, Shared, deployed, operated};
use crate::actions::NotDone;

pub(super) async fn list(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Answer<ServiceActions> {
    let actions = deployed(&shared, &caller, &name)?.spec.actions.clone();
    Ok(Json(ServiceActions { actions }))
}

/// What has to be said by who has an action done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmBody {
    confirm: String,
}

impl Plain for ConfirmBody {}

pub(super) async fn send(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path((name, action)): Path<(String, String)>,
    JsonBody(ConfirmBody { confirm }): JsonBody<ConfirmBody>,
) -> Answer<ActionAnswer> {
    let (who, deployed) = operated(&shared, &caller, &name)?;
    let spec = &deployed.spec;
    let known = action.parse::<ActionName>().ok().filter(|name| spec.actions.contains_key(name));
    let (Some(action), Some(route)) = (known, spec.route()) else {
        let message = format!(
            "{name} has no action {action:?}; GET /v1/services/{name}/actions lists those that its file declares."
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_action", message));
    };
    if confirm != name {
        let message = format!(
            "{action} changes {name} for good: say {{\"confirm\":\"{name}\"}} if it is meant."
        );
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not_confirmed", message));
    }
    let (route, request) = (route.clone(), spec.actions[&action].clone());
    let service = spec.name.clone();
    to_its_end(async move {
        let sent = shared.actions().send(&route, &request).await;
        if let Err(NotDone::TooMany) = &sent {
            let message = NotDone::TooMany.to_string();
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_actions", message));
        }
        let status = sent.as_ref().ok().map(|answer| answer.status);
        note(&shared, who, Changed::Action { service, action, status }).await?;
        answered(sent)
    })
    .await
}

fn answered(sent: Result<ActionAnswer, NotDone>) -> Answer<ActionAnswer> {
    sent.map(Json)
        .map_err(|error| Problem::new(StatusCode::BAD_GATEWAY, "no_answer", error.to_string()))
}
