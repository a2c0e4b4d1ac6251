//! Figures of step scaling.

use serde::{Deserialize, Serialize};

use super::measure::Measure;
use super::tables;
use crate::value::{self, DAY_MS, Invalid, SPAN};

/// Steps past an upper and a lower bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Steps {
    /// What is measured.
    pub measure: Measure,
    /// From this mean on, instances come.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 10000)))]
    pub upper_percent: f64,
    /// Down to this mean, instances go.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 10000)))]
    pub lower_percent: f64,
    /// Steps above the upper bound, the nearest to it first.
    #[serde(deserialize_with = "tables::read")]
    pub out: Vec<Step>,
    /// Steps below the lower bound, the nearest to it first.
    #[serde(rename = "in", deserialize_with = "tables::read")]
    pub inward: Vec<Step>,
    /// How far back the mean looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub window_ms: u64,
    /// The least time from one change that it asks for to the next.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub cooldown_ms: u64,
}

/// One step: from so far past the bound on, until the next step begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Percentage points past the bound.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 10000)))]
    pub past: f64,
    /// How much the fleet changes.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub by: u32,
    /// Instances, or percent of the fleet.
    #[serde(default)]
    pub unit: StepUnit,
}

/// What a step counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepUnit {
    /// Instances.
    #[default]
    Instances,
    /// Percent of the fleet.
    Percent,
}

impl Default for Steps {
    /// CPU between 30% and 60%; 1, 2 or 4 more from 0, 15 or 30 points above; 1 or 2 fewer from 0
    /// or 15 points below; means of a minute, a minute from change to change.
    fn default() -> Self {
        let step = |past, by| Step { past, by, unit: StepUnit::Instances };
        Self {
            measure: Measure::Cpu,
            upper_percent: 60.0,
            lower_percent: 30.0,
            out: vec![step(0.0, 1), step(15.0, 2), step(30.0, 4)],
            inward: vec![step(0.0, 1), step(15.0, 2)],
            window_ms: 60_000,
            cooldown_ms: 60_000,
        }
    }
}

impl Steps {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        value::within("policy.window_ms", self.window_ms, 0..=DAY_MS, SPAN)?;
        value::within("policy.cooldown_ms", self.cooldown_ms, 0..=DAY_MS, SPAN)?;
        check_steps(["policy.out", "policy.out.past", "policy.out.by"], &self.out)?;
        check_steps(["policy.in", "policy.in.past", "policy.in.by"], &self.inward)?;
        value::percent_band(self.lower_percent, self.upper_percent)
    }
}

fn check_steps([list, past, by]: [&'static str; 3], steps: &[Step]) -> Result<(), Invalid> {
    let count = format!("{} steps", steps.len());
    value::check((1..=20).contains(&steps.len()), list, count, "1 to 20 steps")?;
    let mut before = f64::NEG_INFINITY;
    for (index, step) in steps.iter().enumerate() {
        let allowed =
            "0 to 10000 (percentage points past the bound), each more than the one before";
        let rises = (0.0..=10_000.0).contains(&step.past) && step.past > before;
        before = step.past;
        let good = value::check(rises, past, step.past, allowed);
        let allowed = "0 to 1000 (instances, or percent of the fleet)";
        good.and_then(|()| value::within(by, step.by, 0..=1000, allowed))
            .map_err(|error| error.of_item(list, index))?;
    }
    Ok(())
}
