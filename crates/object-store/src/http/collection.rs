//! `GET /` and `DELETE /`: all objects.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use service::problem::Problem;

use super::error::Failure;
use super::{App, blocking};
use crate::store;

/// The most ids in one answer, and as many as there are without `limit`.
const MAX_IDS: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ListQuery {
    prefix: String,
    after: String,
    limit: usize,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { prefix: String::new(), after: String::new(), limit: MAX_IDS }
    }
}

pub(super) async fn list(
    State(app): State<App>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(ListQuery { prefix, after, limit }) = query.map_err(Problem::from)?;
    if !(1..=MAX_IDS).contains(&limit) {
        let message = format!("limit is {limit}; allowed is 1 to {MAX_IDS}.");
        return Err(Failure::new(StatusCode::BAD_REQUEST, "bad_query", message));
    }
    let query = store::Query { prefix: prefix.clone(), after, limit };
    let page = blocking(move || app.store.list(&query)).await?;
    let last = page.ids.last().filter(|_| page.more);
    let link = last.map(|last| [(header::LINK, next_page(&prefix, last, limit))]);
    Ok((link, Json(page.ids)).into_response())
}

/// Relative to the address of the request, which a proxy may have changed.
fn next_page(prefix: &str, last: &str, limit: usize) -> String {
    let prefix = utf8_percent_encode(prefix, NON_ALPHANUMERIC);
    let after = utf8_percent_encode(last, NON_ALPHANUMERIC);
    format!("<?prefix={prefix}&after={after}&limit={limit}>; rel=\"next\"")
}

pub(super) async fn clear(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Failure> {
    // Somebody who asks for `DELETE /?prefix=a` does not want to lose everything else.
    if query.is_some_and(|query| !query.is_empty()) {
        let message = "DELETE / deletes everything and takes no query.";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "bad_query", message));
    }
    let deleted = blocking(move || app.store.clear()).await?;
    tracing::info!(deleted, "all objects were deleted");
    Ok(StatusCode::NO_CONTENT)
}
