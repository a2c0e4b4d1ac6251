//! Who calls, told to whoever passes requests on: the console shows what it knows itself to those alone who may see it.

use axum::routing::get;
use axum::{Extension, Json, Router};
use model::caller::CallerStatus;

use crate::access::Caller;

/// Where it is asked.
const PATH: &str = "/v1/caller";

/// The one route.
pub(super) fn routes() -> Router {
    Router::new().route(PATH, get(tell))
}

async fn tell(Extension(caller): Extension<Caller>) -> Json<CallerStatus> {
    Json(match caller {
        Caller::Operator { .. } => CallerStatus::Operator,
        Caller::Token(token) => CallerStatus::Token { token },
        Caller::Reader => CallerStatus::Reader,
    })
}
