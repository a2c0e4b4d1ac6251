//! Figures of the histogram predictor.

use serde::{Deserialize, Serialize};

use crate::value::{self, DAY_MS, Invalid, SOME_TIME};

/// The predictor's figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Hist {
    /// Which percentile of an hour's history is provided for.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
    pub percentile: u32,
    /// How many entries of each hour are kept.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100000)))]
    pub entries_per_hour: usize,
    /// Over how many intervals the under-estimates are averaged.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1000)))]
    pub errors: usize,
    /// What is added to the load where it exceeds the prediction.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub headroom_percent: f64,
    /// Time from one entry to the next, and how far back the mean of the load looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub interval_ms: u64,
}

impl Default for Hist {
    /// The 90th percentile of 730 entries, 5 errors, 5%, every 30 s.
    fn default() -> Self {
        Self {
            percentile: 90,
            entries_per_hour: 730,
            errors: 5,
            headroom_percent: 5.0,
            interval_ms: 30_000,
        }
    }
}

impl Hist {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        value::within("policy.percentile", self.percentile, 1..=100, "1 to 100")?;
        let entries = self.entries_per_hour;
        value::within("policy.entries_per_hour", entries, 1..=100_000, "1 to 100000")?;
        value::within("policy.errors", self.errors, 1..=1000, "1 to 1000")?;
        let headroom = self.headroom_percent;
        let allowed = "0 to 1000 (percent)";
        value::within("policy.headroom_percent", headroom, 0.0..=1000.0, allowed)?;
        value::within("policy.interval_ms", self.interval_ms, 1..=DAY_MS, SOME_TIME)
    }
}
