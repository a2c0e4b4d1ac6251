//! Secrets by the API: they are set, listed without their values, and removed. A service need not be
//! deployed yet: what is not set, nothing is deployed with.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use host::secrets::SecretError;
use model::names::{NameError, SecretName, ServiceName};
use model::secrets::{SecretChange, SecretValue, SecretValueError, Secrets};
use service::path::Path;
use service::problem::Problem;

use crate::shared_state::SharedState;

use super::{Answer, CalledBy, Shared, apart, not_written};

/// A body is read as it is, up to the bound of all bodies, which is that of secrets.
pub(super) async fn set(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path((service, name)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<SecretChange> {
    let who = caller.deploys(service.parse().ok().as_ref())?;
    let (service, name) = names(&service, &name)?;
    let bytes = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => bad_secret(&SecretValueError::TooLong),
        status => Problem::new(status, "bad_body", "The secret did not come whole: send it again."),
    })?;
    let value = SecretValue::new(bytes.into()).map_err(|error| bad_secret(&error))?;
    let set = move |shared: &SharedState| {
        shared.set_secret(who, &service, &name, &value).map_err(refused)
    };
    Ok(Json(apart(&shared, set).await?))
}

pub(super) async fn list(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(service): Path<String>,
) -> Answer<Secrets> {
    caller.lists_secrets(service.parse().ok().as_ref())?;
    let service = service.parse().map_err(|error| bad_name(&error))?;
    Ok(Json(shared.secrets(&service).map_err(refused)?))
}

pub(super) async fn remove(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path((service, name)): Path<(String, String)>,
) -> Answer<Secrets> {
    let who = caller.deploys(service.parse().ok().as_ref())?;
    let (service, name) = names(&service, &name)?;
    let message = format!(
        "The service {service} has no secret {name:?}; GET /v1/services/{service}/secrets lists them.",
        name = name.as_str()
    );
    let removed = apart(&shared, move |shared| {
        let removed = shared.remove_secret(who, &service, &name).map_err(refused)?;
        // It is removed, whatever the others are.
        Ok(removed.then(|| shared.secrets(&service).unwrap_or_default()))
    });
    let others = removed.await?;
    let none = || Problem::new(StatusCode::NOT_FOUND, "no_such_secret", message);
    Ok(Json(others.ok_or_else(none)?))
}

fn names(service: &str, name: &str) -> Result<(ServiceName, SecretName), Problem> {
    let service = service.parse().map_err(|error| bad_name(&error))?;
    Ok((service, name.parse().map_err(|error| bad_name(&error))?))
}

fn bad_name(error: &NameError) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_name", error.to_string())
}

fn bad_secret(error: &SecretValueError) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_secret", error.to_string())
}

fn refused(error: SecretError) -> Problem {
    let (status, code) = match error {
        SecretError::InUse { .. } => (StatusCode::CONFLICT, "secret_in_use"),
        SecretError::TooMany | SecretError::TooManyOfService { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "too_many_secrets")
        }
        SecretError::Spoilt { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "spoilt_secret"),
        error => return not_written(std::io::Error::other(error)),
    };
    Problem::new(status, code, error.to_string())
}
