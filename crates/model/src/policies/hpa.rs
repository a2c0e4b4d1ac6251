//! Figures of Kubernetes' horizontal pod autoscaler.

use serde::{Deserialize, Serialize};

use super::measure::Measure;
use crate::value::{self, DAY_MS, Invalid, PERCENT_OF_INSTANCE, SOME_TIME, SPAN};

/// Kubernetes' formula and behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Hpa {
    /// What is measured. Kubernetes' default is `cpu`; here it is the load that the load balancer
    /// sees, which Kubernetes calls an object metric: the strongest form of the policy.
    pub measure: Measure,
    /// The mean per instance to aim for.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10000)))]
    pub target_percent: f64,
    /// Time from one recommendation to the next.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub sync_ms: u64,
    /// How far the measure may lie off its target without a change.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 99)))]
    pub tolerance_percent: f64,
    /// In: the highest recommendation of this time counts.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub stabilisation_in_ms: u64,
    /// Out: the lowest recommendation of this time counts.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub stabilisation_out_ms: u64,
    /// How many instances may come within a period.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub out_count: u32,
    /// What share of the fleet may come within a period, where that is more.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 10000)))]
    pub out_percent: u32,
    /// What share of the fleet may go within a period.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100)))]
    pub in_percent: u32,
    /// The period of these rates.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub period_ms: u64,
}

impl Default for Hpa {
    /// Kubernetes': 80%, 15 s, 10%, 300 s in and none out, 4 instances or 100% out and 100% in
    /// within 15 s.
    fn default() -> Self {
        Self {
            measure: Measure::Offered,
            target_percent: 80.0,
            sync_ms: 15_000,
            tolerance_percent: 10.0,
            stabilisation_in_ms: 300_000,
            stabilisation_out_ms: 0,
            out_count: 4,
            out_percent: 100,
            in_percent: 100,
            period_ms: 15_000,
        }
    }
}

impl Hpa {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let day = DAY_MS;
        let target = self.target_percent;
        value::within("policy.target_percent", target, 1.0..=10_000.0, PERCENT_OF_INSTANCE)?;
        let tolerance = self.tolerance_percent;
        value::within("policy.tolerance_percent", tolerance, 0.0..=99.0, "0 to 99 (percent)")?;
        value::within("policy.sync_ms", self.sync_ms, 0..=day, SPAN)?;
        value::within("policy.stabilisation_in_ms", self.stabilisation_in_ms, 0..=day, SPAN)?;
        value::within("policy.stabilisation_out_ms", self.stabilisation_out_ms, 0..=day, SPAN)?;
        value::within("policy.out_count", self.out_count, 0..=1000, "0 to 1000 (instances)")?;
        let allowed = "0 to 10000 (percent of the fleet)";
        value::within("policy.out_percent", self.out_percent, 0..=10_000, allowed)?;
        let allowed = "0 to 100 (percent of the fleet)";
        value::within("policy.in_percent", self.in_percent, 0..=100, allowed)?;
        value::within("policy.period_ms", self.period_ms, 1..=day, SOME_TIME)
    }
}
