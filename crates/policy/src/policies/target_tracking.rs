//! Target tracking: keep every instance at a share of its capacity.

use model::decision::Reason;
use model::policies::{Measure, TargetTracking};
use model::trail::WentBy;

use super::rounding;
use crate::advice::Advice;
use crate::input::PolicyInput;
use crate::load::OfferedLoad;

/// It remembers nothing.
pub type State = ();

pub(super) fn advise(figures: &TargetTracking, _: &mut State, input: &PolicyInput) -> Advice {
    let offered = input.offered().zip(input.offered_rps());
    let Some(((load, offered_rps), rate)) = offered.zip(input.rate_of_an_instance()) else {
        return Advice::Unknown;
    };
    let ready = needed(*figures, offered_rps, rate);
    Advice::ready(ready, reason(*figures, &load, ready, rate))
}

pub(super) fn went_by(
    figures: &TargetTracking,
    (): &State,
    input: &PolicyInput,
    _: Reason,
) -> Option<WentBy> {
    let per_instance = per_instance(*figures, input.rate_of_an_instance()?);
    Some(WentBy::Load { measure: Measure::Offered, value: input.offered_rps()?, per_instance })
}

/// How many instances that each serve `rate` requests per second serve `offered_rps` of them at the target.
pub fn needed(figures: TargetTracking, offered_rps: f64, rate: f64) -> u32 {
    rounding::ceil(offered_rps / per_instance(figures, rate))
}

/// Requests per second that an instance is to have at the target.
fn per_instance(figures: TargetTracking, rate: f64) -> f64 {
    rate * f64::from(figures.target_percent) / 100.0
}

/// The least unusual part of the load that explains the need.
fn reason(figures: TargetTracking, load: &OfferedLoad, ready: u32, rate: f64) -> Reason {
    if needed(figures, load.mean_rps, rate) >= ready {
        Reason::OfferedLoad
    } else if needed(figures, load.mean_rps.max(load.burst_rps), rate) >= ready {
        Reason::Burst
    } else {
        Reason::Queue
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{offered, with_load};

    const AT_80: TargetTracking = TargetTracking { target_percent: 80 };

    #[test]
    fn forty_a_second_is_one_instance_at_80_percent_of_50() {
        let needed = [0.0, 0.1, 40.0, 40.1, 400.0, 400.1].map(|rps| needed(AT_80, rps, 50.0));
        assert_eq!(needed, [0, 1, 1, 2, 10, 11]);
    }

    #[test]
    fn the_reason_names_what_tipped_the_balance() {
        let of = |burst_rps, queue_rps| {
            let load = OfferedLoad { mean_rps: 40.0, burst_rps, queue_rps };
            advise(&AT_80, &mut (), &with_load(Some(load)))
        };
        assert_eq!(of(0.0, 0.0), Advice::ready(1, Reason::OfferedLoad));
        assert_eq!(of(50.0, 0.0), Advice::ready(2, Reason::Burst));
        assert_eq!(of(0.0, 1.0), Advice::ready(2, Reason::Queue));
    }

    #[test]
    fn a_load_that_cannot_be_is_not_known() {
        assert_eq!(advise(&AT_80, &mut (), &offered(f64::NAN)), Advice::Unknown);
    }

    proptest! {
        #[test]
        fn what_is_needed_carries_the_load_and_one_less_does_not(
            offered in 0.0_f64..1e6, target_percent in 1_u32..=100, rps in 0.1_f64..1e4
        ) {
            let policy = TargetTracking { target_percent };
            let needed = needed(policy, offered, rps);
            let carried = |n: u32| f64::from(n) * rps * f64::from(target_percent) / 100.0;
            prop_assert!(carried(needed) >= offered * (1.0 - 1e-6) - 1e-6);
            prop_assert!(needed == 0 || carried(needed - 1) < offered);
        }
    }
}
