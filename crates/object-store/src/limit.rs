//! The rate limit: a request waits its turn for a bounded time in a bounded queue, or is refused.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use governor::Quota;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use service::problem::Problem;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use crate::config::RateLimit;

/// Lets requests through at the rate of its limit, in the order in which they came.
#[derive(Debug)]
pub struct RateLimiter {
    bucket: governor::RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Nanos>>,
    /// The head of the queue holds it; tokio's mutex is fair, so it is the queue.
    turn: Mutex<()>,
    /// A permit for each place in the queue.
    places: Semaphore,
    limit: RateLimit,
    waiting: Gauge,
    refused: Counter,
}

/// Why a request was not let through: it may come again after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When the requests that wait now will have been served.
    pub retry_after: Duration,
}

/// Tokio's clock, so that tests can pause it.
#[derive(Clone, Debug)]
struct TokioClock {
    start: Instant,
}

impl Clock for TokioClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.start.elapsed())
    }
}

impl RateLimiter {
    /// Makes a limiter with a full burst, and enters its metrics into `registry`.
    pub fn new(limit: RateLimit, registry: &mut Registry) -> Self {
        let (waiting, refused) = (Gauge::default(), Counter::default());
        let help = "Requests that wait their turn";
        registry.register("rate_limit_waiting", help, waiting.clone());
        let help = "Requests refused by the rate limit";
        registry.register("rate_limit_refused", help, refused.clone());
        let quota = Quota::per_second(at_least_one(limit.requests_per_second))
            .allow_burst(at_least_one(limit.burst));
        let clock = TokioClock { start: Instant::now() };
        Self {
            bucket: governor::RateLimiter::direct_with_clock(quota, clock),
            turn: Mutex::new(()),
            places: Semaphore::new(places(limit)),
            limit,
            waiting,
            refused,
        }
    }

    /// Waits its turn. Dropping the future leaves the queue.
    pub async fn wait(&self) -> Result<(), Refused> {
        // A request that finds no queue and a free turn needs no place.
        if let Ok(_turn) = self.turn.try_lock()
            && self.bucket.check().is_ok()
        {
            return Ok(());
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Err(self.refuse());
        };
        let _waiting = Waiting::enter(&self.waiting);
        let max_wait = Duration::from_millis(self.limit.max_wait_ms);
        let turn = tokio::time::timeout(max_wait, self.wait_for_turn()).await;
        turn.map_err(|_| self.refuse())
    }

    async fn wait_for_turn(&self) {
        let _turn = self.turn.lock().await;
        while let Err(not_yet) = self.bucket.check() {
            tokio::time::sleep(not_yet.wait_time_from(self.bucket.clock().now())).await;
        }
    }

    fn refuse(&self) -> Refused {
        self.refused.inc();
        let waiting = places(self.limit) - self.places.available_permits();
        let turns = u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(1);
        let retry_after = Duration::from_secs(1) * turns / self.limit.requests_per_second;
        Refused { retry_after }
    }
}

/// As many places as are served within the longest wait: a request that would only wait to be
/// refused is refused at once.
fn places(limit: RateLimit) -> usize {
    let served = u64::from(limit.requests_per_second) * limit.max_wait_ms / 1000;
    usize::try_from(served).unwrap_or(usize::MAX).min(limit.max_queue)
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

/// Leaves the gauge when dropped: a client that goes away while it waits must not stay counted.
struct Waiting<'a>(&'a Gauge);

impl<'a> Waiting<'a> {
    fn enter(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The layer in front of the routes that the limit holds for.
pub async fn layer(
    State(limiter): State<std::sync::Arc<RateLimiter>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    limiter.wait().await.map_err(too_many)?;
    Ok(next.run(request).await)
}

fn too_many(refused: Refused) -> Problem {
    // Whole seconds, rounded up: earlier would be refused again.
    let seconds = refused.retry_after.as_millis().div_ceil(1000).max(1);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    let message = "This instance serves no more requests at the moment; try again later.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
        .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LIMIT: RateLimit = RateLimit {
        enabled: true,
        requests_per_second: 50,
        burst: 10,
        max_wait_ms: 1_000,
        max_queue: 100,
    };

    fn limiter(limit: RateLimit) -> Arc<RateLimiter> {
        Arc::new(RateLimiter::new(limit, &mut Registry::default()))
    }

    /// Sends `count` requests at once: how long each waited, in order, and how many were refused.
    async fn rush(limiter: &Arc<RateLimiter>, count: usize) -> (Vec<Duration>, usize) {
        let begun = Instant::now();
        let requests: Vec<_> = (0..count)
            .map(|_| {
                let limiter = limiter.clone();
                tokio::spawn(async move { limiter.wait().await.map(|()| begun.elapsed()) })
            })
            .collect();
        let mut waits = Vec::new();
        let mut refused = 0;
        for request in requests {
            match request.await.unwrap() {
                Ok(wait) => waits.push(wait),
                Err(_) => refused += 1,
            }
        }
        (waits, refused)
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_what_follows_waits_in_order_up_to_the_bound() {
        let (waits, refused) = rush(&limiter(LIMIT), 100).await;
        // 10 at once, 50 within the second that they may wait, 40 never.
        assert_eq!((waits.len(), refused), (60, 40));
        assert!(waits[..10].iter().all(Duration::is_zero));
        assert!(waits.is_sorted());
        assert!(waits[59] <= Duration::from_millis(LIMIT.max_wait_ms), "{:?}", waits[59]);
        assert!(waits[59] >= Duration::from_millis(900), "{:?}", waits[59]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_too() {
        let (waits, refused) = rush(&limiter(RateLimit { max_queue: 5, ..LIMIT }), 100).await;
        assert_eq!((waits.len(), refused), (15, 85));
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_over_time() {
        let limiter = limiter(RateLimit { max_queue: 10_000, ..LIMIT });
        let mut served = 0;
        for _ in 0..10 {
            served += rush(&limiter, 100).await.0.len();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Ten rounds of about a second each, and the first burst.
        assert!((480..=520).contains(&served), "{served}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_leaves_the_queue_frees_its_place() {
        let limiter = limiter(RateLimit { max_queue: 1, ..LIMIT });
        rush(&limiter, 10).await;
        let leaving = tokio::time::timeout(Duration::from_millis(1), limiter.wait()).await;
        assert!(leaving.is_err());
        assert_eq!(limiter.waiting.get(), 0);
        assert_eq!(limiter.wait().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_says_when_to_come_again() {
        let limiter = limiter(RateLimit { requests_per_second: 2, burst: 1, ..LIMIT });
        rush(&limiter, 1).await;
        let waiting = limiter.clone();
        let queue = tokio::spawn(async move { rush(&waiting, 2).await });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let refused = limiter.wait().await.unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(1500));
        assert_eq!(queue.await.unwrap().1, 0);
    }
}
