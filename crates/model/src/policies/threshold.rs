//! Figures of thresholds.

use serde::{Deserialize, Serialize};

use super::measure::Measure;
use crate::value::{self, DAY_MS, Invalid, SPAN};

/// One more at or above the upper bound, one less at or below the lower one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Threshold {
    /// What is measured.
    pub measure: Measure,
    /// From this mean on, one instance more.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 10000)))]
    pub upper_percent: f64,
    /// Down to this mean, one instance less.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 10000)))]
    pub lower_percent: f64,
    /// How far back the mean looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub window_ms: u64,
    /// The least time from one change that it asks for to the next.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub cooldown_ms: u64,
}

impl Default for Threshold {
    /// CPU between 30% and 70%, means of a minute, a minute from change to change: no mean that
    /// it acts on reaches back past the change before.
    fn default() -> Self {
        Self {
            measure: Measure::Cpu,
            upper_percent: 70.0,
            lower_percent: 30.0,
            window_ms: 60_000,
            cooldown_ms: 60_000,
        }
    }
}

impl Threshold {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        value::within("policy.window_ms", self.window_ms, 0..=DAY_MS, SPAN)?;
        value::within("policy.cooldown_ms", self.cooldown_ms, 0..=DAY_MS, SPAN)?;
        value::percent_band(self.lower_percent, self.upper_percent)
    }
}
