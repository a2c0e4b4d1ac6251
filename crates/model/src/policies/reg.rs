//! Figures of the regression baseline.

use serde::{Deserialize, Serialize};

use crate::value::{self, DAY_MS, Invalid, SOME_TIME};

/// The figures of both parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Reg {
    /// How many readings the regression looks at.
    #[cfg_attr(feature = "schema", schemars(range(min = 3, max = 10000)))]
    pub readings: usize,
    /// What is added to the load on the way out.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub headroom_out_percent: f64,
    /// What is added to the regression's result on the way in.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub headroom_in_percent: f64,
    /// Time from one reading to the next, and how far back the mean of the load looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub interval_ms: u64,
}

impl Default for Reg {
    /// 60 readings, 5% and 20%, every 30 s.
    fn default() -> Self {
        Self {
            readings: 60,
            headroom_out_percent: 5.0,
            headroom_in_percent: 20.0,
            interval_ms: 30_000,
        }
    }
}

impl Reg {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        value::within("policy.readings", self.readings, 3..=10_000, "3 to 10000")?;
        let allowed = "0 to 1000 (percent)";
        let (out, inward) = (self.headroom_out_percent, self.headroom_in_percent);
        value::within("policy.headroom_out_percent", out, 0.0..=1000.0, allowed)?;
        value::within("policy.headroom_in_percent", inward, 0.0..=1000.0, allowed)?;
        value::within("policy.interval_ms", self.interval_ms, 1..=DAY_MS, SOME_TIME)
    }
}
