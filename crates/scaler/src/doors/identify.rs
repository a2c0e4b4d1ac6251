//! Who calls, by what a request carries and by the way that it came, once it was counted.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use model::access::Token;
use model::time::Timestamp;
use service::problem::{Problem, guard};

use super::caller;
use super::rates::RequestRates;
use crate::access::{Caller, bearer, ended, unauthorized};
use crate::api;
use crate::clock;
use crate::shared_state::SharedState;

/// Who somebody is who carries no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// An operator of the host, as the kernel says.
    Operates {
        /// The user's id.
        uid: u32,
    },
    /// Somebody who may read.
    Reads,
}

#[derive(Debug)]
struct Door {
    shared: Arc<SharedState>,
    /// Who somebody is who comes by it without a token.
    unnamed: Unnamed,
    rates: RequestRates,
    /// The time of day, by which tokens end.
    now: fn() -> Timestamp,
}

/// The API by a socket, each request with its [`Caller`].
pub(crate) fn routes(shared: &Arc<SharedState>, unnamed: Unnamed) -> Router {
    routes_at(shared, unnamed, clock::now)
}

/// The same by this clock.
pub(crate) fn routes_at(
    shared: &Arc<SharedState>,
    unnamed: Unnamed,
    now: fn() -> Timestamp,
) -> Router {
    let door = Door { shared: Arc::clone(shared), unnamed, rates: RequestRates::default(), now };
    let routes = api::routes(Arc::clone(shared)).merge(api::feed(Arc::clone(shared)));
    // Outermost, so that it holds for paths that there are not as well.
    guard(routes.merge(caller::routes())).layer(from_fn_with_state(Arc::new(door), identify))
}

/// Counts a request before anything refuses it: a refusal takes the loop's thread as an answer does.
async fn identify(
    State(door): State<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if is_login(&request) {
        // Whatever it carries beside its code: a browser may have a token that has ended.
        door.rates.count_login()?;
        request.extensions_mut().insert(who_calls(None, door.unnamed));
        return Ok(next.run(request).await);
    }
    let token = door.token(&request);
    match (&token, door.unnamed) {
        (Ok(Some(token)), _) => door.rates.count_named(token, &request)?,
        (Err(_), _) => door.rates.count_wrong()?,
        (Ok(None), Unnamed::Operates { .. }) => {}
        (Ok(None), Unnamed::Reads) => door.rates.count_unnamed(&request)?,
    }
    request.extensions_mut().insert(who_calls(token?, door.unnamed));
    Ok(next.run(request).await)
}

impl Door {
    /// The token that a request carries, if any.
    fn token(&self, request: &Request) -> Result<Option<Token>, Problem> {
        let Some(secret) = bearer(request.headers())? else { return Ok(None) };
        let token = self.shared.token(secret);
        let token = token.ok_or_else(|| unauthorized("The token is not known here."))?;
        match token.has_ended((self.now)()) {
            true => Err(ended(&token)),
            false => Ok(Some(token)),
        }
    }
}

/// Whether a browser brings its code.
fn is_login(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path() == api::LOGIN
}

/// Who calls. A token counts before the way that it came by: who passes one on acts for whoever it is of.
fn who_calls(token: Option<Token>, unnamed: Unnamed) -> Caller {
    match (token, unnamed) {
        (Some(token), _) => Caller::Token(token),
        (None, Unnamed::Operates { uid }) => Caller::Operator { uid },
        (None, Unnamed::Reads) => Caller::Reader,
    }
}
