//! The body of a request as a checked value.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use config_file::{ByKey, Checked};

use crate::problem::Problem;

/// A JSON body, checked. What is no JSON answers 400, what does not fit or is not allowed 422.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: Checked> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(ByKey(raw)) = Json::<ByKey<T::Raw>>::from_request(request, state).await?;
        let not_allowed = |invalid: config_file::Invalid| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", invalid.to_string())
        };
        T::from_raw(raw).map(Self).map_err(not_allowed)
    }
}
