//! `GET /` and `DELETE /`: all objects.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::problem::Problem;

use super::{App, blocking, query};
use crate::condition::{Condition, Validators};
use crate::store::Query;

pub(super) async fn list(
    State(app): State<App>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let query = query::parse(raw.as_deref().unwrap_or_default())?;
    let asked = query.clone();
    let page = blocking(move || app.store.list(&query)).await?;
    let last = page.ids.last().filter(|_| page.more);
    let link = last.map(|last| [(header::LINK, next_page(&asked, last))]);
    Ok((link, Json(page.ids)).into_response())
}

/// Relative to the address of the request, which a proxy may have changed.
fn next_page(asked: &Query, last: &str) -> String {
    let prefix = utf8_percent_encode(&asked.prefix, NON_ALPHANUMERIC);
    let after = utf8_percent_encode(last, NON_ALPHANUMERIC);
    format!("<?prefix={prefix}&after={after}&limit={}>; rel=\"next\"", asked.limit)
}

pub(super) async fn clear(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    // A client that asks for `DELETE /?prefix=a` does not want to lose everything else.
    if query.is_some_and(|query| !query.is_empty()) {
        let message = "DELETE / deletes everything and takes no query.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", message));
    }
    // RFC 9110, 13.1: a condition holds for every method. The list has no tag and no date.
    Condition::of(&Method::DELETE, &headers)?.check(Some(Validators::default()))?;
    let deleted = blocking(move || app.store.clear()).await?;
    tracing::info!(deleted, "all objects were deleted");
    Ok(StatusCode::NO_CONTENT)
}
