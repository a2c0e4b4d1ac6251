//! What instances ran and cost, by the API, as JSON or as CSV.

use axum::Extension;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use model::time::Timestamp;
use serde::Deserialize;
use service::problem::Problem;

use super::{CalledBy, Shared};
use crate::clock::now;

/// Since when, in milliseconds since 1970, and in which form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CostQuery {
    #[serde(default)]
    since: Timestamp,
    format: Option<Format>,
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Csv,
}

pub(super) async fn get(
    State(shared): Shared,
    Extension(caller): CalledBy,
    headers: HeaderMap,
    query: Result<Query<CostQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(CostQuery { since, format }) = query.map_err(|_| {
        let message = "The query is not understood: since (milliseconds since 1970) and format (json or csv) are each given \
                       once at most.";
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
    })?;
    let page = shared.cost((since, now()), |service| caller.sees(service));
    Ok(match format.unwrap_or_else(|| wanted(&headers)) {
        Format::Json => Json(page).into_response(),
        Format::Csv => {
            ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], page.csv()).into_response()
        }
    })
}

/// The form that the request would rather have, where it names one.
fn wanted(headers: &HeaderMap) -> Format {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let mut kinds = accept.unwrap_or_default().split([',', ';']).map(str::trim);
    let first = kinds.find(|kind| ["text/csv", "application/json"].contains(kind));
    if first == Some("text/csv") { Format::Csv } else { Format::Json }
}
