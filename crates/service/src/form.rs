//! Every answer that is no success is a problem of RFC 9457: `type`, `title`, `status` and `detail`, with the code for
//! programs as one more member.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use service::problem::Explained;

/// RFC 9457, 6.1.
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

#[derive(Serialize)]
struct Body<'a> {
    /// What the status says is all there is to say of its kind: RFC 9457, 4.2.1.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

/// Says in this form what the routes answered.
pub(super) async fn said(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let Some(Explained { code, message }) = answer.extensions_mut().remove() else {
        return answer;
    };
    let status = answer.status();
    let body = Json(Body {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: &message,
        code,
    });
    let (mut head, _) = answer.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    let (_, body) = body.into_response().into_parts();
    Response::from_parts(head, body)
}
