//! A stretch of a service's turns as it is taken, with every input of their decisions.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt as _};
use model::access::Right;
use policy::recording::{End, LineRef, MEDIA_TYPE};
use service::path::Path;
use service::problem::Problem;
use tokio::sync::mpsc::Receiver;

use super::{CalledBy, Shared, deployed};
use crate::access::{Caller, too_few_rights, unauthorized};
use crate::recordings::{MOST, Refused};
use crate::shared_state::SharedState;

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
    let lines =
        stream::unfold(Some(lines), move |lines| next(lines, shared.clone(), caller.clone()));
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], Body::from_stream(lines.map(Ok::<_, Infallible>)))
        .into_response())
}

/// The next line, and what comes after it: nothing where whoever asked may not read on.
async fn next(
    lines: Option<Receiver<Vec<u8>>>,
    shared: Arc<SharedState>,
    caller: Caller,
) -> Option<(Vec<u8>, Option<Receiver<Vec<u8>>>)> {
    let mut lines = lines?;
    let line = lines.recv().await?;
    if shared.is_still(&caller) {
        return Some((line, Some(lines)));
    }
    let last = LineRef::End(End::TokenEnded).to_text().ok()?;
    Some((last, None))
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
