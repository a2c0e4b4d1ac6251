//! Experiments: what was asked for, what came of it, and the files that it left. The scaler starts and ends them.

mod files;
mod shown;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use host::files::FileError;
use model::experiment::ExperimentRecord;
use model::job::{JobId, JobKind, JobList, JobStatus};
use model::names::ServiceName;
use service::path::Path;
use service::problem::Problem;

use super::asker::Asker;
use super::query::Fields;
use super::{Answer, Known, Shared};

pub(super) use files::{of_run, report};
pub(crate) use shown::{
    Headlines, Listed, ShownExperiment, ShownExperiments, ShownScenarios, State as Progress,
};

/// All that are kept and that whoever asks may see, the newest first, and what goes on.
#[derive(Debug, Clone)]
pub(crate) struct Experiments {
    pub(crate) listed: Vec<Listed>,
    /// The jobs that there are, or why that is not known.
    pub(crate) jobs: Result<JobList, String>,
}

impl Experiments {
    /// The one that goes on, where there is one and whoever asks may know of it.
    pub(crate) fn under_way(&self) -> Option<&JobStatus> {
        let jobs = self.jobs.as_ref().ok()?;
        jobs.jobs.iter().find(|job| job.kind == JobKind::Experiment && job.outcome.is_none())
    }
}

/// Finds all of them.
///
/// # Errors
/// The disk refuses.
pub(crate) async fn all(known: &Known, asker: &Asker) -> Result<Experiments, Problem> {
    let records = known.experiments.list().await.map_err(|error| unread(&error))?;
    known.experiments.forget_all_but(&records);
    let jobs = jobs(known, asker).await;
    let mut listed = Vec::new();
    for record in records.into_iter().filter(|it| asker.sees(&it.service).is_ok()) {
        let state = Progress::of(&record, &jobs);
        let figures = match state {
            Progress::Ended | Progress::CutOff => {
                Headlines::of(&known.experiments.summaries(&record).await)
            }
            Progress::UnderWay | Progress::Unknown => Headlines::default(),
        };
        listed.push(Listed { record, state, figures });
    }
    Ok(Experiments { listed, jobs })
}

/// The jobs that whoever asks may know of.
pub(crate) async fn jobs(known: &Known, asker: &Asker) -> Result<JobList, String> {
    let jobs = known.upstream.get_recent("/v1/jobs", asker.secret()).await;
    jobs.map_err(|problem| problem.message().to_owned())
}

/// What was asked for in one.
///
/// # Errors
/// There is none that whoever asks may see, or the disk refuses.
pub(crate) async fn record(
    id: &str,
    known: &Known,
    asker: &Asker,
) -> Result<ExperimentRecord, Problem> {
    let none = || {
        let message = format!("There is no experiment {id:?}; GET /v1/experiments lists them.");
        Problem::new(StatusCode::NOT_FOUND, "no_such_experiment", message)
    };
    let own: JobId = id.parse().map_err(|_| none())?;
    let record = known.experiments.record(own).await.map_err(|error| unread(&error))?;
    record.filter(|record| asker.sees(&record.service).is_ok()).ok_or_else(none)
}

fn unread(error: &FileError) -> Problem {
    Problem::internal(error)
}

/// What an instance of a service serves, in requests per second, as its file says now.
pub(crate) fn instance_rps(known: &Known, service: &ServiceName) -> Option<f64> {
    let terms = known.now.terms(service)?;
    terms.pointer("/capacity/requests_per_second")?.as_f64().filter(|rps| *rps > 0.0)
}

pub(super) async fn list(
    State(known): Shared,
    asker: Asker,
    fields: Fields,
) -> Answer<ShownExperiments> {
    fields.end("none")?;
    Ok(Json(ShownExperiments { experiments: all(&known, &asker).await?.listed }))
}

pub(super) async fn one(
    State(known): Shared,
    asker: Asker,
    Path(id): Path<String>,
    fields: Fields,
) -> Answer<ShownExperiment> {
    fields.end("none")?;
    let record = record(&id, &known, &asker).await?;
    let jobs = jobs(&known, &asker).await;
    let state = Progress::of(&record, &jobs);
    Ok(Json(ShownExperiment::of(record, state, &known).await))
}

pub(super) async fn scenarios(
    State(known): Shared,
    asker: Asker,
    fields: Fields,
) -> Answer<ShownScenarios> {
    fields.end("none")?;
    Ok(Json(ShownScenarios::of(&known, &asker)))
}

/// Whether a service is there, and whoever asks may see it.
pub(crate) fn is_deployed(service: &ServiceName, known: &Known, asker: &Asker) -> bool {
    known.now.one(service).is_some() && asker.sees(service).is_ok()
}
