//! What the errors of the store, of ids and of conditions are in HTTP.

use std::error::Error;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use service::problem::Problem;

use super::query::QueryError;
use crate::condition::{BadCondition, Unmet};
use crate::id::IdError;
use crate::store::{FieldsError, StoreError};

pub(super) fn no_such_object() -> Problem {
    let message = "There is no object with this id.";
    Problem::new(StatusCode::NOT_FOUND, "no_such_object", message)
}

fn bad_request(code: &'static str, error: impl Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, error.to_string())
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        let status = match error {
            IdError::TooLong => StatusCode::URI_TOO_LONG,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, "bad_id", error.to_string())
    }
}

impl From<BadCondition> for Problem {
    fn from(error: BadCondition) -> Self {
        bad_request("bad_condition", error)
    }
}

impl From<FieldsError> for Problem {
    fn from(error: FieldsError) -> Self {
        bad_request("bad_content_field", error)
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        bad_request("bad_query", error)
    }
}

impl From<StoreError> for Problem {
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
                Self::new(status, "busy", message).with_header(RETRY_AFTER, HeaderValue::from(1))
            }
            StoreError::Open { .. } | StoreError::Damaged { .. } | StoreError::Io { .. } => {
                Self::internal(&error)
            }
        }
    }
}

impl From<Unmet> for Problem {
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
