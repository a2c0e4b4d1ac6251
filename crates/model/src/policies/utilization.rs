//! Figures of utilization.

use serde::{Deserialize, Serialize};

use crate::value::{self, DAY_MS, Invalid, PERCENT_OF_CAPACITY, SOME_TIME};

/// ready = the larger one of ceil(requests in flight and waiting / (concurrency of an instance x target)) and
/// ceil(CPU time used / (CPU time that an instance may use x target)), both as means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Utilization {
    /// The share of an instance's places, and of its CPU time, to aim for, 1 to 100 percent.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
    pub target_percent: u32,
    /// How far back the means look.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub window_ms: u64,
}

impl Default for Utilization {
    /// 80% of a second, as target tracking.
    fn default() -> Self {
        Self { target_percent: 80, window_ms: 1_000 }
    }
}

impl Utilization {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        value::within("policy.target_percent", self.target_percent, 1..=100, PERCENT_OF_CAPACITY)?;
        value::within("policy.window_ms", self.window_ms, 1..=DAY_MS, SOME_TIME)
    }
}
