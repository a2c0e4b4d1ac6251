//! How long to wait after actions that failed.

use std::time::Duration;

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Wait after the first failure.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Longest wait, reached with the seventh failure in a row: a cured host is back in use within
/// half a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Waits that double with each failure in a row, from 0.5 s to 30 s; a success ends them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backoff {
    failures: u32,
    #[serde(rename = "until_ms")]
    until: Option<Timestamp>,
}

impl Backoff {
    /// Takes note of how an action that ended at `at` came out. What fails while a wait lasts was
    /// started before it, beside the failure that it is for: four launches that fail together are
    /// one failure in a row.
    pub fn record(&mut self, failed: bool, at: Timestamp) {
        if !failed {
            *self = Self::default();
            return;
        }
        if self.is_waiting(at) {
            return;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(at.after(wait));
    }

    /// Whether the next attempt has to wait. A clock set back never makes the wait longer than
    /// the longest one.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.waits_until(now).is_some()
    }

    /// The end of the wait; `None` where the next attempt may be made.
    pub fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| now < *until && until.since(now) <= LONGEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::seconds;

    #[test]
    fn waits_double_up_to_half_a_minute_and_a_success_ends_them() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        let mut now = seconds(0);
        for _ in 0..9 {
            backoff.record(true, now);
            let after = |ms: &u64| now.after(Duration::from_millis(*ms));
            let over = (0..).step_by(500).find(|ms| !backoff.is_waiting(after(ms))).unwrap();
            waits.push(over);
            now = after(&over);
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        backoff.record(true, now);
        backoff.record(false, now);
        assert!(!backoff.is_waiting(now));
    }

    #[test]
    fn failures_side_by_side_count_once() {
        let mut backoff = Backoff::default();
        for _ in 0..4 {
            backoff.record(true, seconds(0));
        }
        assert!(backoff.is_waiting(seconds(0)));
        assert!(!backoff.is_waiting(seconds(0).after(Duration::from_millis(500))));
    }

    #[test]
    fn a_clock_set_back_an_hour_does_not_stretch_the_wait() {
        let mut backoff = Backoff::default();
        backoff.record(true, seconds(3600));
        assert!(!backoff.is_waiting(seconds(0)));
    }
}
