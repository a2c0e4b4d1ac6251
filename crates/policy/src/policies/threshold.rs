//! Thresholds: one instance more above an upper bound, one less below a lower one.
//!
//! The rule that most cloud providers began with, described as "static, threshold-based rules" by
//! Lorido-Botran, Miguel-Alonso and Lozano, "A Review of Auto-scaling Techniques for Elastic
//! Applications in Cloud Environments", Journal of Grid Computing 12, 2014, section 5.1.

use std::time::Duration;

use model::decision::Reason;
use model::policies::Threshold;
use model::trail::WentBy;

use super::band::{Band, Past};
use crate::advice::Advice;
use crate::input::PolicyInput;

pub(super) use super::band::State;

pub(super) fn advise(figures: &Threshold, state: &mut State, input: &PolicyInput) -> Advice {
    band(figures).advise(state, input, |past, current| match past {
        Past::Upper(_) => current.saturating_add(1),
        Past::Lower(_) => current.saturating_sub(1),
    })
}

pub(super) fn went_by(
    figures: &Threshold,
    state: &State,
    _: &PolicyInput,
    _: Reason,
) -> Option<WentBy> {
    band(figures).went_by(state)
}

fn band(figures: &Threshold) -> Band {
    Band {
        measure: figures.measure,
        upper_percent: figures.upper_percent,
        lower_percent: figures.lower_percent,
        window: Duration::from_millis(figures.window_ms),
        wait: Duration::from_millis(figures.cooldown_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{input, seconds};
    use model::decision::Reason;
    use model::policies::{Measure, Threshold};

    const QUICK: Threshold = Threshold {
        measure: Measure::Cpu,
        upper_percent: 70.0,
        lower_percent: 30.0,
        window_ms: 2000,
        cooldown_ms: 3000,
    };

    /// Four instances of one core each, which together use this many cores.
    fn at(state: &mut State, second: u64, cpu_cores: f64, current: u32) -> Advice {
        let now = seconds(second);
        let cpu_cores = Some(cpu_cores);
        advise(&QUICK, state, &PolicyInput { now, cpu_cores, ready: 4, current, ..input() })
    }

    #[test]
    fn one_more_above_one_less_below_and_a_wait_after_each() {
        let mut state = State::default();
        let filling = Advice::ready(4, Reason::WindowFilling);
        assert_eq!(at(&mut state, 0, 3.2, 4), filling);
        assert_eq!(at(&mut state, 1, 3.2, 4), filling);
        assert_eq!(at(&mut state, 2, 3.2, 4), Advice::ready(5, Reason::AboveUpper));
        assert_eq!(at(&mut state, 3, 3.2, 5), Advice::ready(5, Reason::Cooldown));
        assert_eq!(at(&mut state, 4, 0.4, 5), Advice::ready(5, Reason::Cooldown));
        assert_eq!(at(&mut state, 5, 0.4, 5), Advice::ready(4, Reason::BelowLower));
    }

    #[test]
    fn between_the_bounds_nothing_changes() {
        let mut state = State::default();
        for second in 0..5 {
            let _ = at(&mut state, second, 2.0, 4);
        }
        assert_eq!(at(&mut state, 5, 2.0, 4), Advice::ready(4, Reason::InBand));
    }

    #[test]
    fn a_change_that_is_held_back_is_asked_for_without_a_break() {
        let mut state = State::default();
        let asked: Vec<_> = (0..12).map(|second| at(&mut state, second, 0.4, 4)).collect();
        let lower = |advice: &Advice| matches!(advice, Advice::Ready { ready: 3, .. });
        assert!(asked[2..].iter().all(lower), "{asked:?}");
    }
}
