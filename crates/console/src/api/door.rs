//! Who may ask, and how often: any program of the host can, and any page in a browser there tries to.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use service::origin;
use service::problem::Problem;

/// Requests a second, and at once after a rest.
const RATE: NonZeroU32 = NonZeroU32::new(200).unwrap();
const BURST: NonZeroU32 = NonZeroU32::new(400).unwrap();

/// As how many requests one counts that asks the history: its answer has up to 1 MB, and takes some 10 ms.
const HISTORY: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// What comes by the one way in.
#[derive(Debug)]
pub(super) struct Door {
    rate: DefaultDirectRateLimiter,
}

impl Default for Door {
    fn default() -> Self {
        Self { rate: RateLimiter::direct(Quota::per_second(RATE).allow_burst(BURST)) }
    }
}

/// Lets a request in, or refuses it.
pub(super) async fn admit(
    State(door): State<Arc<Door>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // Before anything refuses it: a refusal takes time too.
    let count = if asks_history(request.uri().path()) { HISTORY } else { NonZeroU32::MIN };
    // More than the burst would never be let through: 10 are not.
    let counted = door.rate.check_n(count).ok().and_then(Result::ok);
    counted.ok_or_else(too_many)?;
    // Behind a name that is known beyond this host anybody could be, and here nobody says who he is.
    origin::check(request.headers(), &[])?;
    Ok(next.run(request).await)
}

fn asks_history(path: &str) -> bool {
    let ends = ["/ticks", "/turns", "/events", "/series", "/history"];
    ends.iter().any(|end| path.ends_with(end))
}

fn too_many() -> Problem {
    let message = format!(
        "More than {RATE} requests a second. One that asks the history counts as {HISTORY}: try again in a second."
    );
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    problem.with_header(header::RETRY_AFTER, 1)
}
