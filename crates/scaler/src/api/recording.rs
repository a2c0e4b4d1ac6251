//! A stretch of a service's turns as it is taken, with every input of their decisions.

use std::convert::Infallible;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use model::access::Right;
use policy::recording::MEDIA_TYPE;
use service::path::Path;
use service::problem::Problem;

use super::{CalledBy, Shared, deployed};
use crate::access::{Caller, too_few_rights, unauthorized};
use crate::recordings::{MOST, Refused};

/// Answers with a line for each turn, from the next one on, until whoever asks has enough.
pub(super) async fn record(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let deployed = deployed(&shared, &caller, &name)?;
    let service = &deployed.spec.name;
    if !caller.records(service) {
        return Err(match caller {
            Caller::Token(token) => too_few_rights(&token, Right::Read, Some(service)),
            _ => unauthorized("Recordings are for those with a token to read."),
        });
    }
    let lines = shared.recordings().begin(service).map_err(refused)?;
    let lines = stream::unfold(lines, async |mut lines| {
        let line = lines.recv().await?;
        Some((Ok::<_, Infallible>(line), lines))
    });
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], Body::from_stream(lines)).into_response())
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::TooMany => {
            let message = format!(
                "{MOST} recordings are being taken, and there may be no more at a time: end one, or try again later."
            );
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_recordings", message)
        }
        Refused::Over => {
            let message = "The scaler ends: try again when it is back.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ends", message)
        }
    }
}
