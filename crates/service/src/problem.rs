//! The one conversion of errors to HTTP: a status and the JSON
//! `{"error":{"code":"...","message":"..."}}`, the same in every server of the project.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;

use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::{Extension, Router};
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;

use crate::exit::chain;

/// An answer that says what went wrong. `code` and `message` leave by HTTP.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What an answer that is a [`Problem`] carries with it, for a server that says it in another form.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The code for programs.
    pub code: Cow<'static, str>,
    /// The sentence for people.
    pub message: String,
}

/// The JSON of a problem.
#[derive(Serialize)]
pub(crate) struct Said<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: &'a str,
    message: &'a str,
}

impl<'a> Said<'a> {
    pub(crate) fn new(code: &'a str, message: &'a str) -> Self {
        Self { error: Detail { code, message } }
    }
}

impl Problem {
    /// A problem with a code for programs (`snake_case`, part of the API) and a sentence for people.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), headers: Vec::new() }
    }

    /// What another server of the project said, by its own code, of a request that was passed on to it.
    pub fn passed_on(status: StatusCode, code: String, message: String) -> Self {
        Self { status, code: code.into(), message, headers: Vec::new() }
    }

    /// A failure of the server itself. The causes go to the log, here and only here; the client
    /// learns nothing of them.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = chain(error), "a request failed");
        Self::unexplained()
    }

    /// A request that is not valid HTTP/1.1, whether hyper or this crate found it out.
    pub(crate) fn malformed() -> Self {
        let message = "The request is not valid HTTP/1.1; characters that RFC 3986 does not allow in \
                       a target are to be percent-encoded.";
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A method that no server of the project has.
    pub(crate) fn unknown_method(method: &Method) -> Self {
        let message = format!("The method {method} is not known here.");
        Self::new(StatusCode::NOT_IMPLEMENTED, "unknown_method", message)
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

    /// What it says, for a server that says it in another form.
    pub(crate) fn explained(self) -> Explained {
        Explained { code: self.code, message: self.message }
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let json = axum::Json(Said::new(&self.code, &self.message)).into_response();
        let headers = AppendHeaders(self.headers.clone());
        (self.status, headers, Extension(self.explained()), json).into_response()
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

async fn unknown_path(method: Method, uri: Uri) -> Result<StatusCode, Problem> {
    // RFC 9110, 9.3.7: `OPTIONS *` asks about the server, not about a path.
    if method == Method::OPTIONS && uri.path() == "*" {
        return Ok(StatusCode::NO_CONTENT);
    }
    let message = format!("Nothing is served at {:?}.", uri.path());
    Err(Problem::new(StatusCode::NOT_FOUND, "no_such_path", message))
}

/// Axum adds the header `Allow` to what this answers: RFC 9110, 9.3.7 and 15.5.6.
async fn wrong_method(method: Method) -> Result<StatusCode, Problem> {
    match method.as_str() {
        "OPTIONS" => Ok(StatusCode::NO_CONTENT),
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "TRACE" => {
            let message =
                format!("{method} is not possible here; the header \"allow\" lists what is.");
            Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message))
        }
        // RFC 9110, 9.1.
        _ => Err(Problem::unknown_method(&method)),
    }
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
