//! Who calls, by what a request carries and by the way that it came, once it was counted.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use model::access::Token;
use service::problem::{Problem, guard};

use super::rates::RequestRates;
use super::tcp;
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
    /// Nobody: only whether the scaler is there is told.
    Nobody,
}

/// By which way requests come.
#[derive(Debug)]
enum Way {
    /// A socket, and who somebody is there without a token.
    Socket(Unnamed),
    /// TCP, which refuses some whoever they are.
    Tcp(tcp::Rules),
}

#[derive(Debug)]
struct Door {
    shared: Arc<SharedState>,
    way: Way,
    rates: RequestRates,
}

/// The API by a socket, each request with its [`Caller`].
pub(crate) fn routes(shared: &Arc<SharedState>, unnamed: Unnamed) -> Router {
    by(shared, Way::Socket(unnamed))
}

/// The API by TCP, under its rules.
pub(super) fn routes_by_tcp(shared: &Arc<SharedState>, rules: tcp::Rules) -> Router {
    by(shared, Way::Tcp(rules))
}

fn by(shared: &Arc<SharedState>, way: Way) -> Router {
    // By TCP anybody on the host could take all places of its readers.
    let feed = match way {
        Way::Socket(_) => api::feed(Arc::clone(shared)),
        Way::Tcp(_) => Router::new(),
    };
    let door = Arc::new(Door { shared: Arc::clone(shared), way, rates: RequestRates::default() });
    // Outermost, so that it holds for paths that there are not as well.
    guard(api::routes(Arc::clone(shared)).merge(feed)).layer(from_fn_with_state(door, identify))
}

/// Counts a request before anything refuses it: a refusal takes the loop's thread as an answer does.
async fn identify(
    State(door): State<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = door.token(&request);
    match (&token, &door.way) {
        (Ok(Some(token)), _) => door.rates.count_named(token, &request)?,
        (Err(_), _) => door.rates.count_wrong()?,
        (Ok(None), Way::Socket(Unnamed::Operates { .. })) => {}
        (Ok(None), _) => door.rates.count_unnamed(&request)?,
    }
    let unnamed = door.unnamed(&request)?;
    let caller = caller(token?, unnamed, request.uri().path() == api::HEALTH)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl Door {
    /// The token that a request carries, if any.
    fn token(&self, request: &Request) -> Result<Option<Token>, Problem> {
        let Some(secret) = bearer(request.headers())? else { return Ok(None) };
        let token = self.shared.token(secret);
        Ok(Some(token.ok_or_else(|| unauthorized("The token is not known here."))?))
    }

    /// Who sends a request that carries no token.
    fn unnamed(&self, request: &Request) -> Result<Unnamed, Problem> {
        match &self.way {
            Way::Socket(unnamed) => Ok(*unnamed),
            Way::Tcp(rules) => rules.check(request),
        }
    }
}

/// Who calls. A token counts before the way that it came by: who passes one on acts for whoever it is of.
fn caller(token: Option<Token>, unnamed: Unnamed, is_health: bool) -> Result<Caller, Problem> {
    match (token, unnamed) {
        (Some(token), _) => Ok(Caller::Token(token)),
        (None, Unnamed::Operates { uid }) => Ok(Caller::Operator { uid }),
        (None, Unnamed::Reads) => Ok(Caller::Reader),
        (None, Unnamed::Nobody) if is_health => Ok(Caller::Reader),
        (None, Unnamed::Nobody) => {
            Err(unauthorized("From beyond the host, reading needs a token."))
        }
    }
}
