//! Logins: an operator asks for a code, a browser brings it and is given a token, and ends that when it logs out.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use model::access::{MadeToken, Token};
use model::login::{Login, LoginCode};
use service::json_body::JsonBody;
use service::problem::Problem;

use super::tokens::not_made;
use super::{Answer, CalledBy, Shared, apart, not_written};
use crate::access::{Caller, unauthorized};

/// A code for whoever may give rights away.
pub(super) async fn give_code(
    State(shared): Shared,
    Extension(caller): CalledBy,
) -> Result<(StatusCode, Json<LoginCode>), Problem> {
    let who = caller.grants()?;
    Ok((StatusCode::CREATED, Json(shared.login_code(who))))
}

/// A token for whoever brings a code: nothing else is asked of him. The code is of no use from then on, also where the
/// token cannot be kept.
pub(super) async fn log_in(
    State(shared): Shared,
    JsonBody(login): JsonBody<Login>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let who = shared.use_login_code(&login.code).ok_or_else(bad_code)?;
    let made = apart(&shared, move |shared| shared.log_in(who).map_err(not_made)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// One answer for a code that was used, that is too old and that was never given: nobody learns which it is.
fn bad_code() -> Problem {
    let message = "This link is of no use: it is for one login within 2 minutes, and was used, is too old or was never \
                   given. `bellows open` on the host prints another.";
    Problem::new(StatusCode::FORBIDDEN, "bad_login_code", message)
}

/// Ends the token that the request carries, which a browser logged in for, and shows it.
pub(super) async fn log_out(State(shared): Shared, Extension(caller): CalledBy) -> Answer<Token> {
    let Caller::Token(Token { name, .. }) = caller else {
        return Err(unauthorized("Logging out ends the token that the request carries."));
    };
    let message = format!(
        "The token `{name}` is none that a browser logged in for: forget it, or revoke it by `bellows token revoke \
         {name}` on the host."
    );
    let ended = apart(&shared, move |shared| shared.log_out(&name).map_err(not_written)).await?;
    let none = || Problem::new(StatusCode::CONFLICT, "not_of_a_login", message);
    Ok(Json(ended.ok_or_else(none)?))
}
