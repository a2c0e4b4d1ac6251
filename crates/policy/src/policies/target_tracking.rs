//! Target tracking: keep every instance at a share of its capacity.

use serde::{Deserialize, Serialize};

use super::rounding;
use crate::advice::Advice;
use crate::decision::Reason;
use crate::load::OfferedLoad;
use crate::reading::Reading;
use crate::spec::figures::{self, PERCENT_OF_CAPACITY};
use crate::spec::{Capacity, SpecError};

/// ready = ceil(offered load / (capacity of an instance x target)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetTracking {
    /// The share of an instance's capacity to aim for, 1 to 100 percent. The rest is what absorbs
    /// a rise while the next instance starts.
    pub target_percent: u32,
}

/// It remembers nothing.
pub type Memory = ();

impl Default for TargetTracking {
    fn default() -> Self {
        Self { target_percent: 80 }
    }
}

impl TargetTracking {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        figures::within("policy.target_percent", self.target_percent, 1..=100, PERCENT_OF_CAPACITY)
    }

    pub(super) fn advise(&self, _: &mut Memory, reading: &Reading) -> Advice {
        let Some((load, offered_rps)) = reading.offered().zip(reading.offered_rps()) else {
            return Advice::Unknown;
        };
        let ready = self.needed(offered_rps, reading.capacity);
        Advice::ready(ready, self.reason(&load, ready, reading.capacity))
    }

    /// How many instances serve `offered_rps` requests per second at the target.
    pub fn needed(self, offered_rps: f64, capacity: Capacity) -> u32 {
        let per_instance = capacity.requests_per_second * f64::from(self.target_percent) / 100.0;
        rounding::ceil(offered_rps / per_instance)
    }

    /// The least unusual part of the load that explains the need.
    fn reason(self, load: &OfferedLoad, needed: u32, capacity: Capacity) -> Reason {
        if self.needed(load.mean_rps, capacity) >= needed {
            Reason::OfferedLoad
        } else if self.needed(load.mean_rps.max(load.burst_rps), capacity) >= needed {
            Reason::Burst
        } else {
            Reason::Backlog
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{offered, reading};

    const FIFTY: Capacity = Capacity { requests_per_second: 50.0, concurrency: 8 };
    const AT_80: TargetTracking = TargetTracking { target_percent: 80 };

    #[test]
    fn forty_a_second_is_one_instance_at_80_percent_of_50() {
        let needed = [0.0, 0.1, 40.0, 40.1, 400.0, 400.1].map(|rps| AT_80.needed(rps, FIFTY));
        assert_eq!(needed, [0, 1, 1, 2, 10, 11]);
    }

    #[test]
    fn the_reason_names_what_tipped_the_balance() {
        let of = |burst_rps, backlog_rps| {
            let load = OfferedLoad { mean_rps: 40.0, burst_rps, backlog_rps };
            AT_80.advise(&mut (), &Reading { offered: Some(load), ..reading() })
        };
        assert_eq!(of(0.0, 0.0), Advice::ready(1, Reason::OfferedLoad));
        assert_eq!(of(50.0, 0.0), Advice::ready(2, Reason::Burst));
        assert_eq!(of(0.0, 1.0), Advice::ready(2, Reason::Backlog));
    }

    #[test]
    fn a_load_that_cannot_be_is_not_known() {
        assert_eq!(AT_80.advise(&mut (), &offered(f64::NAN)), Advice::Unknown);
    }

    proptest! {
        #[test]
        fn what_is_needed_carries_the_load_and_one_less_does_not(
            offered in 0.0_f64..1e6, target_percent in 1_u32..=100, rps in 0.1_f64..1e4
        ) {
            let capacity = Capacity { requests_per_second: rps, concurrency: 1 };
            let policy = TargetTracking { target_percent };
            let needed = policy.needed(offered, capacity);
            let carried = |n: u32| f64::from(n) * rps * f64::from(target_percent) / 100.0;
            prop_assert!(carried(needed) >= offered * (1.0 - 1e-6) - 1e-6);
            prop_assert!(needed == 0 || carried(needed - 1) < offered);
        }
    }
}
