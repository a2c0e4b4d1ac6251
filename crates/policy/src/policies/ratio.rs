//! Ratios: as thresholds, but the fleet is multiplied and divided, and the wait after a change is
//! longer than the window. Nothing happens until its figures are set.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::band::{Band, Past};
use super::measure::Measure;
use super::rounding;
use crate::advice::Advice;
use crate::reading::Reading;
use crate::spec::SpecError;
use crate::spec::figures::{self, PERCENT_OF_INSTANCE, SPAN};

/// Times `grow_ratio` at or above the upper bound, divided by `shrink_ratio` at or below the lower
/// one. A change is one instance at least.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ratio {
    /// What is measured.
    pub measure: Measure,
    /// From this mean on, the fleet grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_percent: Option<f64>,
    /// Down to this mean, the fleet shrinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_percent: Option<f64>,
    /// Growing multiplies by this, and rounds up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grow_ratio: Option<f64>,
    /// Shrinking divides by this, and rounds up: what is left must still carry the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrink_ratio: Option<f64>,
    /// How far back the mean looks.
    pub window_ms: u64,
    /// The least time from one change that it asks for to the next.
    pub wait_ms: u64,
}

pub use super::band::Memory;

impl Default for Ratio {
    /// No bounds and no ratios; means of 2 minutes, 4 minutes from change to change.
    fn default() -> Self {
        Self {
            measure: Measure::Cpu,
            upper_percent: None,
            lower_percent: None,
            grow_ratio: None,
            shrink_ratio: None,
            window_ms: 120_000,
            wait_ms: 240_000,
        }
    }
}

/// The figures without which it does nothing.
struct Figures {
    upper_percent: f64,
    lower_percent: f64,
    grow: f64,
    shrink: f64,
}

impl Ratio {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        figures::within("policy.window_ms", self.window_ms, 0..=figures::DAY_MS, SPAN)?;
        figures::within("policy.wait_ms", self.wait_ms, 0..=figures::DAY_MS, SPAN)?;
        let keyed = [
            ("policy.upper_percent", self.upper_percent),
            ("policy.lower_percent", self.lower_percent),
            ("policy.grow_ratio", self.grow_ratio),
            ("policy.shrink_ratio", self.shrink_ratio),
        ];
        if keyed.iter().all(|(_, figure)| figure.is_none()) {
            return Ok(());
        }
        if let Some((key, _)) = keyed.iter().find(|(_, figure)| figure.is_none()) {
            let allowed =
                "all of upper_percent, lower_percent, grow_ratio and shrink_ratio, or none";
            return Err(SpecError::Value {
                key: (*key).into(),
                value: "not set".to_owned(),
                allowed,
            });
        }
        let Some(set) = self.figures() else { return Ok(()) };
        let allowed = "1.01 to 100";
        figures::within("policy.grow_ratio", set.grow, 1.01..=100.0, allowed)?;
        figures::within("policy.shrink_ratio", set.shrink, 1.01..=100.0, allowed)?;
        figures::band(set.lower_percent, set.upper_percent, PERCENT_OF_INSTANCE)
    }

    fn figures(&self) -> Option<Figures> {
        Some(Figures {
            upper_percent: self.upper_percent?,
            lower_percent: self.lower_percent?,
            grow: self.grow_ratio?,
            shrink: self.shrink_ratio?,
        })
    }

    pub(super) fn advise(&self, memory: &mut Memory, reading: &Reading) -> Advice {
        let Some(set) = self.figures() else { return Advice::Silent };
        let band = Band {
            measure: self.measure,
            upper_percent: set.upper_percent,
            lower_percent: set.lower_percent,
            window: Duration::from_millis(self.window_ms),
            wait: Duration::from_millis(self.wait_ms),
        };
        band.advise(memory, reading, |past, current| {
            let fleet = f64::from(current);
            match past {
                Past::Upper(_) => rounding::ceil(fleet * set.grow).max(current.saturating_add(1)),
                Past::Lower(_) => rounding::ceil(fleet / set.shrink).min(current.saturating_sub(1)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Reason;
    use crate::testing::{reading, seconds};

    const SET: Ratio = Ratio {
        measure: Measure::Cpu,
        upper_percent: Some(80.0),
        lower_percent: Some(20.0),
        grow_ratio: Some(1.5),
        shrink_ratio: Some(2.0),
        window_ms: 0,
        wait_ms: 5000,
    };

    /// What it makes of `current` instances at this share of their CPU.
    fn asked(current: u32, percent: f64) -> Advice {
        let cpu_cores = Some(f64::from(current) * percent / 100.0);
        let reading = Reading { cpu_cores, ready: current, current, ..reading() };
        SET.advise(&mut Memory::default(), &reading)
    }

    #[test]
    fn the_fleet_is_multiplied_and_divided_by_one_instance_at_least() {
        let grown = [1, 2, 5].map(|current| asked(current, 90.0));
        assert_eq!(grown, [2, 3, 8].map(|ready| Advice::ready(ready, Reason::AboveUpper)));
        let shrunk = [1, 2, 5, 8].map(|current| asked(current, 10.0));
        assert_eq!(shrunk, [0, 1, 3, 4].map(|ready| Advice::ready(ready, Reason::BelowLower)));
        assert_eq!(asked(5, 50.0), Advice::ready(5, Reason::InBand));
    }

    #[test]
    fn the_wait_after_a_change_is_longer_than_the_window() {
        let mut memory = Memory::default();
        let mut at = |second, current| {
            let now = seconds(second);
            let cpu_cores = Some(4.0);
            SET.advise(&mut memory, &Reading { now, cpu_cores, ready: 4, current, ..reading() })
        };
        assert_eq!(at(0, 4), Advice::ready(6, Reason::AboveUpper));
        assert_eq!(at(4, 6), Advice::ready(6, Reason::Cooldown));
        assert_eq!(at(5, 6), Advice::ready(9, Reason::AboveUpper));
        let default = Ratio::default();
        assert!(default.wait_ms > default.window_ms);
    }

    #[test]
    fn without_its_figures_it_is_silent_and_half_of_them_are_refused() {
        assert_eq!(Ratio::default().advise(&mut Memory::default(), &reading()), Advice::Silent);
        assert_eq!(Ratio::default().check(), Ok(()));
        let half = Ratio { grow_ratio: None, ..SET };
        let error = half.check().unwrap_err().to_string();
        assert!(error.starts_with("policy.grow_ratio is not set: use all of"), "{error}");
    }
}
