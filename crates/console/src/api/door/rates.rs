//! How many requests come in: what asks the history takes some 10 ms, and what is passed on takes the thread that the
//! scaler's loop runs on.

use std::num::NonZeroU32;

use axum::extract::{MatchedPath, Request};
use axum::http::{StatusCode, header};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use model::names::TokenName;
use service::problem::Problem;

use crate::api::EXPERIMENTS;
use crate::api::forward::list::{self, Takes};

/// Requests a second, and at once after a rest.
const RATE: NonZeroU32 = NonZeroU32::new(200).unwrap();
const BURST: NonZeroU32 = NonZeroU32::new(400).unwrap();

/// As how many requests one counts that asks the history: its answer has up to 1 MB, and takes some 10 ms. Of previews,
/// which take more, one is computed at a time.
const HISTORY: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// As how many requests one counts that sets something or reads a record of the scaler, as there.
const HEAVY: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// As much as that of one token all of them may come to together.
const TOKENS_AT_ONCE: NonZeroU32 = NonZeroU32::new(4).unwrap();

/// Requests a second with a secret which is nobody's, and after a rest.
const WRONG_RATE: NonZeroU32 = NonZeroU32::new(20).unwrap();
const WRONG_BURST: NonZeroU32 = NonZeroU32::new(40).unwrap();

/// Requests a second without a token that are passed on, and after a rest: half of what the scaler takes of all who carry
/// none, so that what the console itself asks there is never kept out.
const PASSED_RATE: NonZeroU32 = NonZeroU32::new(100).unwrap();
const PASSED_BURST: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// Names of tokens that are counted; the scaler has no more tokens.
const NAMES: usize = 1_000;

/// So much from each token, as much again from all who carry none, and little from those who carry a wrong one, and from
/// those who log in, so that no flood of the one keeps the others out.
#[derive(Debug)]
pub(super) struct Rates {
    of_token: DefaultKeyedRateLimiter<TokenName>,
    of_tokens: DefaultDirectRateLimiter,
    wrong: DefaultDirectRateLimiter,
    login: DefaultDirectRateLimiter,
    unnamed: DefaultDirectRateLimiter,
    unnamed_passed: DefaultDirectRateLimiter,
}

impl Rates {
    /// Rates that are so many times the usual ones.
    pub(super) fn new(factor: NonZeroU32) -> Self {
        let quota = |rate: NonZeroU32, burst: NonZeroU32| {
            Quota::per_second(rate.saturating_mul(factor)).allow_burst(burst.saturating_mul(factor))
        };
        let all = quota(RATE.saturating_mul(TOKENS_AT_ONCE), BURST.saturating_mul(TOKENS_AT_ONCE));
        Self {
            of_token: RateLimiter::keyed(quota(RATE, BURST)),
            of_tokens: RateLimiter::direct(all),
            wrong: RateLimiter::direct(quota(WRONG_RATE, WRONG_BURST)),
            login: RateLimiter::direct(quota(WRONG_RATE, WRONG_BURST)),
            unnamed: RateLimiter::direct(quota(RATE, BURST)),
            unnamed_passed: RateLimiter::direct(quota(PASSED_RATE, PASSED_BURST)),
        }
    }

    /// Counts a request that carries a token of this name.
    ///
    /// # Errors
    /// 429: there were too many.
    pub(super) fn count_named(&self, name: &TokenName, request: &Request) -> Result<(), Problem> {
        // One that has rested for 2 s is as if it had never come.
        if self.of_token.len() >= NAMES {
            self.of_token.retain_recent();
        }
        let count = Weight::of(request).count();
        // More than the burst would never be let through: 20 are not.
        let own = self.of_token.check_key_n(name, count);
        own.ok().and_then(Result::ok).ok_or_else(too_many)?;
        take(&self.of_tokens, count)
    }

    /// Counts a request that carries a secret which is nobody's.
    ///
    /// # Errors
    /// 429: there were too many.
    pub(super) fn count_wrong(&self) -> Result<(), Problem> {
        take(&self.wrong, NonZeroU32::MIN)
    }

    /// Counts a request that brings a code, as the scaler does: good or not, and whatever else it carries.
    ///
    /// # Errors
    /// 429: there were too many.
    pub(super) fn count_login(&self) -> Result<(), Problem> {
        take(&self.login, NonZeroU32::MIN)
    }

    /// Counts any other request.
    ///
    /// # Errors
    /// 429: there were too many.
    pub(super) fn count_unnamed(&self, request: &Request) -> Result<(), Problem> {
        let weight = Weight::of(request);
        take(&self.unnamed, weight.count())?;
        match weight {
            Weight::History | Weight::Own => Ok(()),
            Weight::Passed | Weight::Heavy => take(&self.unnamed_passed, weight.count()),
        }
    }
}

/// What a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// An answer from memory.
    Own,
    /// One of the history.
    History,
    /// One of the scaler.
    Passed,
    /// A change, or a record of the scaler.
    Heavy,
}

impl Weight {
    fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let matched = request.extensions().get::<MatchedPath>();
        let passed = matched.and_then(|path| list::find(request.method(), path.as_str()));
        let history = ["/ticks", "/turns", "/events", "/series", "/history", "/preview"];
        match passed.map(|passed| passed.takes) {
            Some(Takes::Much) => Self::Heavy,
            Some(Takes::Little) => Self::Passed,
            None if history.iter().any(|end| path.ends_with(end)) => Self::History,
            // Of each experiment files are read.
            None if path.starts_with(EXPERIMENTS) => Self::History,
            None => Self::Own,
        }
    }

    fn count(self) -> NonZeroU32 {
        match self {
            Self::Own | Self::Passed => NonZeroU32::MIN,
            Self::History => HISTORY,
            Self::Heavy => HEAVY,
        }
    }
}

fn take(limiter: &DefaultDirectRateLimiter, count: NonZeroU32) -> Result<(), Problem> {
    // More than the burst would never be let through: 20 are not.
    limiter.check_n(count).ok().and_then(Result::ok).ok_or_else(too_many)
}

fn too_many() -> Problem {
    let message = format!(
        "More than {RATE} requests a second with one token, as many without, {PASSED_RATE} of these to be passed on, or \
         {WRONG_RATE} with a wrong one or a login's code. One that asks the history, of experiments or for a preview counts as {HISTORY}, and one that sets something or \
         asks for changes, output, a recording, a log or why-not as {HEAVY}: try again in a second."
    );
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    problem.with_header(header::RETRY_AFTER, 1)
}
