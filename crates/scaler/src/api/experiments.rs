//! Experiments by the API: each is a job, which offers load as a program without rights.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use host::jobs::Work;
use model::experiment::Experiment;
use model::job::JobStatus;
use model::policies::PolicyKind;
use service::json_body::JsonBody;
use service::path::Path;
use service::problem::Problem;

use super::jobs::{Asked, accepted, known, on_disk};
use super::{CalledBy, Shared, deploys, operated};

/// The word for the policy of a service's own file.
const DEFAULT: &str = "default";

pub(super) async fn begin(
    State(shared): Shared,
    Extension(caller): CalledBy,
    JsonBody(asked): JsonBody<Experiment>,
) -> Asked<JobStatus> {
    let sought = asked.clone();
    let (service, has_policy) = on_disk(&shared, move |desk| {
        let word = sought.policy.as_deref().unwrap_or(DEFAULT);
        let is_kind = word == DEFAULT || word.parse::<PolicyKind>().is_ok();
        (desk.service_of(&sought.scenario), is_kind || desk.has_policy(word))
    })
    .await?;
    let service = service.ok_or_else(|| {
        unknown(format!(
            "scenario: there is no scenario {} in the release in force; GET /v1/scenarios lists those that are.",
            asked.scenario
        ))
    })?;
    let (who, deployed) = operated(&shared, &caller, &service)?;
    if !has_policy {
        return Err(unknown(format!(
            "policy: there is no policy {}; GET /v1/scenarios lists those that are.",
            asked.policy.unwrap_or_default()
        )));
    }
    let of_host = caller.operates(None).is_ok();
    let service = deployed.spec.name.clone();
    let work = Work::Experiment { asked, of_host };
    Ok(accepted(deploys::begin(&shared, Some(service), work, who).await?))
}

fn unknown(message: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", message)
}

pub(super) async fn interrupt(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(id): Path<String>,
) -> Asked<JobStatus> {
    let kept = known(&shared, &caller, &id).await?;
    caller.operates(kept.job.service.as_ref())?;
    let (status, id) = (kept.status(), kept.job.id);
    let asked = on_disk(&shared, move |desk| desk.interrupt(&kept)).await?;
    if !asked.map_err(|error| Problem::internal(&error))? {
        let message = format!(
            "The job {id} cannot be ended before its time: it is no experiment, or has ended."
        );
        return Err(Problem::new(StatusCode::CONFLICT, "not_interruptible", message));
    }
    Ok(accepted(status))
}
