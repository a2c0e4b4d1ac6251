//! The description of the API in OpenAPI 3.1, and a page to try it. The description is made of the code by a test, which also
//! fails where a route and the description differ.

#[cfg(test)]
mod document;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use service::path::Path;
use service::problem::Problem;
use utoipa_swagger_ui::{Config, serve};

use crate::api::query::Fields;

/// Where the description is.
pub(crate) const DOCUMENT: &str = "/v1/openapi.json";

/// Where the page is, and what it needs.
pub(crate) const PAGE: &str = "/v1/docs";
const FILES: &str = "/v1/docs/{*file}";

/// `UPDATE=1 cargo test -p console openapi` writes it anew.
const TEXT: &str = include_str!("../../openapi.json");

/// Nothing comes from elsewhere and nothing goes there; the page sets its styles itself.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::new([DOCUMENT]).validator_url("none")));

/// The description and the page, which are the same on every host.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(DOCUMENT, get(document))
        .route(PAGE, get(|| async { Redirect::permanent("/v1/docs/") }))
        .route("/v1/docs/", get(|| file(Path("index.html".to_owned()))))
        .route(FILES, get(file))
}

/// Whether this is a part of them.
pub(crate) fn is_part(path: &str) -> bool {
    path == DOCUMENT || path == PAGE || path.starts_with("/v1/docs/")
}

async fn document(fields: Fields) -> Result<Response, Problem> {
    fields.end("none")?;
    Ok(([(header::CONTENT_TYPE, "application/json")], TEXT).into_response())
}

async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let file = serve(&name, Arc::clone(&CONFIG));
    let file = file.map_err(|error| Problem::internal(&*error))?.ok_or_else(|| {
        let message = format!("There is no file {name:?} here: /v1/docs/ is the page.");
        Problem::new(StatusCode::NOT_FOUND, "no_such_file", message)
    })?;
    let headers: [(HeaderName, String); 3] = [
        (header::CONTENT_TYPE, file.content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    // Most are in the program, and are not copied for each who asks.
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    Ok((headers, bytes).into_response())
}
