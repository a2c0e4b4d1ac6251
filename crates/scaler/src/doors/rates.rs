//! How many requests come by one way: the scaler answers on the thread that its loop runs on.

use std::num::NonZeroU32;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use service::problem::Problem;

use crate::api;

/// Requests a second; a page that shows live data asks for one or two.
const RATE: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// Requests at once after a rest.
const BURST: NonZeroU32 = NonZeroU32::new(400).unwrap();

/// As how many requests one counts that reads a record: its answer has up to 1 MB, and ten of them a second
/// are 3% of the one core that the loop runs on, too.
const RECORD: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// As how many requests one counts that sets something: it writes to the disk, waits for that, and is kept for
/// good.
const CHANGE: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// What may come by one way: as much again from who carries a token as from who does not, so that no flood of the
/// one keeps the others out.
#[derive(Debug)]
pub(super) struct RequestRates {
    named: DefaultDirectRateLimiter,
    unnamed: DefaultDirectRateLimiter,
}

impl Default for RequestRates {
    fn default() -> Self {
        let quota = Quota::per_second(RATE).allow_burst(BURST);
        Self { named: RateLimiter::direct(quota), unnamed: RateLimiter::direct(quota) }
    }
}

impl RequestRates {
    /// Counts a request that carries a token which is known.
    ///
    /// # Errors
    /// 429: there were too many.
    pub(super) fn count_named(&self, request: &Request) -> Result<(), Problem> {
        let is_change = !request.method().is_safe();
        take(&self.named, if is_change { CHANGE } else { weight(request) })
    }

    /// Counts any other request. It sets nothing, and may be refused.
    ///
    /// # Errors
    /// 429: there were too many.
    pub(super) fn count_unnamed(&self, request: &Request) -> Result<(), Problem> {
        take(&self.unnamed, weight(request))
    }
}

/// As how many requests one counts that reads.
fn weight(request: &Request) -> NonZeroU32 {
    let path = request.uri().path();
    let is_record = path == api::TICKS || path == api::CHANGES || path.ends_with(api::OUTPUT);
    if is_record { RECORD } else { NonZeroU32::MIN }
}

fn take(limiter: &DefaultDirectRateLimiter, count: NonZeroU32) -> Result<(), Problem> {
    // More than the burst would never be let through: 20 are not.
    limiter.check_n(count).ok().and_then(Result::ok).ok_or_else(too_many)
}

fn too_many() -> Problem {
    let message = format!(
        "More than {RATE} requests a second, of which one for ticks, changes or output counts as {RECORD}, and one \
         that sets something as {CHANGE}: try again in a second."
    );
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    problem.with_header(header::RETRY_AFTER, 1)
}
