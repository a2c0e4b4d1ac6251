//! The rules of each direction, which hold back what the policies ask for.

use std::time::Duration;

/// The rules of one direction, out or in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// How long the need must have stayed beyond the number that is decided, without a break. The
    /// least of what was asked for in that time is done.
    pub patience: Duration,
    /// Out: the least time from one rise to the next. In: from any change to a fall, so that
    /// nothing is taken away that was just given.
    pub cooldown: Duration,
    /// The largest change at once; `None` for any.
    pub largest_step: Option<LargestStep>,
}

/// The largest change at once. Where both are given, the larger one counts; it is one instance at
/// least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargestStep {
    /// Instances.
    pub count: Option<u32>,
    /// Percent of the number decided before, rounded up.
    pub percent: Option<u32>,
}

impl LargestStep {
    /// The largest change from `current`, in instances.
    pub fn from(self, current: u32) -> u32 {
        let share = |percent| u32::saturating_mul(current, percent).div_ceil(100);
        let count = self.count.unwrap_or(0);
        count.max(self.percent.map_or(0, share)).max(1)
    }
}
