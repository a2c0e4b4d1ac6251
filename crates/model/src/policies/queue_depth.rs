//! Figures of queue depth.

use serde::{Deserialize, Serialize};

use crate::value::{self, DAY_MS, Invalid, SPAN};

/// ready = ceil(requests waiting and under way / requests per instance).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct QueueDepth {
    /// Requests, waiting and under way, that one instance is to have; `capacity.concurrency` where
    /// it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.001, max = 1000000)))]
    pub requests_per_instance: Option<f64>,
    /// How long there must have been no request before the last instance goes.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub idle_ms: u64,
}

impl Default for QueueDepth {
    /// The last instance goes after 5 minutes, as with KEDA.
    fn default() -> Self {
        Self { requests_per_instance: None, idle_ms: 300_000 }
    }
}

impl QueueDepth {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let allowed = "0.001 to 1000000 (requests)";
        let per_instance = self.requests_per_instance.unwrap_or(1.0);
        value::within("policy.requests_per_instance", per_instance, 0.001..=1e6, allowed)?;
        value::within("policy.idle_ms", self.idle_ms, 0..=DAY_MS, SPAN)
    }
}
