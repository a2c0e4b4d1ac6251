//! Figures of the reactive baseline.

use serde::{Deserialize, Serialize};

use crate::value::{self, DAY_MS, Invalid, SOME_TIME};

/// Out: what is missing and some headroom. In, past some slack: what is needed and that headroom.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct React {
    /// What is added to the missing instances, and to the needed ones on the way in.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub headroom_percent: f64,
    /// How much the load must lie below the fleet before instances go.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub slack_percent: f64,
    /// Time from one look to the next, and how far back the mean of the load looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub interval_ms: u64,
}

impl Default for React {
    /// 20% and 10%, every 30 s.
    fn default() -> Self {
        Self { headroom_percent: 20.0, slack_percent: 10.0, interval_ms: 30_000 }
    }
}

impl React {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let allowed = "0 to 1000 (percent)";
        let (headroom, slack) = (self.headroom_percent, self.slack_percent);
        value::within("policy.headroom_percent", headroom, 0.0..=1000.0, allowed)?;
        value::within("policy.slack_percent", slack, 0.0..=1000.0, allowed)?;
        value::within("policy.interval_ms", self.interval_ms, 1..=DAY_MS, SOME_TIME)
    }
}
