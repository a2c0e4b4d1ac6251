//! The jobs, by the API: those that are kept, how far each has come, and what it wrote.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::{Extension, Json};
use host::jobs::{Job, KeptJob};
use model::access::{Changed, Right, Who};
use model::job::{JobId, JobList, JobStatus};
use model::names::ServiceName;
use serde::Deserialize;
use service::path::Path;
use service::problem::Problem;

use super::{Answer, CalledBy, Shared, apart, not_written};
use crate::access::{Caller, too_few_rights, unauthorized};
use crate::jobs::{ARCHIVE_MAX_BYTES, JobDesk, Refused, Upload};
use crate::shared_state::SharedState;

/// The answer to who has asked for a job.
pub(super) type Asked<T> = Result<(StatusCode, [(HeaderName, HeaderValue); 1], Json<T>), Problem>;

/// Which jobs to tell of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    service: Option<ServiceName>,
}

pub(super) async fn list(
    State(shared): Shared,
    Extension(caller): CalledBy,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer<JobList> {
    let Query(ListQuery { service }) = query.map_err(|_| {
        let message = "The query is not understood: service is the name of a service, given once.";
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
    })?;
    let jobs = on_disk(&shared, |desk| desk.list()).await?;
    let jobs = jobs.map_err(|error| Problem::internal(&error))?;
    let of_service = |kept: &&KeptJob| service.is_none() || kept.job.service == service;
    let seen = jobs.iter().filter(of_service).filter(|kept| sees(&caller, &kept.job));
    Ok(Json(JobList { jobs: seen.map(|kept| told(kept, &caller)).collect() }))
}

pub(super) async fn one(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(id): Path<String>,
) -> Answer<JobStatus> {
    Ok(Json(told(&known(&shared, &caller, &id).await?, &caller)))
}

/// From which byte on to tell what it wrote.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    #[serde(default)]
    after: u64,
}

type Text = ([(HeaderName, &'static str); 2], Vec<u8>);

pub(super) async fn log(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(id): Path<String>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Text, Problem> {
    let kept = known(&shared, &caller, &id).await?;
    reads_log(&caller, kept.job.service.as_ref())?;
    let Query(LogQuery { after }) = query.map_err(|_| {
        let message = "The query is not understood: after is a number of bytes, given once.";
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
    })?;
    let read = on_disk(&shared, move |desk| desk.log_after(kept.job.id, after)).await?;
    let text = read.map_err(|error| Problem::internal(&error))?;
    let kind = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
    Ok(([kind, (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text))
}

/// A job that the caller sees.
pub(super) async fn known(
    shared: &Arc<SharedState>,
    caller: &Caller,
    text: &str,
) -> Result<KeptJob, Problem> {
    let id: Option<JobId> = text.parse().ok();
    let kept = match id {
        Some(id) => on_disk(shared, move |desk| desk.get(id)).await?,
        None => Ok(None),
    };
    let kept = kept.map_err(|error| Problem::internal(&error))?;
    kept.filter(|kept| sees(caller, &kept.job)).ok_or_else(|| {
        let message = format!("There is no job {text:?}; GET /v1/jobs lists those that are kept.");
        Problem::new(StatusCode::NOT_FOUND, "no_such_job", message)
    })
}

/// Whether the caller may know of a job: of his services, and of the whole host where he may know all of that.
fn sees(caller: &Caller, job: &Job) -> bool {
    match (caller, &job.service) {
        (Caller::Token(token), service) => token.is_for(service.as_ref()),
        (caller, Some(service)) => caller.sees(service),
        (Caller::Operator { .. } | Caller::Reader, None) => true,
    }
}

/// A job as the caller is told of it: who asked for it is told to those who say who they are.
fn told(kept: &KeptJob, caller: &Caller) -> JobStatus {
    let status = kept.status();
    match caller {
        Caller::Reader => JobStatus { who: None, ..status },
        Caller::Operator { .. } | Caller::Token(_) => status,
    }
}

/// What a job writes is told as what instances write is.
fn reads_log(caller: &Caller, service: Option<&ServiceName>) -> Result<(), Problem> {
    match caller {
        Caller::Operator { .. } => Ok(()),
        Caller::Token(token) if token.allows(Right::Read) && token.is_for(service) => Ok(()),
        Caller::Token(token) => Err(too_few_rights(token, Right::Read, service)),
        Caller::Reader => {
            Err(unauthorized("What a job writes is told to those with a token to read."))
        }
    }
}

/// Reads something from the disk on another thread than the loop's.
pub(super) async fn on_disk<T: Send + 'static>(
    shared: &Arc<SharedState>,
    read: impl FnOnce(&JobDesk) -> T + Send + 'static,
) -> Result<T, Problem> {
    let desk = Arc::clone(shared.desk());
    let read = tokio::task::spawn_blocking(move || read(&desk)).await;
    read.map_err(|error| Problem::internal(&error))
}

/// Asks for a job, which takes the archive if there is one, and keeps who did; gives it as it is told.
pub(super) async fn ask(
    shared: &Arc<SharedState>,
    job: Job,
    upload: Option<Upload>,
) -> Result<JobStatus, Problem> {
    let asking = Arc::clone(shared);
    to_its_end(async move {
        let (who, service, id) = (job.who.clone(), job.service.clone(), job.id);
        let kept = asking.desk().ask(job).await.map_err(refused)?;
        upload.into_iter().for_each(Upload::keep);
        let changed = Changed::Job { service, id, job: kept.job.work.kind() };
        note(&asking, who, changed).await?;
        Ok(kept.status())
    })
    .await
}

/// Does something whole, be it that whoever asked for it is gone meanwhile: with him the answer ends, and nothing else.
pub(super) async fn to_its_end<T: Send + 'static>(
    done: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(done).await.map_err(|error| Problem::internal(&error))?
}

/// Keeps that something was asked for.
pub(super) async fn note(
    shared: &Arc<SharedState>,
    who: Who,
    changed: Changed,
) -> Result<(), Problem> {
    apart(shared, move |shared| {
        shared.note_asked(who, changed);
        Ok(())
    })
    .await
}

/// 202, and where the job is told of.
pub(super) fn accepted(
    job: JobStatus,
) -> (StatusCode, [(HeaderName, HeaderValue); 1], Json<JobStatus>) {
    (StatusCode::ACCEPTED, location(job.id), Json(job))
}

/// Where a job is told of.
pub(super) fn location(id: JobId) -> [(HeaderName, HeaderValue); 1] {
    let place = HeaderValue::from_str(&format!("/v1/jobs/{id}"));
    [(header::LOCATION, place.unwrap_or(HeaderValue::from_static("/v1/jobs")))]
}

/// A job that is not asked for.
pub(super) fn refused(refused: Refused) -> Problem {
    let (status, code, message) = match refused {
        Refused::UnderWay(Some(job)) => {
            let of = job.service.as_ref().map_or("the whole host".to_owned(), ToString::to_string);
            let (id, kind) = (job.id, job.work.kind());
            let message = format!(
                "The job {id} of {of} goes on ({kind}): GET /v1/jobs/{id} tells how far it has come. Ask again once it \
                 has ended."
            );
            (StatusCode::CONFLICT, "under_way", message)
        }
        Refused::UnderWay(None) => {
            let message = "Somebody on the host is at the service: ask again once that has ended.";
            (StatusCode::CONFLICT, "under_way", message.to_owned())
        }
        Refused::DiskFull => {
            let message = "The disk of paths.state is full, and nothing of it was kept: `bellows prune` frees what nothing needs.";
            (StatusCode::INSUFFICIENT_STORAGE, "disk_full", message.to_owned())
        }
        Refused::TooLarge => {
            let message = format!(
                "The archive has more than {ARCHIVE_MAX_BYTES} bytes: leave out what the application does not need."
            );
            (StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
        }
        Refused::TooManyUploads => {
            let message =
                "Archives come from as many others as may at a time: try again in a minute.";
            (StatusCode::TOO_MANY_REQUESTS, "too_many_uploads", message.to_owned())
        }
        Refused::Cut => {
            let message =
                "The archive did not come whole, and nothing of it was kept: send it again.";
            (StatusCode::REQUEST_TIMEOUT, "archive_cut", message.to_owned())
        }
        Refused::NotStarted(error) => {
            tracing::error!(%error, "a job could not be begun");
            let message =
                "The job could not be begun, and nothing was changed: the scaler's log says why.";
            (StatusCode::INTERNAL_SERVER_ERROR, "not_started", message.to_owned())
        }
        Refused::NotWritten(error) => return not_written(error),
    };
    Problem::new(status, code, message)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_was_asked_for_comes_to_its_end_though_whoever_asked_is_gone() {
        let ((go, may), (told, came)) = (oneshot::channel::<()>(), oneshot::channel());
        let mut asked = Box::pin(to_its_end(async move {
            may.await.map_err(|error| Problem::internal(&error))?;
            told.send("it is done").map_err(|_| not_written(std::io::Error::other("nobody")))
        }));
        let polled = std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        drop(asked);
        go.send(()).unwrap();
        assert_eq!(came.await.unwrap(), "it is done");
    }
}
