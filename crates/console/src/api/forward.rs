//! What the scaler answers: passed on with the rights of whoever asks, and nothing but what stands in a list.

pub mod list;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use http_body_util::LengthLimitError;
use model::access::Right;
use service::bearer::unauthorized;
use service::problem::Problem;

use super::asker::Asker;
use super::{Known, Shared};
use crate::upstream::Sent;
use list::{Carries, Forwarded};

/// A body that is read before the scaler is asked. Above what it takes, so that it is the scaler who says so.
const BODY_MAX_BYTES: usize = 128 * 1024;

/// How long the body of such a request may take: it has a few packets.
const BODY: Duration = Duration::from_secs(10);

/// The routes of the list.
pub(super) fn routes() -> Router<Known> {
    list::all().fold(Router::new(), |routes, forwarded| {
        routes.route(forwarded.path, method_router(forwarded))
    })
}

fn method_router(forwarded: &'static Forwarded) -> MethodRouter<Known> {
    // The methods of the list are those that every router knows.
    let filter =
        MethodFilter::try_from(Method::from(forwarded.method)).unwrap_or(MethodFilter::GET);
    on(filter, move |known: Shared, asker: Asker, request: Request| {
        pass_on(forwarded, known, asker, request)
    })
}

async fn pass_on(
    forwarded: &'static Forwarded,
    State(known): Shared,
    asker: Asker,
    request: Request,
) -> Result<Response, Problem> {
    let (mut head, body) = request.into_parts();
    // To a HEAD the scaler answers as to a GET, and the router keeps the body back.
    head.method = Method::from(forwarded.method);
    let sent = match forwarded.carries {
        Carries::Nothing | Carries::Small => Sent::Whole(whole(body).await?),
        Carries::Archive => {
            may_send_archives(&asker)?;
            Sent::Archive(body)
        }
    };
    known.upstream.pass_on(&head, sent, forwarded.deadline()).await
}

/// All of a small body.
///
/// # Errors
/// It is too large, or takes too long.
pub(super) async fn whole(body: Body) -> Result<bytes::Bytes, Problem> {
    match tokio::time::timeout(BODY, to_bytes(body, BODY_MAX_BYTES)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if !is_too_large(&error) => {
            let message = "The body did not come whole: send it again.";
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad_request", message))
        }
        Ok(Err(_)) => {
            let message = format!("The body is to have at most {BODY_MAX_BYTES} bytes.");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message))
        }
        Err(_) => {
            let message = format!("The body took more than {} s.", BODY.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message))
        }
    }
}

/// Whether a body was not read for its size, and not because it broke off or is none.
fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<LengthLimitError>())
}

/// Who may deploy nothing takes no place for minutes. Whether it may be this service the scaler says.
fn may_send_archives(asker: &Asker) -> Result<(), Problem> {
    match asker {
        Asker::Named { token, .. } if token.allows(Right::Deploy) => Ok(()),
        Asker::Named { token, .. } => {
            let message = format!(
                "The token `{}` has no right to deploy: `bellows token make` makes one that has.",
                token.name
            );
            Err(Problem::new(StatusCode::FORBIDDEN, "too_few_rights", message))
        }
        Asker::Reader | Asker::Stranger => {
            Err(unauthorized("A change needs a token with the right `deploy`."))
        }
    }
}
