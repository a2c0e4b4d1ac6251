//! Who calls, by what a request carries and by the way that it came.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use service::problem::{Problem, guard};

use crate::access::{Caller, bearer, unauthorized};
use crate::api;
use crate::shared_state::SharedState;

/// Requests a second of who is no operator; a page that shows live data asks for one or two.
const RATE: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// Requests at once after a rest.
const BURST: NonZeroU32 = NonZeroU32::new(400).unwrap();

/// As how many requests one counts that reads a record: its answer has up to 1 MB, and ten of them a second
/// are 3% of the one core that the loop runs on, too.
const RECORD: NonZeroU32 = NonZeroU32::new(20).unwrap();

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

/// A request that came by a name of this host that is known beyond it: by way of a proxy, behind which
/// anybody can be.
#[derive(Debug, Clone, Copy)]
pub(super) struct FromBeyond;

#[derive(Debug)]
struct Door {
    shared: Arc<SharedState>,
    unnamed: Unnamed,
    limiter: DefaultDirectRateLimiter,
}

/// The API, each request with its [`Caller`].
pub(crate) fn routes(shared: &Arc<SharedState>, unnamed: Unnamed) -> Router {
    let limiter = RateLimiter::direct(Quota::per_second(RATE).allow_burst(BURST));
    let door = Arc::new(Door { shared: Arc::clone(shared), unnamed, limiter });
    // Outermost, so that it holds for paths that there are not as well.
    guard(api::routes(Arc::clone(shared))).layer(from_fn_with_state(door, identify))
}

async fn identify(
    State(door): State<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let from_beyond = request.extensions().get::<FromBeyond>().is_some();
    let unnamed = if from_beyond { Unnamed::Nobody } else { door.unnamed };
    let path = request.uri().path();
    let caller = caller(&door.shared, unnamed, request.headers(), path == api::HEALTH)?;
    if !matches!(caller, Caller::Operator { .. }) {
        let is_record = path == api::TICKS || path == api::CHANGES || path.ends_with(api::OUTPUT);
        let count = if is_record { RECORD } else { NonZeroU32::MIN };
        // More than the burst would never be let through: 20 are not.
        door.limiter.check_n(count).ok().and_then(Result::ok).ok_or_else(too_many)?;
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Who calls. A token counts before the way that it came by: who passes one on acts for whoever it is of.
fn caller(
    shared: &SharedState,
    unnamed: Unnamed,
    headers: &HeaderMap,
    is_health: bool,
) -> Result<Caller, Problem> {
    match (bearer(headers)?, unnamed) {
        (Some(secret), _) => {
            let token = shared.token(secret);
            Ok(Caller::Token(token.ok_or_else(|| unauthorized("The token is not known here."))?))
        }
        (None, Unnamed::Operates { uid }) => Ok(Caller::Operator { uid }),
        (None, Unnamed::Reads) => Ok(Caller::Reader),
        (None, Unnamed::Nobody) if is_health => Ok(Caller::Reader),
        (None, Unnamed::Nobody) => {
            Err(unauthorized("From beyond the host, reading needs a token."))
        }
    }
}

fn too_many() -> Problem {
    let message = format!(
        "More than {RATE} requests a second, of which one for ticks or changes counts as {RECORD}: try \
         again in a second."
    );
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    problem.with_header(header::RETRY_AFTER, 1)
}
