//! The load that a service was offered of late.
//!
//! Offered load is what clients sent, not what was served: what is served is capped by the limit
//! of the instances, and a policy that follows it is blind exactly when it matters.

use std::collections::VecDeque;
use std::time::Duration;

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What the load balancer counted between two observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadObservation {
    /// Time that the counts cover. Never zero.
    pub elapsed: Duration,
    /// Requests that came for the service, whether served, queued or refused.
    pub arrivals: u64,
    /// Requests answered other than 5xx, a 429 of an instance's own limit among them.
    pub served: u64,
    /// Requests answered 5xx, by an instance or by the load balancer.
    pub rejected: u64,
    /// Requests that wait in the load balancer now.
    pub queued: u32,
    /// Requests that instances work on now.
    pub in_flight: u32,
}

/// The offered load in requests per second, by what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OfferedLoad {
    /// Mean rate of arrivals over the last second.
    pub mean_rps: f64,
    /// The rate that a shorter window makes certain, see [`LoadHistory::offered`].
    pub burst_rps: f64,
    /// The rate that clears the queue within a second.
    pub queue_rps: f64,
}

impl OfferedLoad {
    /// All of it together, in requests per second.
    pub fn total_rps(&self) -> f64 {
        self.mean_rps.max(self.burst_rps) + self.queue_rps
    }
}

/// How far back the mean looks. At 40 requests/s, the target of one instance of the object store,
/// a second of Poisson arrivals has a standard deviation of 16%.
const MEAN_WINDOW: Duration = Duration::from_secs(1);

/// Shorter windows, which see a rise before it has moved the mean.
const BURST_WINDOWS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(500)];

/// Standard deviations by which a short window's count is lowered before it is believed. At 40
/// requests/s a window of 100 ms holds 4 arrivals, and asks for a second instance from 17 on:
/// by chance once in about a million windows. At 3 a tenfold rise shows in the first window.
const BURST_DEVIATIONS: f64 = 3.0;

/// Observations of the last second, newest last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadHistory {
    observations: VecDeque<(Timestamp, LoadObservation)>,
}

impl LoadHistory {
    /// Adds the observation made at `now` and forgets what no window reaches any more.
    pub fn push(&mut self, now: Timestamp, load: LoadObservation) {
        let reach = now.before(MEAN_WINDOW);
        while self.observations.front().is_some_and(|(at, _)| *at <= reach || *at > now) {
            self.observations.pop_front();
        }
        self.observations.push_back((now, load));
    }

    /// The load offered up to the newest observation; `None` without observations.
    ///
    /// A burst's rate is the one that its window makes certain: with n arrivals in w seconds,
    /// (n - 3 sqrt(n)) / w, since the count of a Poisson process deviates by sqrt(n).
    pub fn offered(&self) -> Option<OfferedLoad> {
        let (_, newest) = self.observations.back()?;
        let burst = |window| {
            let (arrivals, seconds) = self.arrivals_within(window);
            (arrivals - BURST_DEVIATIONS * arrivals.sqrt()) / seconds
        };
        let (arrivals, seconds) = self.arrivals_within(MEAN_WINDOW);
        Some(OfferedLoad {
            mean_rps: arrivals / seconds,
            burst_rps: BURST_WINDOWS.into_iter().map(burst).fold(0.0, f64::max),
            queue_rps: f64::from(newest.queued) / MEAN_WINDOW.as_secs_f64(),
        })
    }

    /// Requests per second over the last second: served, rejected.
    pub fn answered(&self) -> Option<(f64, f64)> {
        self.observations.back()?;
        let (served, seconds) = self.sum_within(MEAN_WINDOW, |load| load.served);
        let (rejected, _) = self.sum_within(MEAN_WINDOW, |load| load.rejected);
        Some((served / seconds, rejected / seconds))
    }

    fn arrivals_within(&self, window: Duration) -> (f64, f64) {
        self.sum_within(window, |load| load.arrivals)
    }

    /// The sum of a count over the newest observations that together cover `window`, and the seconds
    /// that they cover: a little more than the window where observations do not end with it.
    fn sum_within(&self, window: Duration, count: impl Fn(&LoadObservation) -> u64) -> (f64, f64) {
        let (mut sum, mut covered) = (0_u64, Duration::ZERO);
        for (_, load) in self.observations.iter().rev() {
            sum = sum.saturating_add(count(load));
            covered += load.elapsed;
            if covered >= window {
                break;
            }
        }
        // Counts within a second are far below 2^53, up to where this is exact.
        (sum as f64, covered.as_secs_f64().max(f64::MIN_POSITIVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(arrivals: u64, queued: u32) -> LoadObservation {
        let elapsed = Duration::from_millis(100);
        LoadObservation { elapsed, arrivals, served: arrivals, rejected: 0, queued, in_flight: 0 }
    }

    fn history(arrivals: impl IntoIterator<Item = u64>) -> LoadHistory {
        let mut history = LoadHistory::default();
        for (i, n) in (1_u64..).zip(arrivals) {
            history.push(Timestamp::from_millis(i * 100), load(n, 0));
        }
        history
    }

    #[test]
    fn nothing_is_known_before_the_first_observation() {
        assert_eq!(LoadHistory::default().offered(), None);
    }

    #[test]
    fn the_mean_covers_the_last_second_and_no_more() {
        let load = history([500, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]).offered().unwrap();
        assert!((load.mean_rps - 40.0).abs() < 1e-9, "{load:?}");
    }

    #[test]
    fn the_noise_of_a_steady_load_is_no_burst() {
        let load = history([4, 3, 6, 2, 4, 9, 1, 4, 4, 12]).offered().unwrap();
        assert!(load.burst_rps < 40.0, "{load:?}");
    }

    #[test]
    fn a_tenfold_rise_shows_in_its_first_tenth_of_a_second() {
        let load = history([4, 4, 4, 4, 4, 4, 4, 4, 4, 40]).offered().unwrap();
        assert!(load.mean_rps < 80.0 && load.burst_rps > 200.0, "{load:?}");
    }

    #[test]
    fn what_waits_is_to_be_cleared_within_a_second() {
        let mut history = history([4; 10]);
        history.push(Timestamp::from_millis(1100), load(4, 60));
        assert!((history.offered().unwrap().total_rps() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_clock_set_back_drops_the_observations_of_the_future() {
        let mut history = history([100; 10]);
        history.push(Timestamp::from_millis(50), load(1, 0));
        assert!((history.offered().unwrap().mean_rps - 10.0).abs() < 1e-9);
    }
}
