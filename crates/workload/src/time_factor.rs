//! By how much a load is shortened.

/// By how much to shorten a scenario: every duration of its load is multiplied by this.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeFactor(f64);

impl TimeFactor {
    /// The load as it is.
    pub const WHOLE: Self = Self(1.0);

    /// A factor; `None` unless it is above 0 and at most 1.
    pub fn new(factor: f64) -> Option<Self> {
        (factor > 0.0 && factor <= 1.0).then_some(Self(factor))
    }

    /// This factor and another one after it.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }

    /// The factor as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}
