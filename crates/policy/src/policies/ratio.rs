//! Ratios: as thresholds, but the fleet is multiplied and divided, and the wait after a change is
//! longer than the window. Nothing happens until its figures are set.

use std::time::Duration;

use model::decision::Reason;
use model::policies::{Ratio, Ratios};
use model::trail::WentBy;

use super::band::{Band, Past};
use super::rounding;
use crate::advice::Advice;
use crate::input::PolicyInput;

pub(super) use super::band::State;

pub(super) fn advise(figures: &Ratio, state: &mut State, input: &PolicyInput) -> Advice {
    let Some(set) = figures.ratios() else { return Advice::Silent };
    band(figures, set).advise(state, input, |past, current| {
        let fleet = f64::from(current);
        match past {
            Past::Upper(_) => rounding::ceil(fleet * set.grow).max(current.saturating_add(1)),
            Past::Lower(_) => rounding::ceil(fleet / set.shrink).min(current.saturating_sub(1)),
        }
    })
}

pub(super) fn went_by(
    figures: &Ratio,
    state: &State,
    _: &PolicyInput,
    _: Reason,
) -> Option<WentBy> {
    band(figures, figures.ratios()?).went_by(state)
}

fn band(figures: &Ratio, set: Ratios) -> Band {
    Band {
        measure: figures.measure,
        upper_percent: set.upper_percent,
        lower_percent: set.lower_percent,
        window: Duration::from_millis(figures.window_ms),
        wait: Duration::from_millis(figures.wait_ms),
    }
}

#[cfg(test)]
mod tests {
    use model::policies::Policy;

    use super::*;
    use crate::testing::{input, seconds};
    use model::decision::Reason;
    use model::policies::{Measure, Ratio};

    const SET: Ratio = Ratio {
        measure: Measure::Cpu,
        upper_percent: Some(80.0),
        lower_percent: Some(20.0),
        grow_ratio: Some(1.5),
        shrink_ratio: Some(2.0),
        window_ms: 0,
        wait_ms: 5000,
    };

    /// What it makes of `current` instances at this share of their CPU.
    fn asked(current: u32, percent: f64) -> Advice {
        let cpu_cores = Some(f64::from(current) * percent / 100.0);
        let input = PolicyInput { cpu_cores, ready: current, current, ..input() };
        advise(&SET, &mut State::default(), &input)
    }

    #[test]
    fn the_fleet_is_multiplied_and_divided_by_one_instance_at_least() {
        let grown = [1, 2, 5].map(|current| asked(current, 90.0));
        assert_eq!(grown, [2, 3, 8].map(|ready| Advice::ready(ready, Reason::AboveUpper)));
        let shrunk = [1, 2, 5, 8].map(|current| asked(current, 10.0));
        assert_eq!(shrunk, [0, 1, 3, 4].map(|ready| Advice::ready(ready, Reason::BelowLower)));
        assert_eq!(asked(5, 50.0), Advice::ready(5, Reason::InBand));
    }

    #[test]
    fn the_wait_after_a_change_is_longer_than_the_window() {
        let mut state = State::default();
        let mut at = |second, current| {
            let now = seconds(second);
            let cpu_cores = Some(4.0);
            advise(&SET, &mut state, &PolicyInput { now, cpu_cores, ready: 4, current, ..input() })
        };
        assert_eq!(at(0, 4), Advice::ready(6, Reason::AboveUpper));
        assert_eq!(at(4, 6), Advice::ready(6, Reason::Cooldown));
        assert_eq!(at(5, 6), Advice::ready(9, Reason::AboveUpper));
        let default = Ratio::default();
        assert!(default.wait_ms > default.window_ms);
    }

    #[test]
    fn without_its_figures_it_is_silent_and_half_of_them_are_refused() {
        assert_eq!(advise(&Ratio::default(), &mut State::default(), &input()), Advice::Silent);
        assert_eq!(Policy::Ratio(Ratio::default()).check(), Ok(()));
        let half = Ratio { grow_ratio: None, ..SET };
        let error = Policy::Ratio(half).check().unwrap_err().to_string();
        assert!(error.starts_with("policy.grow_ratio is not set: use all of"), "{error}");
    }
}
