//! Keeps what workers count apart from their coming and going: pure arithmetic on two scrapes.

use std::collections::BTreeMap;
use std::time::Duration;

use model::names::ServiceName;

use super::stats::{Counters, Stats};

/// What was counted between two scrapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Increase {
    /// The time between the two.
    pub elapsed: Duration,
    /// By service. A figure that either scrape lacks is `None`, and so is all of a service that
    /// the same worker did not have before.
    pub services: BTreeMap<ServiceName, Counters>,
}

/// What was counted from `before` to `now`, across any change of workers.
///
/// A new worker counts from 0, so all that it says is new. What its predecessor counted after
/// `before` is lost: the requests that arrived between that and the change of workers, and at most
/// one more for each connection that a client keeps, which the old worker answers before it closes.
pub fn increase(before: &Stats, now: &Stats) -> Increase {
    let same = same_worker(before, now);
    let services = now.services.iter().map(|(name, stats)| {
        let earlier = match before.services.get(name) {
            Some(earlier) if same => earlier.counters,
            None if same => Counters::default(),
            _ => Counters::ZERO,
        };
        (name.clone(), stats.counters.combine(&earlier, |now, earlier| now?.checked_sub(earlier?)))
    });
    Increase {
        elapsed: now.asked_at.saturating_duration_since(before.asked_at),
        services: services.collect(),
    }
}

/// A worker never counts less, which tells it from one that was started anew and scraped as often.
pub(super) fn same_worker(before: &Stats, now: &Stats) -> bool {
    let none_fell = now.services.iter().all(|(name, stats)| {
        let Some(earlier) = before.services.get(name) else { return true };
        let mut fell = false;
        stats.counters.combine(&earlier.counters, |now, earlier| {
            fell |= now < earlier && now.is_some();
            None
        });
        !fell
    });
    now.worker.continues(&before.worker) && none_fell
}

impl Counters {
    /// Nothing counted yet.
    pub const ZERO: Self = Self {
        sessions: Some(0),
        requests: Some(0),
        informational: Some(0),
        success: Some(0),
        redirection: Some(0),
        client_error: Some(0),
        server_error: Some(0),
        other: Some(0),
        retries: Some(0),
        redispatches: Some(0),
        denied: Some(0),
        connection_errors: Some(0),
        response_errors: Some(0),
    };

    /// Figure by figure, `f` of this one's and the other's.
    fn combine(
        &self,
        other: &Self,
        mut f: impl FnMut(Option<u64>, Option<u64>) -> Option<u64>,
    ) -> Self {
        Self {
            sessions: f(self.sessions, other.sessions),
            requests: f(self.requests, other.requests),
            informational: f(self.informational, other.informational),
            success: f(self.success, other.success),
            redirection: f(self.redirection, other.redirection),
            client_error: f(self.client_error, other.client_error),
            server_error: f(self.server_error, other.server_error),
            other: f(self.other, other.other),
            retries: f(self.retries, other.retries),
            redispatches: f(self.redispatches, other.redispatches),
            denied: f(self.denied, other.denied),
            connection_errors: f(self.connection_errors, other.connection_errors),
            response_errors: f(self.response_errors, other.response_errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::super::stats::{ServiceStats, Worker};
    use super::*;

    /// Scraped later than all before it in the test.
    fn scraped(generation: u64, age_s: u64, sessions: Option<u64>, success: Option<u64>) -> Stats {
        static SCRAPES: AtomicU64 = AtomicU64::new(1);
        let scrapes = SCRAPES.fetch_add(1, Ordering::Relaxed);
        let counters = Counters { sessions, success, ..Counters::default() };
        let stats = ServiceStats { counters, ..ServiceStats::default() };
        Stats {
            asked_at: Instant::now(),
            worker: Worker { generation, age_s, scrapes },
            services: [("store".parse().unwrap(), stats)].into(),
        }
    }

    fn grown(before: &Stats, now: &Stats) -> (Option<u64>, Option<u64>) {
        let counters = *increase(before, now).services.values().next().unwrap();
        (counters.sessions, counters.success)
    }

    #[test]
    fn one_worker_counts_on() {
        let before = scraped(1, 5, Some(10), Some(9));
        assert_eq!(grown(&before, &scraped(1, 5, Some(12), Some(9))), (Some(2), Some(0)));
    }

    #[test]
    fn a_new_generation_counts_from_zero_even_when_it_has_overtaken_the_old_one() {
        let before = scraped(1, 5, Some(10), Some(9));
        assert_eq!(grown(&before, &scraped(2, 9, Some(12), Some(11))), (Some(12), Some(11)));
    }

    #[test]
    fn a_younger_worker_of_the_same_generation_counts_from_zero() {
        let before = scraped(1, 5, Some(10), Some(9));
        assert_eq!(grown(&before, &scraped(1, 4, Some(12), Some(11))), (Some(12), Some(11)));
    }

    #[test]
    fn a_worker_that_was_read_less_often_counts_from_zero() {
        let before = scraped(1, 0, Some(10), Some(9));
        let mut now = scraped(1, 0, Some(12), Some(11));
        now.worker.scrapes = before.worker.scrapes;
        assert_eq!(grown(&before, &now), (Some(12), Some(11)));
    }

    #[test]
    fn one_figure_that_fell_makes_every_figure_count_from_zero() {
        let before = scraped(1, 0, Some(10), Some(3));
        assert_eq!(grown(&before, &scraped(1, 0, Some(5), Some(4))), (Some(5), Some(4)));
    }

    #[test]
    fn what_is_not_known_stays_not_known() {
        let known = scraped(1, 5, Some(10), Some(9));
        assert_eq!(grown(&known, &scraped(1, 5, None, Some(9))), (None, Some(0)));
        let unknown = scraped(1, 5, None, Some(9));
        assert_eq!(grown(&unknown, &scraped(1, 5, Some(10), Some(9))), (None, Some(0)));
        assert_eq!(grown(&known, &scraped(2, 0, None, Some(4))), (None, Some(4)));
    }

    #[test]
    fn a_service_that_is_new_with_its_worker_counts_from_zero() {
        let mut before = scraped(1, 5, None, None);
        before.services.clear();
        let mut now = scraped(2, 0, Some(3), None);
        assert_eq!(grown(&before, &now), (Some(3), None));
        now.worker = Worker { scrapes: now.worker.scrapes, ..before.worker };
        assert_eq!(grown(&before, &now), (None, None));
    }

    proptest! {
        /// Whatever the restarts, the increases add up to what was counted.
        #[test]
        fn increases_add_up_across_workers(
            steps in prop::collection::vec((0_u64..50, any::<bool>()), 1..60)
        ) {
            let (mut sum, mut truth, mut generation, mut count) = (0, 0, 1, 0);
            let mut before = scraped(generation, 0, Some(0), None);
            for (arrived, restart) in steps {
                if restart {
                    generation += 1;
                    count = 0;
                }
                count += arrived;
                truth += arrived;
                let now = scraped(generation, 0, Some(count), None);
                sum += grown(&before, &now).0.unwrap();
                before = now;
            }
            prop_assert_eq!(sum, truth);
        }
    }
}
