//! The mean of a figure over a sliding window.

use std::collections::VecDeque;
use std::time::Duration;

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A figure stands for the time since the one before it, but for no more than this: of a longer
/// gap nobody knows how it was.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// The mean of what was observed in the last while, each figure weighted with the time that it
/// stands for, in amortised constant time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MeanWindow {
    entries: VecDeque<Entry>,
    #[serde(with = "crate::exact")]
    weighted_sum: f64,
    #[serde(with = "crate::exact")]
    seconds: f64,
    began: Option<Timestamp>,
    /// Entries forgotten since the sums were taken anew.
    forgotten: usize,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Entry {
    at: Timestamp,
    #[serde(with = "crate::exact")]
    value: f64,
    #[serde(with = "crate::exact")]
    seconds: f64,
}

impl MeanWindow {
    /// Records a finite `value` observed at `now` and forgets what `window` no longer covers. A
    /// clock that was set back starts the record anew.
    pub fn push(&mut self, now: Timestamp, value: f64, window: Duration) {
        let last = self.entries.back().map(|entry| entry.at);
        if last.is_some_and(|last| last > now) {
            *self = Self::default();
        }
        let began = *self.began.get_or_insert(now);
        let step = now.since(last.filter(|last| *last >= began).unwrap_or(now)).min(LONGEST_STEP);
        let entry = Entry { at: now, value, seconds: step.as_secs_f64() };
        self.weighted_sum += entry.value * entry.seconds;
        self.seconds += entry.seconds;
        self.entries.push_back(entry);
        self.forget(now.before(window));
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The mean over what of the window is known; `None` before the first figure.
    pub fn mean(&self) -> Option<f64> {
        let newest = self.entries.back()?;
        if self.seconds <= 0.0 {
            return Some(newest.value);
        }
        Some(self.weighted_sum / self.seconds)
    }

    /// The mean, once the record covers the whole window.
    pub fn mean_over(&self, window: Duration, now: Timestamp) -> Option<f64> {
        let covered = self.began.is_some_and(|began| now.since(began) >= window);
        self.mean().filter(|_| covered)
    }

    /// Forgets the entries up to `reach`. The sums are taken anew each time that the window has
    /// turned over, so that rounding errors do not add up over weeks.
    fn forget(&mut self, reach: Timestamp) {
        while self.entries.len() > 1 && self.entries.front().is_some_and(|entry| entry.at <= reach)
        {
            if let Some(entry) = self.entries.pop_front() {
                self.weighted_sum -= entry.value * entry.seconds;
                self.seconds -= entry.seconds;
                self.forgotten += 1;
            }
        }
        if self.forgotten >= self.entries.len() {
            self.forgotten = 0;
            self.weighted_sum = self.entries.iter().map(|entry| entry.value * entry.seconds).sum();
            self.seconds = self.entries.iter().map(|entry| entry.seconds).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(2);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn each_figure_counts_for_the_time_that_it_stands_for() {
        let mut window = MeanWindow::default();
        assert_eq!(window.mean(), None);
        window.push(at(0), 8.0, WINDOW);
        assert_eq!(window.mean(), Some(8.0));
        window.push(at(100), 10.0, WINDOW);
        window.push(at(1000), 20.0, WINDOW);
        // 10 for 0.1 s and 20 for 0.9 s.
        assert!((window.mean().unwrap() - 19.0).abs() < 1e-9);
    }

    #[test]
    fn a_window_that_is_not_covered_yet_says_so() {
        let mut window = MeanWindow::default();
        window.push(at(0), 1.0, WINDOW);
        window.push(at(1900), 1.0, WINDOW);
        assert_eq!(window.mean_over(WINDOW, at(1900)), None);
        assert_eq!(window.mean_over(WINDOW, at(2000)), Some(1.0));
    }

    #[test]
    fn a_clock_set_back_starts_the_record_anew() {
        let mut window = MeanWindow::default();
        window.push(at(0), 1.0, WINDOW);
        window.push(at(5000), 1.0, WINDOW);
        window.push(at(100), 9.0, WINDOW);
        assert_eq!(window.mean(), Some(9.0));
        assert_eq!(window.mean_over(WINDOW, at(1000)), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_mean(values in prop::collection::vec(0.0_f64..1e6, 2..300)) {
            let mut window = MeanWindow::default();
            for (i, value) in values.iter().enumerate() {
                window.push(at(i as u64 * 100), *value, WINDOW);
            }
            // The very first figure stands for no time.
            let plain = &values[values.len().saturating_sub(20).max(1)..];
            let plain = plain.iter().sum::<f64>() / plain.len() as f64;
            prop_assert!((window.mean().unwrap() - plain).abs() <= 1e-6 * plain.max(1.0));
        }
    }
}
