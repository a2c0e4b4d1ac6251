//! Figures of ratios.

use serde::{Deserialize, Serialize};

use super::measure::Measure;
use crate::value::{self, DAY_MS, Invalid, SPAN};

/// Times `grow_ratio` at or above the upper bound, divided by `shrink_ratio` at or below the lower
/// one. A change is one instance at least.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Ratio {
    /// What is measured.
    pub measure: Measure,
    /// From this mean on, the fleet grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 10000)))]
    pub upper_percent: Option<f64>,
    /// Down to this mean, the fleet shrinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 10000)))]
    pub lower_percent: Option<f64>,
    /// Growing multiplies by this, and rounds up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1.01, max = 100)))]
    pub grow_ratio: Option<f64>,
    /// Shrinking divides by this, and rounds up: what is left must still carry the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1.01, max = 100)))]
    pub shrink_ratio: Option<f64>,
    /// How far back the mean looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub window_ms: u64,
    /// The least time from one change that it asks for to the next.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub wait_ms: u64,
}

/// The figures without a default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratios {
    /// From this mean on, the fleet grows.
    pub upper_percent: f64,
    /// Down to this mean, the fleet shrinks.
    pub lower_percent: f64,
    /// Growing multiplies by this.
    pub grow: f64,
    /// Shrinking divides by this.
    pub shrink: f64,
}

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

impl Ratio {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        value::within("policy.window_ms", self.window_ms, 0..=DAY_MS, SPAN)?;
        value::within("policy.wait_ms", self.wait_ms, 0..=DAY_MS, SPAN)?;
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
            return Err(Invalid::new(*key, "not set", allowed));
        }
        let Some(set) = self.ratios() else { return Ok(()) };
        let allowed = "1.01 to 100";
        value::within("policy.grow_ratio", set.grow, 1.01..=100.0, allowed)?;
        value::within("policy.shrink_ratio", set.shrink, 1.01..=100.0, allowed)?;
        value::percent_band(set.lower_percent, set.upper_percent)
    }

    /// The figures without a default; `None` until all of them are set.
    pub fn ratios(&self) -> Option<Ratios> {
        Some(Ratios {
            upper_percent: self.upper_percent?,
            lower_percent: self.lower_percent?,
            grow: self.grow_ratio?,
            shrink: self.shrink_ratio?,
        })
    }
}
