//! Figures of the choice among predictors.

use serde::{Deserialize, Serialize};

use crate::value::{self, DAY_MS, Invalid, SOME_TIME};

/// The predictors' figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Conpaas {
    /// How many readings the predictors look at. Until there are as many, the load decides.
    #[cfg_attr(feature = "schema", schemars(range(min = 3, max = 10000)))]
    pub readings: usize,
    /// Time from one reading to the next, and how far back the mean of the load looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub interval_ms: u64,
}

impl Default for Conpaas {
    /// 20 readings, every 30 s.
    fn default() -> Self {
        Self { readings: 20, interval_ms: 30_000 }
    }
}

impl Conpaas {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        value::within("policy.readings", self.readings, 3..=10_000, "3 to 10000")?;
        value::within("policy.interval_ms", self.interval_ms, 1..=DAY_MS, SOME_TIME)
    }
}
