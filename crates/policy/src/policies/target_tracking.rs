//! Target tracking: keep every instance at a share of its capacity.

use crate::spec::Capacity;

/// Slack that absorbs binary rounding: 400 requests/s at 50 an instance and 80% are 10 instances,
/// also where the quotient comes out as 10.000000000000002.
const ROUNDING_SLACK: f64 = 1e-9;

/// ready = ceil(offered load / (capacity of an instance x target)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetTracking {
    /// The share of an instance's capacity to aim for, 1 to 100 percent. The rest is what absorbs
    /// a rise while the next instance starts.
    pub target_percent: u32,
}

impl TargetTracking {
    /// How many instances serve `offered_rps` requests per second at the target.
    pub fn needed(self, offered_rps: f64, capacity: Capacity) -> u32 {
        let per_instance = capacity.requests_per_second * f64::from(self.target_percent) / 100.0;
        ceil_to_u32(offered_rps / per_instance - ROUNDING_SLACK)
    }
}

/// The next whole number, cut to the range of `u32`; not a number counts as 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-integer cast saturates, which is what is wanted"
)]
fn ceil_to_u32(value: f64) -> u32 {
    value.ceil() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIFTY: Capacity = Capacity { requests_per_second: 50.0, concurrency: 8 };
    const AT_80: TargetTracking = TargetTracking { target_percent: 80 };

    #[test]
    fn forty_a_second_is_one_instance_at_80_percent_of_50() {
        let needed = [0.0, 0.1, 40.0, 40.1, 400.0, 400.1].map(|rps| AT_80.needed(rps, FIFTY));
        assert_eq!(needed, [0, 1, 1, 2, 10, 11]);
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
