//! Step scaling: how far the measure lies past the bound decides how many instances come or go.
//!
//! As Amazon EC2 Auto Scaling defines it ("Step and simple scaling policies for Amazon EC2 Auto
//! Scaling"): the steps' ranges, and the rounding of shares. A share between 0 and 1 instance
//! counts as 1, a larger one is rounded down.

use std::time::Duration;

use model::decision::Reason;
use model::policies::{Step, StepUnit, Steps};
use model::trail::WentBy;

use super::band::{Band, Past};
use super::rounding;
use crate::advice::Advice;
use crate::input::PolicyInput;

pub(super) use super::band::State;

pub(super) fn advise(figures: &Steps, state: &mut State, input: &PolicyInput) -> Advice {
    band(figures).advise(state, input, |past, current| match past {
        Past::Upper(points) => current.saturating_add(change(&figures.out, points, current)),
        Past::Lower(points) => current.saturating_sub(change(&figures.inward, points, current)),
    })
}

pub(super) fn went_by(
    figures: &Steps,
    state: &State,
    _: &PolicyInput,
    _: Reason,
) -> Option<WentBy> {
    band(figures).went_by(state)
}

fn band(figures: &Steps) -> Band {
    Band {
        measure: figures.measure,
        upper_percent: figures.upper_percent,
        lower_percent: figures.lower_percent,
        window: Duration::from_millis(figures.window_ms),
        wait: Duration::from_millis(figures.cooldown_ms),
    }
}

/// How many instances the last step that is reached changes.
fn change(steps: &[Step], points: f64, current: u32) -> u32 {
    let Some(step) = steps.iter().rev().find(|step| points >= step.past) else { return 0 };
    match step.unit {
        StepUnit::Instances => step.by,
        StepUnit::Percent if step.by == 0 => 0,
        StepUnit::Percent => {
            rounding::floor(f64::from(current) * f64::from(step.by) / 100.0).max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use model::policies::Policy;

    use super::*;
    use crate::testing::input;
    use model::decision::Reason;
    use model::policies::{Measure, Step, StepUnit, Steps};

    /// The example of Amazon's documentation: between 40% and 60% nothing happens; from 60% on 10%
    /// more, from 70% on 30% more; down to 40% 10% fewer, down to 30% 30% fewer.
    fn example() -> Steps {
        let share = |past, by| Step { past, by, unit: StepUnit::Percent };
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
        let input = PolicyInput { cpu_cores, ready: current, current, ..input() };
        advise(policy, &mut State::default(), &input)
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
        let error = Policy::Steps(policy.clone()).check().unwrap_err().to_string();
        assert!(error.contains("policy.out[1].past is 0: use 0 to 10000"), "{error}");
        policy.out.clear();
        let error = Policy::Steps(policy).check().unwrap_err().to_string();
        assert!(error.contains("policy.out is 0 steps: use 1 to 20 steps"), "{error}");
    }
}
