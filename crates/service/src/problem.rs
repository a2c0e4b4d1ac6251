//! The one conversion of errors to HTTP: a status and the JSON
//! `{"error":{"code":"...","message":"..."}}`, the same in every server of the project.

use std::any::Any;
use std::error::Error;

use axum::Router;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;

use crate::exit::chain;

/// An answer that says what went wrong. `code` and `message` leave by HTTP.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: &'a str,
    message: &'a str,
}

impl Problem {
    /// A problem with a code for programs (`snake_case`, part of the API) and a sentence for people.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    /// A failure of the server itself. The causes go to the log, here and only here; the client
    /// learns nothing of them.
    pub fn internal(error: &dyn Error) -> Self {
        tracing::error!(error = chain(error), "a request failed");
        Self::unexplained()
    }

    fn unexplained() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed; its log says why.",
        )
    }

    /// The same problem with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body { error: Detail { code: self.code, message: &self.message } };
        (self.status, AppendHeaders(self.headers), axum::Json(body)).into_response()
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), "bad_query", rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), "bad_body", rejection.body_text())
    }
}

/// Gives what `routes` leaves unanswered the shape of a [`Problem`]: unknown paths, wrong methods
/// and panics. Call it last, around everything else.
pub fn guard(routes: Router) -> Router {
    routes
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(panicked))
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        format!("Nothing is served at {:?}.", uri.path()),
    )
}

async fn wrong_method(method: Method) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} is not possible here; the header \"allow\" lists what is."),
    )
}

fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(panic = text, "a request's handler panicked");
    Problem::unexplained().into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn answer(method: &str, path: &str) -> String {
        let routes =
            Router::new().route("/panic", get(|| async { panic!("a secret") as () })).route(
                "/disk",
                get(|| async { Problem::internal(&std::io::Error::other("/secret/path")) }),
            );
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = guard(routes).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        format!("{} {}", status.as_u16(), String::from_utf8_lossy(&body))
    }

    #[tokio::test]
    async fn a_panic_answers_500_and_keeps_its_text_to_itself() {
        insta::assert_snapshot!(
            answer("GET", "/panic").await,
            @r#"500 {"error":{"code":"internal","message":"The server failed; its log says why."}}"#
        );
    }

    #[tokio::test]
    async fn an_internal_error_keeps_its_text_to_itself() {
        insta::assert_snapshot!(
            answer("GET", "/disk").await,
            @r#"500 {"error":{"code":"internal","message":"The server failed; its log says why."}}"#
        );
    }

    #[tokio::test]
    async fn an_unknown_path_and_a_wrong_method_have_the_same_shape() {
        insta::assert_snapshot!(
            answer("GET", "/x\"y").await,
            @r#"404 {"error":{"code":"no_such_path","message":"Nothing is served at \"/x\\\"y\"."}}"#
        );
        insta::assert_snapshot!(
            answer("POST", "/disk").await,
            @r#"405 {"error":{"code":"method_not_allowed","message":"POST is not possible here; the header \"allow\" lists what is."}}"#
        );
    }
}
