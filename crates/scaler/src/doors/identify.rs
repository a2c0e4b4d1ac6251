//! Who calls, by what a request carries and by the way that it came, once it was counted.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use model::access::Token;
use service::problem::{Problem, guard};

use super::caller;
use super::rates::RequestRates;
use crate::access::{Caller, bearer, unauthorized};
use crate::api;
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
}

/// The API by a socket, each request with its [`Caller`].
pub(crate) fn routes(shared: &Arc<SharedState>, unnamed: Unnamed) -> Router {
    let door = Door { shared: Arc::clone(shared), unnamed, rates: RequestRates::default() };
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
        Ok(Some(token.ok_or_else(|| unauthorized("The token is not known here."))?))
    }
}

/// Who calls. A token counts before the way that it came by: who passes one on acts for whoever it is of.
fn who_calls(token: Option<Token>, unnamed: Unnamed) -> Caller {
    match (token, unnamed) {
        (Some(token), _) => Caller::Token(token),
        (None, Unnamed::Operates { uid }) => Caller::Operator { uid },
        (None, Unnamed::Reads) => Caller::Reader,
    }
}
