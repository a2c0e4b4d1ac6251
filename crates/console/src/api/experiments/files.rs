//! The files that experiments left, as they are. A program without rights wrote them: a browser shows them as pages of
//! nobody, which have no hold of this console's.

use std::fs::File;

use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use service::path::Path;
use service::problem::Problem;
use tokio::io::AsyncReadExt as _;

use super::super::Shared;
use super::super::asker::Asker;
use super::super::query::Fields;
use super::record;
use crate::experiments::{ResultFile, RunName, Unread};

/// So much of a file is read at a time.
const PART_BYTES: usize = 64 * 1024;

/// A report runs the scripts that stand in it, which reach nothing and are of no origin; what else is served runs none.
const OF_REPORT: &str = "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const OF_OTHERS: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of a run, by the last part of the path.
pub(in crate::api) async fn of_run(
    State(known): Shared,
    asker: Asker,
    Path((id, run)): Path<(String, String)>,
    path: MatchedPath,
    fields: Fields,
) -> Result<Response, Problem> {
    fields.end("none")?;
    let record = record(&id, &known, &asker).await?;
    let run: RunName = run.parse().map_err(|_| no_such_run(&run))?;
    // Each route is made of one of these.
    let is_asked_for = |file: &ResultFile| path.as_str().ends_with(file.name());
    let file = ResultFile::OF_RUN.into_iter().find(is_asked_for).unwrap_or(ResultFile::Summary);
    let opened = known.experiments.file(record.id, run, file).await;
    served(file, opened)
}

/// The report of an experiment.
pub(in crate::api) async fn report(
    State(known): Shared,
    asker: Asker,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    fields.end("none")?;
    let record = record(&id, &known, &asker).await?;
    let opened = known.experiments.file(record.id, RunName::ONLY, ResultFile::Report).await;
    served(ResultFile::Report, opened)
}

fn no_such_run(name: &str) -> Problem {
    let message = format!("{name:?} is no run: GET /v1/experiments/ID lists those that there are.");
    Problem::new(StatusCode::NOT_FOUND, "no_such_run", message)
}

fn served(file: ResultFile, opened: Result<(File, u64), Unread>) -> Result<Response, Problem> {
    let (text, bytes) = opened.map_err(|unread| refused(file, &unread))?;
    let mut response = Response::new(Body::from_stream(parts(text, bytes)));
    let policy = if file == ResultFile::Report { OF_REPORT } else { OF_OTHERS };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type()));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// As much of a file as it had when it was opened.
fn parts(file: File, bytes: u64) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    let file = tokio::fs::File::from_std(file).take(bytes);
    futures_util::stream::unfold(file, async |mut file| {
        let mut part = vec![0; PART_BYTES];
        match file.read(&mut part).await {
            Ok(0) => None,
            Ok(length) => {
                part.truncate(length);
                Some((Ok(part.into()), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    })
}

fn refused(file: ResultFile, unread: &Unread) -> Problem {
    let code = match unread {
        Unread::Missing => "no_such_file",
        Unread::Refused(error) => return Problem::internal(error),
        Unread::Strange | Unread::TooLarge { .. } | Unread::Spoilt(_) => "spoilt_file",
    };
    Problem::new(StatusCode::NOT_FOUND, code, format!("{} {unread}.", file.name()))
}
