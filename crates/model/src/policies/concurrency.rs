//! Figures of Knative's concurrency policy.

use serde::{Deserialize, Serialize};

use crate::value::{self, DAY_MS, Invalid, PERCENT_OF_CAPACITY, SOME_TIME, SPAN};

/// ready = ceil(requests in flight and waiting / (concurrency of an instance x target)), as a mean
/// over the stable window; in panic over the panic window too, and then never fewer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Concurrency {
    /// The share of `capacity.concurrency` to aim for.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
    pub target_percent: u32,
    /// How far back the stable mean looks, and how long panic lasts after its cause.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub stable_window_ms: u64,
    /// How far back the panic mean looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub panic_window_ms: u64,
    /// Panic begins where the panic mean asks for this share of the ready instances.
    #[cfg_attr(feature = "schema", schemars(range(min = 110, max = 1000)))]
    pub panic_threshold_percent: f64,
    /// The most that the fleet is multiplied by at once.
    #[cfg_attr(feature = "schema", schemars(range(min = 1.01, max = 1000000)))]
    pub max_out_rate: f64,
    /// The most that the fleet is divided by at once.
    #[cfg_attr(feature = "schema", schemars(range(min = 1.01, max = 1000000)))]
    pub max_in_rate: f64,
    /// Time from one advice to the next.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub sync_ms: u64,
}

impl Default for Concurrency {
    /// Knative's: 70%, 60 s, a panic window of 10% of that, 200%, 1000, 2, every 2 s.
    fn default() -> Self {
        Self {
            target_percent: 70,
            stable_window_ms: 60_000,
            panic_window_ms: 6_000,
            panic_threshold_percent: 200.0,
            max_out_rate: 1000.0,
            max_in_rate: 2.0,
            sync_ms: 2_000,
        }
    }
}

impl Concurrency {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let target = self.target_percent;
        value::within("policy.target_percent", target, 1..=100, PERCENT_OF_CAPACITY)?;
        let (stable, panic) = (self.stable_window_ms, self.panic_window_ms);
        value::within("policy.stable_window_ms", stable, 1..=DAY_MS, SOME_TIME)?;
        value::within("policy.panic_window_ms", panic, 1..=DAY_MS, SOME_TIME)?;
        let windows = ["policy.panic_window_ms", "policy.stable_window_ms"];
        value::ordered(windows, panic, stable)?;
        let threshold = self.panic_threshold_percent;
        let allowed = "110 to 1000 (percent of the ready instances)";
        value::within("policy.panic_threshold_percent", threshold, 110.0..=1000.0, allowed)?;
        let allowed = "1.01 to 1000000";
        value::within("policy.max_out_rate", self.max_out_rate, 1.01..=1e6, allowed)?;
        value::within("policy.max_in_rate", self.max_in_rate, 1.01..=1e6, allowed)?;
        value::within("policy.sync_ms", self.sync_ms, 0..=DAY_MS, SPAN)
    }
}
