//! Level, trend and season of a figure, learnt online.
//!
//! Holt and Winters' additive form (P. R. Winters, "Forecasting Sales by Exponentially Weighted
//! Moving Averages", Management Science 6, 1960), with one difference: level and trend are learnt
//! from the figure less its season, the season from the figure itself. A step here is a second and
//! a season a day: within a day the level would follow the day's curve and leave the season
//! nothing to learn.

use serde::{Deserialize, Serialize};

/// How fast each part follows what is seen, 0 (never) to 1 (at once).
#[derive(Debug, Clone, Copy)]
pub(super) struct Gains {
    pub(super) level: f64,
    pub(super) trend: f64,
    /// From one season to the next.
    pub(super) season: f64,
}

/// What has been learnt.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct HoltWinters {
    #[serde(with = "crate::exact")]
    level: Option<f64>,
    #[serde(with = "crate::exact")]
    trend: f64,
    season: Season,
}

/// The mean of each slot of the season. It counts for nothing until each slot has been seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Season {
    #[serde(with = "crate::exact")]
    means: Vec<Option<f64>>,
    seen: usize,
    /// The slot that is being seen, with the sum and the number of its figures.
    #[serde(with = "crate::exact")]
    open: Option<(usize, f64, f64)>,
}

impl HoltWinters {
    /// Learns that the figure was `value` in `slot` of `slots`; 0 slots are no season.
    pub(super) fn observe(&mut self, value: f64, slot: usize, slots: usize, gains: Gains) {
        if self.season.observe(value, slot, slots, gains.season) {
            // From here on the season is taken off: what the level was says nothing any more.
            self.forget_trend();
        }
        let rest = value - self.season.mean(slot);
        let Some(level) = self.level else {
            self.level = Some(rest);
            return;
        };
        let next = gains.level * rest + (1.0 - gains.level) * (level + self.trend);
        self.trend = gains.trend * (next - level) + (1.0 - gains.trend) * self.trend;
        self.level = Some(next);
    }

    /// Forgets level and trend, as after a gap. The season stays.
    pub(super) fn forget_trend(&mut self) {
        self.level = None;
        self.trend = 0.0;
    }

    /// What the figure will be `steps` later, in `slot`; `None` before the first figure.
    pub(super) fn ahead(&self, steps: f64, slot: usize) -> Option<f64> {
        Some(self.level? + self.trend * steps + self.season.mean(slot))
    }
}

impl Season {
    /// Whether the season has just become known.
    fn observe(&mut self, value: f64, slot: usize, slots: usize, gain: f64) -> bool {
        if slots == 0 {
            return false;
        }
        self.means.resize(slots, None);
        let was_known = self.is_known();
        match &mut self.open {
            Some((open, sum, count)) if *open == slot => {
                *sum += value;
                *count += 1.0;
            }
            open => {
                if let Some((slot, sum, count)) = open.replace((slot, value, 1.0)) {
                    self.close(slot, sum / count, gain);
                }
            }
        }
        self.is_known() && !was_known
    }

    fn close(&mut self, slot: usize, mean: f64, gain: f64) {
        let Some(known) = self.means.get_mut(slot) else { return };
        match known {
            Some(before) => *before += gain * (mean - *before),
            None => {
                *known = Some(mean);
                self.seen += 1;
            }
        }
    }

    fn is_known(&self) -> bool {
        !self.means.is_empty() && self.seen == self.means.len()
    }

    fn mean(&self, slot: usize) -> f64 {
        if !self.is_known() {
            return 0.0;
        }
        self.means.get(slot).copied().flatten().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALVES: Gains = Gains { level: 0.5, trend: 0.5, season: 0.5 };

    #[test]
    fn level_and_trend_follow_holts_formulas() {
        let mut model = HoltWinters::default();
        for value in [10.0, 20.0, 40.0] {
            model.observe(value, 0, 0, HALVES);
        }
        // By hand: levels 10, 15, 28.75; trends 0, 2.5, 8.125; two steps later 28.75 + 16.25.
        assert_eq!(model.ahead(2.0, 0), Some(45.0));
    }

    #[test]
    fn a_straight_line_is_continued() {
        let mut model = HoltWinters::default();
        for step in 0..200_u32 {
            model.observe(f64::from(step) * 3.0, 0, 0, HALVES);
        }
        assert!((model.ahead(10.0, 0).unwrap() - 627.0).abs() < 1e-6);
    }

    #[test]
    fn a_season_that_has_been_seen_once_is_expected_again() {
        let mut model = HoltWinters::default();
        let season = [10.0, 10.0, 50.0, 10.0];
        for step in 0..8 {
            model.observe(season[step % 4], step % 4, 4, HALVES);
        }
        // The last figure seen was the 10 in slot 3; slot 2 comes three steps later.
        assert!((model.ahead(1.0, 0).unwrap() - 10.0).abs() < 1e-9);
        assert!((model.ahead(3.0, 2).unwrap() - 50.0).abs() < 1e-9);
    }

    #[test]
    fn until_the_season_is_known_it_counts_for_nothing() {
        let mut model = HoltWinters::default();
        for slot in 0..3 {
            model.observe(7.0, slot, 4, HALVES);
        }
        assert_eq!(model.ahead(5.0, 3), Some(7.0));
    }
}
