//! Figures of the adaptive hybrid controller.

use serde::{Deserialize, Serialize};

use crate::value::{self, DAY_MS, Invalid, SOME_TIME};

/// The controller's figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Adapt {
    /// What is added to the load when it exceeds the fleet.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub headroom_percent: f64,
    /// The share of a negative repair rate that is followed.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100)))]
    pub release_percent: f64,
    /// Time from one step of the controller to the next, and how far back the load's mean looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub interval_ms: u64,
}

impl Default for Adapt {
    /// 10% and 25%, every 30 s.
    fn default() -> Self {
        Self { headroom_percent: 10.0, release_percent: 25.0, interval_ms: 30_000 }
    }
}

impl Adapt {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let headroom = self.headroom_percent;
        let allowed = "0 to 1000 (percent)";
        value::within("policy.headroom_percent", headroom, 0.0..=1000.0, allowed)?;
        let release = self.release_percent;
        value::within("policy.release_percent", release, 0.0..=100.0, "0 to 100 (percent)")?;
        value::within("policy.interval_ms", self.interval_ms, 1..=DAY_MS, SOME_TIME)
    }
}
