//! Figures of target tracking.

use serde::{Deserialize, Serialize};

use crate::value::{self, Invalid, PERCENT_OF_CAPACITY};

/// ready = ceil(offered load / (capacity of an instance x target)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TargetTracking {
    /// The share of an instance's capacity to aim for, 1 to 100 percent. The rest is what absorbs
    /// a rise while the next instance starts.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
    pub target_percent: u32,
}

impl Default for TargetTracking {
    fn default() -> Self {
        Self { target_percent: 80 }
    }
}

impl TargetTracking {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        value::within("policy.target_percent", self.target_percent, 1..=100, PERCENT_OF_CAPACITY)
    }
}
