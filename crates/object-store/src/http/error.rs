//! What the errors of the store, of ids and of conditions are in HTTP.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use service::problem::Problem;

use super::query::QueryError;
use crate::condition::{BadCondition, Unmet};
use crate::id::IdError;
use crate::store::{FieldsError, StoreError};

/// A problem that any of the handlers' errors turns into.
#[derive(Debug)]
pub(super) struct Failure(Problem);

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self(Problem::new(status, code, message))
    }

    pub(super) fn no_such_object() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_object", "There is no object with this id.")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<IdError> for Failure {
    fn from(error: IdError) -> Self {
        let status = match error {
            IdError::TooLong => StatusCode::URI_TOO_LONG,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, "bad_id", error.to_string())
    }
}

impl From<BadCondition> for Failure {
    fn from(error: BadCondition) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_condition", error.to_string())
    }
}

impl From<FieldsError> for Failure {
    fn from(error: FieldsError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_content_field", error.to_string())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_query", error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unmet(unmet) => unmet.into(),
            StoreError::Full(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                "No space is left; nothing was stored. Reading and deleting still work.",
            ),
            StoreError::Busy => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let message = "The object is locked for too long; try again later.";
                let problem = Problem::new(status, "busy", message);
                Self(problem.with_header(RETRY_AFTER, HeaderValue::from(1)))
            }
            StoreError::Open { .. } | StoreError::Damaged { .. } | StoreError::Io { .. } => {
                Self(Problem::internal(&error))
            }
        }
    }
}

impl From<Unmet> for Failure {
    fn from(unmet: Unmet) -> Self {
        let message = match unmet {
            Unmet::Match => "If-Match does not hold: the object is another one, or there is none.",
            Unmet::UnmodifiedSince => {
                "If-Unmodified-Since does not hold: the object was stored after that."
            }
            Unmet::NoneMatch => "If-None-Match does not hold: there is such an object already.",
            Unmet::ModifiedSince => {
                "If-Modified-Since does not hold: the object was not stored after that."
            }
        };
        Self::new(StatusCode::PRECONDITION_FAILED, "condition_not_met", message)
    }
}
