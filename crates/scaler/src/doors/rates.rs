//! How many requests come by one way: the scaler answers on the thread that its loop runs on.

use std::num::NonZeroU32;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use model::access::Token;
use model::names::TokenName;
use service::problem::Problem;

use crate::{api, tokens};

/// Requests a second; a page that shows live data asks for one or two.
const RATE: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// Requests at once after a rest.
const BURST: NonZeroU32 = NonZeroU32::new(400).unwrap();

/// As how many requests one counts that reads a record, or from the disk: its answer has up to 1 MB, and ten of them a second
/// are 3% of the one core that the loop runs on, too. So does one that asks why not, for which policies are asked
/// some ten thousand times.
const RECORD: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// As how many requests one counts that sets something: it writes to the disk, waits for that, and is kept for
/// good.
const CHANGE: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// As how much as that of one token all of them may come to together: so one that asks without end leaves three
/// quarters to others, and a thousand tokens are no way to keep the loop from its thread.
const TOKENS_AT_ONCE: NonZeroU32 = NonZeroU32::new(4).unwrap();

/// Requests a second that carry a secret which is nobody's, and after a rest: programs with a token that was revoked
/// go on to ask, and whoever guesses needs far more.
const WRONG_RATE: NonZeroU32 = NonZeroU32::new(20).unwrap();
const WRONG_BURST: NonZeroU32 = NonZeroU32::new(40).unwrap();

/// What may come by one way: so much from each token, as much again from all who carry none, and little from those
/// who carry a wrong one, and from those who log in, so that no flood of the one keeps the others out.
#[derive(Debug)]
pub(super) struct RequestRates {
    of_token: DefaultKeyedRateLimiter<TokenName>,
    of_tokens: DefaultDirectRateLimiter,
    wrong: DefaultDirectRateLimiter,
    login: DefaultDirectRateLimiter,
    unnamed: DefaultDirectRateLimiter,
}

impl Default for RequestRates {
    fn default() -> Self {
        let each = Quota::per_second(RATE).allow_burst(BURST);
        let all = Quota::per_second(RATE.saturating_mul(TOKENS_AT_ONCE))
            .allow_burst(BURST.saturating_mul(TOKENS_AT_ONCE));
        let wrong = Quota::per_second(WRONG_RATE).allow_burst(WRONG_BURST);
        Self {
            of_token: RateLimiter::keyed(each),
            of_tokens: RateLimiter::direct(all),
            wrong: RateLimiter::direct(wrong),
            login: RateLimiter::direct(wrong),
            unnamed: RateLimiter::direct(each),
        }
    }
}

impl RequestRates {
    /// Counts a request that carries this token, which is known.
    ///
    /// # Errors
    /// 429: there were too many.
    pub(super) fn count_named(&self, token: &Token, request: &Request) -> Result<(), Problem> {
        // One that has rested for 2 s is as if it had never come. So there are as many as there are tokens, and those
        // that were revoked since.
        if self.of_token.len() >= tokens::MOST {
            self.of_token.retain_recent();
        }
        let is_change = !request.method().is_safe();
        let count = if is_change { CHANGE } else { weight(request) };
        // More than the burst would never be let through: 20 are not.
        let own = self.of_token.check_key_n(&token.name, count);
        own.ok().and_then(Result::ok).ok_or_else(too_many)?;
        take(&self.of_tokens, count)
    }

    /// Counts a request that carries a token which is not known, or says who sends it in a way that is not.
    ///
    /// # Errors
    /// 429: there were too many.
    pub(super) fn count_wrong(&self) -> Result<(), Problem> {
        take(&self.wrong, NonZeroU32::MIN)
    }

    /// Counts a request that brings a code, good or not, as one with a wrong token and apart from those: who guesses needs
    /// 2^128.
    ///
    /// # Errors
    /// 429: there were too many.
    pub(super) fn count_login(&self) -> Result<(), Problem> {
        take(&self.login, NonZeroU32::MIN)
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
    let ends = [api::OUTPUT, api::RECORDING, api::WHY_NOT, api::VERSIONS, api::LOG, api::FILE];
    let is_long = ends.iter().any(|end| path.ends_with(end));
    let is_record =
        [api::TICKS, api::CHANGES, api::JOBS, api::COST, api::HOST, api::DOCTOR].contains(&path);
    if is_long || is_record { RECORD } else { NonZeroU32::MIN }
}

fn take(limiter: &DefaultDirectRateLimiter, count: NonZeroU32) -> Result<(), Problem> {
    // More than the burst would never be let through: 20 are not.
    limiter.check_n(count).ok().and_then(Result::ok).ok_or_else(too_many)
}

fn too_many() -> Problem {
    let message = format!(
        "More than {RATE} requests a second with one token, as many without, or {WRONG_RATE} with a wrong one or a \
         login's code. One for ticks, changes, jobs, cost, the host, output, a log, a recording, versions, a file or why-not counts as {RECORD}, and one that sets \
         something as {CHANGE}: try again in a second."
    );
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    problem.with_header(header::RETRY_AFTER, 1)
}
