//! What changes a service as a whole, by the API: deploys, the way back, its file, and its end. Each is a job.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use host::deployments::{Deployment, DeploymentError, Origin};
use host::jobs::{Job, Work};
use model::access::Who;
use model::job::{JobStatus, StopAnswer};
use model::names::{NameError, ServiceName};
use model::value::Plain;
use model::version::{Version, VersionList};
use serde::Deserialize;
use service::json_body::JsonBody;
use service::path::Path;
use service::problem::Problem;

use super::jobs::{Asked, accepted, ask, location, on_disk, refused};
use super::{Answer, CalledBy, Shared, deployed, no_such_service};
use crate::clock::now;
use crate::jobs::{ARCHIVE_MAX_BYTES, Refused};
use crate::shared_state::SharedState;

/// What has to be said by who has everything taken down.
const STOP: &str = "stop everything";

/// Whether an archive may take the place of what is deployed from a folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployQuery {
    #[serde(default)]
    replace: bool,
}

/// An archive with the files of an application.
pub(super) async fn deploy(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    query: Result<Query<DeployQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Asked<JobStatus> {
    let who = caller.deploys(name.parse().ok().as_ref())?;
    let service = service_name(&name)?;
    let Query(DeployQuery { replace }) =
        query.map_err(|_| bad_query("replace is true or false"))?;
    let is_gzip = is_gzip(&headers)?;
    check_length(&headers)?;
    let owned = service.clone();
    on_disk(&shared, move |desk| {
        check_owner(&deployment_of(desk.deployment())?, &owned, replace)?;
        desk.is_free(&owned).map_err(refused)
    })
    .await??;
    let id = shared.desk().draw();
    let upload = shared.desk().take(id, body).await.map_err(refused)?;
    let work = Work::Archive { is_gzip, replaces: replace };
    let job = Job::new(id, Some(service), work, who, now());
    Ok(accepted(ask(&shared, job, Some(upload)).await?))
}

/// Whether the body is compressed.
///
/// # Errors
/// 415 where it is said to be something else than an archive.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    // RFC 9110, 8.3.1: parameters may follow, and case does not count.
    let kind = given.map(|text| text.split(';').next().unwrap_or_default().trim());
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("application/gzip" | "application/x-gzip") => Ok(true),
        Some("application/x-tar") => Ok(false),
        _ => {
            let message = "Send the files of the application as a tar archive, with Content-Type: application/x-tar, or \
                           application/gzip where it is compressed.";
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no_archive", message))
        }
    }
}

/// Refuses what says that it is too large before anything of it comes.
fn check_length(headers: &HeaderMap) -> Result<(), Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: Option<u64> = length.and_then(|text| text.parse().ok());
    match length {
        Some(length) if length > ARCHIVE_MAX_BYTES => Err(refused(Refused::TooLarge)),
        _ => Ok(()),
    }
}

/// Refuses a name that is another's.
fn check_owner(
    deployment: &Deployment,
    service: &ServiceName,
    replaces: bool,
) -> Result<(), Problem> {
    match deployment.origin(service) {
        Some(Origin::Folder(folder)) if !replaces => {
            let message = format!(
                "{service} is deployed from {}: use another name, or ?replace=true to put the archive in the place of that.",
                folder.display()
            );
            Err(Problem::new(StatusCode::CONFLICT, "of_a_folder", message))
        }
        Some(_) => Ok(()),
        None if deployment.names().any(|name| name == service) => {
            Err(of_a_file(service, "change that file and run `bellows up`, or use another name"))
        }
        None => Ok(()),
    }
}

/// A service that a file of the tree describes.
pub(super) fn of_a_file(service: &ServiceName, cure: &str) -> Problem {
    let message = format!("services/{service}.toml describes {service}: {cure}.");
    Problem::new(StatusCode::CONFLICT, "of_a_file", message)
}

/// To which version to go back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackBody {
    #[serde(default)]
    version: Option<Version>,
    #[serde(default)]
    revision: bool,
}

impl Plain for RollbackBody {}

pub(super) async fn rollback(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    JsonBody(RollbackBody { version, revision }): JsonBody<RollbackBody>,
) -> Asked<JobStatus> {
    let who = caller.deploys(name.parse().ok().as_ref())?;
    let service = deployed(&shared, &caller, &name)?.spec.name.clone();
    let asked = service.clone();
    on_disk(&shared, move |desk| {
        let deployment = deployment_of(desk.deployment())?;
        let kept = deployment.kept(&asked).map_err(|error| not_kept(&error.to_string()))?;
        match version {
            Some(version) if kept.iter().all(|kept| kept.version != version) => {
                Err(not_kept(&format!(
                    "The version {version} of {asked} is not kept; GET /v1/services/{asked}/versions lists those that are."
                )))
            }
            _ => Ok(()),
        }
    })
    .await??;
    let work = Work::Rollback { version, revision };
    Ok(accepted(begin(&shared, Some(service), work, who).await?))
}

fn not_kept(message: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not_kept", message)
}

/// Whether what a service keeps on the host goes as well.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DestroyQuery {
    #[serde(default)]
    data: bool,
}

pub(super) async fn destroy(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    query: Result<Query<DestroyQuery>, QueryRejection>,
) -> Asked<JobStatus> {
    let who = caller.deploys(name.parse().ok().as_ref())?;
    let service = service_name(&name)?;
    let Query(DestroyQuery { data }) = query.map_err(|_| bad_query("data is true or false"))?;
    let asked = service.clone();
    on_disk(&shared, move |desk| {
        let deployment = deployment_of(desk.deployment())?;
        let is_deployed = deployment.names().any(|name| *name == asked);
        match deployment.folders().any(|(name, _)| *name == asked) {
            true => Ok(()),
            false if is_deployed => Err(of_a_file(&asked, "remove that file and run `bellows up`")),
            // What a first deploy left that failed.
            false if desk.has_left(&asked) => Ok(()),
            false => Err(no_such_service(asked.as_str())),
        }
    })
    .await??;
    Ok(accepted(begin(&shared, Some(service), Work::Destroy { data }, who).await?))
}

/// What has to be said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StopBody {
    confirm: String,
}

impl Plain for StopBody {}

pub(super) async fn stop(
    State(shared): Shared,
    Extension(caller): CalledBy,
    JsonBody(StopBody { confirm }): JsonBody<StopBody>,
) -> Asked<StopAnswer> {
    let who = caller.does_all()?;
    if confirm != STOP {
        let message = format!(
            "Everything would be taken down: say {{\"confirm\":\"{STOP}\"}} if that is meant."
        );
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not_confirmed", message));
    }
    let job = begin(&shared, None, Work::Stop, who).await?;
    let message = "Everything is taken down, this API among it: nothing more can be asked of the job here. `bellows status` on \
                   the host shows what is left, and `bellows up` brings it up again.";
    let answer = StopAnswer { job, message: message.to_owned() };
    Ok((StatusCode::ACCEPTED, location(answer.job.id), Json(answer)))
}

pub(super) async fn versions(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Answer<VersionList> {
    let deployed = deployed(&shared, &caller, &name)?;
    let rollout = shared.service_status(&deployed).rollout.ok_or_else(|| {
        let message = format!("{name} has had no turn yet: ask again in a second.");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_turn_yet", message)
    })?;
    let listed = on_disk(&shared, move |desk| {
        let deployment = deployment_of(desk.deployment())?;
        // It may have gone since.
        let name = &deployed.spec.name;
        deployment.versions(name, &rollout).map_err(|_| no_such_service(name.as_str()))
    });
    Ok(Json(listed.await??))
}

/// Begins a job.
pub(super) async fn begin(
    shared: &Arc<SharedState>,
    service: Option<ServiceName>,
    work: Work,
    who: Who,
) -> Result<JobStatus, Problem> {
    let id = shared.desk().draw();
    ask(shared, Job::new(id, service, work, who, now()), None).await
}

pub(super) fn deployment_of(
    read: Result<Deployment, DeploymentError>,
) -> Result<Deployment, Problem> {
    read.map_err(|error| Problem::internal(&error))
}

pub(super) fn service_name(text: &str) -> Result<ServiceName, Problem> {
    text.parse().map_err(|error: NameError| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_name", error.to_string())
    })
}

fn bad_query(allowed: &str) -> Problem {
    let message = format!("The query is not understood: {allowed}, given once at most.");
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
}
