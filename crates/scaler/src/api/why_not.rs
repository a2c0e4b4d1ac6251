//! What stands between a service and another number of ready instances.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use model::bounds::Bounds;
use model::service::Replacement;
use model::why_not::WhyNot;
use policy::why_not::why_not;
use serde::Deserialize;
use service::path::Path;
use service::problem::Problem;

use super::{Answer, CalledBy, Shared, deployed};

/// Which number is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadyQuery {
    ready: u32,
}

pub(super) async fn ask(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    query: Result<Query<ReadyQuery>, QueryRejection>,
) -> Answer<WhyNot> {
    let deployed = deployed(&shared, &caller, &name)?;
    let Query(ReadyQuery { ready }) = query.map_err(|_| {
        let message =
            "The query is not understood: ready is a whole number of instances, given once.";
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
    })?;
    let refused = |code, message| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, message);
    let most = match deployed.spec.replacement {
        Replacement::Surge => Bounds::MAX_INSTANCES,
        Replacement::Recreate => 1,
    };
    if ready > most {
        return Err(match deployed.spec.replacement {
            Replacement::Surge => refused(
                "too_many",
                format!("ready is {ready}: no service has more than {most} instances."),
            ),
            Replacement::Recreate => refused(
                "one_instance",
                format!(
                    "ready is {ready}: {name} never has two instances, since its file says \
                     rollout.replacement = \"recreate\", or stateful = true."
                ),
            ),
        });
    }
    let status = shared.service_status(&deployed);
    let Some(tick) = status.tick else {
        let message = format!("{name} has had no turn yet: ask again in a second.");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_turn_yet", message));
    };
    let shared = Arc::clone(&shared);
    // A policy is asked some ten thousand times at most: not on the thread of the loop.
    let asked = move || why_not(&shared.in_force(&deployed.spec), &tick, ready);
    let answer = tokio::task::spawn_blocking(asked).await;
    answer.map(Json).map_err(|error| Problem::internal(&error))
}
