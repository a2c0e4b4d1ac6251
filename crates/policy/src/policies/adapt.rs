//! Adapt: an adaptive hybrid controller, reactive out and gradual in.
//!
//! A. Ali-Eldin, J. Tordsson and E. Elmroth, "An Adaptive Hybrid Elasticity Repairs for Cloud
//! Infrastructures", NOMS 2012; figures of the first author's implementation
//! (`ahmedaley/Autoscalers`, `AKTE.py`). With C instances, a load of L instances and n the mean of
//! all C so far, the controller repairs R = C (L - C) / n instances an interval, a quarter of that
//! where it is negative, and adds up the parts of whole ones. Beyond that, a load above C is met
//! at once, with some headroom. The paper itself was not at hand.

use model::decision::Reason;
use model::policies::Adapt;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::load_reader::LoadReader;
use super::rounding;
use crate::advice::Advice;
use crate::input::PolicyInput;

/// What it remembers.
pub(super) type State = LoadReader<Repairs>;

/// How much is still to be repaired.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Repairs {
    /// Sum of the fleet's sizes, one an interval, and their number.
    #[serde(with = "crate::exact")]
    alive: f64,
    #[serde(with = "crate::exact")]
    intervals: f64,
    /// Parts of instances that are still to be added or released.
    #[serde(with = "crate::exact")]
    repair: f64,
}

pub(super) fn advise(figures: &Adapt, state: &mut State, input: &PolicyInput) -> Advice {
    state.advise(figures.interval_ms, input, |repairs, load| {
        step(figures, repairs, rounding::ceil(load), input.current)
    })
}

pub(super) fn went_by(_: &Adapt, state: &State, input: &PolicyInput, _: Reason) -> Option<WentBy> {
    state.went_by(input)
}

/// One step of the controller.
fn step(figures: &Adapt, state: &mut Repairs, needed: u32, current: u32) -> Advice {
    let (load, fleet) = (f64::from(needed), f64::from(current));
    state.alive += fleet;
    state.intervals += 1.0;
    let mean_fleet = (state.alive / state.intervals).max(1.0);
    let rate = fleet * (load - fleet) / mean_fleet;
    state.repair += if rate < 0.0 { rate * figures.release_percent / 100.0 } else { rate };

    let is_negative = state.repair < 0.0;
    let whole = state.repair.trunc();
    state.repair -= whole;
    if is_negative {
        let left = rounding::ceil(fleet + whole).max(needed);
        let reason = if needed > current { Reason::OfferedLoad } else { Reason::Released };
        return Advice::ready(left, reason);
    }
    if needed <= current {
        return Advice::ready(current, Reason::InBand);
    }
    let enough = rounding::ceil(load * (100.0 + figures.headroom_percent) / 100.0 + whole);
    Advice::ready(enough, Reason::OfferedLoad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_is_met_with_headroom_and_the_repair() {
        let mut state = Repairs::default();
        // n = 5, R = 5 (10 - 5) / 5 = 5; ceil(1.1 x 10) + 5.
        let advice = step(&Adapt::default(), &mut state, 10, 5);
        assert_eq!(advice, Advice::ready(16, Reason::OfferedLoad));
    }

    #[test]
    fn what_is_not_used_is_given_back_a_quarter_of_the_rate_at_a_time() {
        let (adapt, mut state) = (Adapt::default(), Repairs::default());
        // n = 10, R = -5 / 4 = -1.25: one goes, 0.25 is kept in mind.
        assert_eq!(step(&adapt, &mut state, 5, 10), Advice::ready(9, Reason::Released));
        assert!((state.repair + 0.25).abs() < 1e-9);
        // n = 9.5, R = 9 (5 - 9) / 9.5 / 4 = -0.947: together -1.197.
        assert_eq!(step(&adapt, &mut state, 5, 9), Advice::ready(8, Reason::Released));
        assert!((state.repair + 0.197_368).abs() < 1e-5);
    }

    #[test]
    fn it_never_releases_below_the_load_and_starts_from_nothing() {
        let mut state = Repairs { alive: 100.0, intervals: 10.0, repair: -7.5 };
        let advice = step(&Adapt::default(), &mut state, 9, 10);
        assert_eq!(advice, Advice::ready(9, Reason::Released));
        let advice = step(&Adapt::default(), &mut Repairs::default(), 3, 0);
        assert_eq!(advice, Advice::ready(4, Reason::OfferedLoad));
    }
}
