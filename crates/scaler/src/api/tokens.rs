//! Tokens by the API: operators make, list and revoke them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use model::access::{Grant, MadeToken, Tokens};
use model::names::{NameError, TokenName};
use service::json_body::JsonBody;
use service::path::Path;
use service::problem::Problem;

use super::{Answer, CalledBy, Shared, apart, deployed, not_written};
use crate::shared_state::SharedState;
use crate::tokens::MakeError;

pub(super) async fn list(State(shared): Shared, Extension(caller): CalledBy) -> Answer<Tokens> {
    caller.grants()?;
    Ok(Json(shared.tokens()))
}

pub(super) async fn make(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    JsonBody(grant): JsonBody<Grant>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let who = caller.grants()?;
    let name: TokenName = name.parse().map_err(|error: NameError| refused("bad_name", &error))?;
    for service in grant.services.iter().flatten() {
        deployed(&shared, &caller, service.as_str())?;
    }
    let made =
        apart(&shared, move |shared| shared.make_token(who, name, grant).map_err(not_made)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(super) async fn revoke(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Answer<Tokens> {
    let who = caller.grants()?;
    let revoke = move |shared: &SharedState| {
        let known = name.parse().ok().map(|name| shared.revoke_token(who, &name)).transpose();
        if known.map_err(not_written)? != Some(true) {
            let message = format!("There is no token {name:?}; GET /v1/tokens lists them.");
            return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_token", message));
        }
        Ok(shared.tokens())
    };
    Ok(Json(apart(&shared, revoke).await?))
}

/// No token was made.
pub(super) fn not_made(error: MakeError) -> Problem {
    match error {
        MakeError::NotWritten(error) => not_written(error),
        error => refused("no_token_made", &error),
    }
}

fn refused(code: &'static str, error: &dyn std::error::Error) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
}
