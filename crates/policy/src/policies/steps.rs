//! Step scaling: how far the measure lies past the bound decides how many instances come or go.
//!
//! As Amazon EC2 Auto Scaling defines it ("Step and simple scaling policies for Amazon EC2 Auto
//! Scaling"): the steps' ranges, and the rounding of shares. A share between 0 and 1 instance
//! counts as 1, a larger one is rounded down.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::band::{Band, Past};
use super::measure::Measure;
use super::rounding;
use crate::advice::Advice;
use crate::reading::Reading;
use crate::spec::SpecError;
use crate::spec::figures::{self, PERCENT_OF_INSTANCE, SPAN};

/// Steps past an upper and a lower bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Steps {
    /// What is measured.
    pub measure: Measure,
    /// From this mean on, instances come.
    pub upper_percent: f64,
    /// Down to this mean, instances go.
    pub lower_percent: f64,
    /// Steps above the upper bound, the nearest to it first.
    pub out: Vec<Step>,
    /// Steps below the lower bound, the nearest to it first.
    #[serde(rename = "in")]
    pub inward: Vec<Step>,
    /// How far back the mean looks.
    pub window_ms: u64,
    /// The least time from one change that it asks for to the next.
    pub cooldown_ms: u64,
}

/// One step: from so far past the bound on, until the next step begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Percentage points past the bound.
    pub past: f64,
    /// How much the fleet changes.
    pub by: u32,
    /// Instances, or percent of the fleet.
    #[serde(default)]
    pub unit: Unit,
}

/// What a step counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Instances.
    #[default]
    Instances,
    /// Percent of the fleet.
    Percent,
}

pub use super::band::Memory;

impl Default for Steps {
    /// CPU between 30% and 60%; 1, 2 or 4 more from 0, 15 or 30 points above; 1 or 2 fewer from 0
    /// or 15 points below; means of a minute, a minute from change to change.
    fn default() -> Self {
        let step = |past, by| Step { past, by, unit: Unit::Instances };
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
    pub(super) fn check(&self) -> Result<(), SpecError> {
        figures::within("policy.window_ms", self.window_ms, 0..=figures::DAY_MS, SPAN)?;
        figures::within("policy.cooldown_ms", self.cooldown_ms, 0..=figures::DAY_MS, SPAN)?;
        check_steps(["policy.out", "policy.out.past", "policy.out.by"], &self.out)?;
        check_steps(["policy.in", "policy.in.past", "policy.in.by"], &self.inward)?;
        figures::band(self.lower_percent, self.upper_percent, PERCENT_OF_INSTANCE)
    }

    pub(super) fn advise(&self, memory: &mut Memory, reading: &Reading) -> Advice {
        let band = Band {
            measure: self.measure,
            upper_percent: self.upper_percent,
            lower_percent: self.lower_percent,
            window: Duration::from_millis(self.window_ms),
            wait: Duration::from_millis(self.cooldown_ms),
        };
        band.advise(memory, reading, |past, current| match past {
            Past::Upper(points) => current.saturating_add(change(&self.out, points, current)),
            Past::Lower(points) => current.saturating_sub(change(&self.inward, points, current)),
        })
    }
}

/// How many instances the last step that is reached changes.
fn change(steps: &[Step], points: f64, current: u32) -> u32 {
    let Some(step) = steps.iter().rev().find(|step| points >= step.past) else { return 0 };
    match step.unit {
        Unit::Instances => step.by,
        Unit::Percent if step.by == 0 => 0,
        Unit::Percent => rounding::floor(f64::from(current) * f64::from(step.by) / 100.0).max(1),
    }
}

fn check_steps([list, past, by]: [&'static str; 3], steps: &[Step]) -> Result<(), SpecError> {
    let count = format!("{} steps", steps.len());
    figures::check((1..=20).contains(&steps.len()), list, count, "1 to 20 steps")?;
    let mut before = f64::NEG_INFINITY;
    for (index, step) in steps.iter().enumerate() {
        let allowed =
            "0 to 10000 (percentage points past the bound), each more than the one before";
        let rises = (0.0..=10_000.0).contains(&step.past) && step.past > before;
        before = step.past;
        let good = figures::check(rises, past, step.past, allowed);
        let allowed = "0 to 1000 (instances, or percent of the fleet)";
        good.and_then(|()| figures::within(by, step.by, 0..=1000, allowed))
            .map_err(|error| error.of_item(list, index))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Reason;
    use crate::testing::reading;

    /// The example of Amazon's documentation: between 40% and 60% nothing happens; from 60% on 10%
    /// more, from 70% on 30% more; down to 40% 10% fewer, down to 30% 30% fewer.
    fn example() -> Steps {
        let share = |past, by| Step { past, by, unit: Unit::Percent };
        Steps {
            measure: Measure::Cpu,
            upper_percent: 60.0,
            lower_percent: 40.0,
            out: vec![share(0.0, 10), share(10.0, 30)],
            inward: vec![share(0.0, 10), share(10.0, 30)],
            window_ms: 0,
            cooldown_ms: 0,
        }
    }

    /// What the policy makes of `current` instances at this share of their CPU.
    fn asked(policy: &Steps, current: u32, percent: f64) -> Advice {
        let cpu_cores = Some(f64::from(current) * percent / 100.0);
        let reading = Reading { cpu_cores, ready: current, current, ..reading() };
        policy.advise(&mut Memory::default(), &reading)
    }

    #[test]
    fn amazons_example_goes_from_10_over_11_14_and_13_back_to_10() {
        let asked = |current, percent| asked(&example(), current, percent);
        assert_eq!(asked(10, 50.0), Advice::ready(10, Reason::InBand));
        assert_eq!(asked(10, 60.5), Advice::ready(11, Reason::AboveUpper));
        assert_eq!(asked(11, 70.5), Advice::ready(14, Reason::AboveUpper), "3.3 is 3");
        assert_eq!(asked(14, 39.5), Advice::ready(13, Reason::BelowLower), "1.4 is 1");
        assert_eq!(asked(13, 29.5), Advice::ready(10, Reason::BelowLower), "3.9 is 3");
    }

    #[test]
    fn steps_of_instances_are_taken_as_they_are_and_parts_of_one_count_as_one() {
        let default = Steps { window_ms: 0, ..Steps::default() };
        let out = [65.0, 76.0, 95.0].map(|percent| asked(&default, 4, percent));
        assert_eq!(out, [5, 6, 8].map(|ready| Advice::ready(ready, Reason::AboveUpper)));
        assert_eq!(asked(&default, 1, 5.0), Advice::ready(0, Reason::BelowLower));
        assert_eq!(asked(&example(), 2, 65.0), Advice::ready(3, Reason::AboveUpper));
    }

    #[test]
    fn steps_out_of_order_are_refused() {
        let mut policy = example();
        policy.out.swap(0, 1);
        let error = policy.check().unwrap_err().to_string();
        assert!(error.contains("policy.out[1].past is 0: use 0 to 10000"), "{error}");
        policy.out.clear();
        let error = policy.check().unwrap_err().to_string();
        assert!(error.contains("policy.out is 0 steps: use 1 to 20 steps"), "{error}");
    }
}
