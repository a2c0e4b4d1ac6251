//! The form in which a server says what went wrong.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use crate::problem::{Explained, Said};

/// How every answer that is no success looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// `{"error":{"code":"...","message":"..."}}`.
    #[default]
    Own,
    /// A problem of RFC 9457: `type`, `title`, `status` and `detail`, with the code for programs as one more member.
    ProblemJson,
}

#[derive(Serialize)]
struct Rfc9457<'a> {
    /// What the status says is all there is to say of its kind: RFC 9457, 4.2.1.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl Form {
    /// Says in this form what an answer says that is a [`crate::problem::Problem`]. Others stay as they are.
    pub(crate) fn say(self, mut answer: Response) -> Response {
        if self == Self::Own {
            return answer;
        }
        let Some(explained) = answer.extensions_mut().remove::<Explained>() else { return answer };
        let body = self.text(answer.status(), &explained);
        let headers = answer.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        answer.map(|_| Body::from(body))
    }

    /// The type of the text.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Own => "application/json",
            // RFC 9457, 6.1.
            Self::ProblemJson => "application/problem+json",
        }
    }

    /// What went wrong, as JSON.
    pub(crate) fn text(self, status: StatusCode, explained: &Explained) -> String {
        let Explained { code, message } = explained;
        let text = match self {
            Self::Own => serde_json::to_string(&Said::new(code, message)),
            Self::ProblemJson => serde_json::to_string(&Rfc9457 {
                r#type: "about:blank",
                title: status.canonical_reason().unwrap_or_default(),
                status: status.as_u16(),
                detail: message,
                code,
            }),
        };
        // Some texts and a number cannot fail to be JSON.
        text.unwrap_or_default()
    }
}
