//! Thresholds: one instance more above an upper bound, one less below a lower one.
//!
//! The rule that most cloud providers began with, described as "static, threshold-based rules" by
//! Lorido-Botran, Miguel-Alonso and Lozano, "A Review of Auto-scaling Techniques for Elastic
//! Applications in Cloud Environments", Journal of Grid Computing 12, 2014, section 5.1.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::band::{Band, Past};
use super::measure::Measure;
use crate::advice::Advice;
use crate::reading::Reading;
use crate::spec::SpecError;
use crate::spec::figures::{self, PERCENT_OF_INSTANCE, SPAN};

/// One more at or above the upper bound, one less at or below the lower one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Threshold {
    /// What is measured.
    pub measure: Measure,
    /// From this mean on, one instance more.
    pub upper_percent: f64,
    /// Down to this mean, one instance less.
    pub lower_percent: f64,
    /// How far back the mean looks.
    pub window_ms: u64,
    /// The least time from one change that it asks for to the next.
    pub cooldown_ms: u64,
}

pub use super::band::Memory;

impl Default for Threshold {
    /// CPU between 30% and 70%, means of a minute, a minute from change to change: no mean that
    /// it acts on reaches back past the change before.
    fn default() -> Self {
        Self {
            measure: Measure::Cpu,
            upper_percent: 70.0,
            lower_percent: 30.0,
            window_ms: 60_000,
            cooldown_ms: 60_000,
        }
    }
}

impl Threshold {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        figures::within("policy.window_ms", self.window_ms, 0..=figures::DAY_MS, SPAN)?;
        figures::within("policy.cooldown_ms", self.cooldown_ms, 0..=figures::DAY_MS, SPAN)?;
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
            Past::Upper(_) => current.saturating_add(1),
            Past::Lower(_) => current.saturating_sub(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Reason;
    use crate::testing::{reading, seconds};

    const QUICK: Threshold = Threshold {
        measure: Measure::Cpu,
        upper_percent: 70.0,
        lower_percent: 30.0,
        window_ms: 2000,
        cooldown_ms: 3000,
    };

    /// Four instances of one core each, which together use this many cores.
    fn at(memory: &mut Memory, second: u64, cpu_cores: f64, current: u32) -> Advice {
        let now = seconds(second);
        let cpu_cores = Some(cpu_cores);
        QUICK.advise(memory, &Reading { now, cpu_cores, ready: 4, current, ..reading() })
    }

    #[test]
    fn one_more_above_one_less_below_and_a_wait_after_each() {
        let mut memory = Memory::default();
        let filling = Advice::ready(4, Reason::WindowFilling);
        assert_eq!(at(&mut memory, 0, 3.2, 4), filling);
        assert_eq!(at(&mut memory, 1, 3.2, 4), filling);
        assert_eq!(at(&mut memory, 2, 3.2, 4), Advice::ready(5, Reason::AboveUpper));
        assert_eq!(at(&mut memory, 3, 3.2, 5), Advice::ready(5, Reason::Cooldown));
        assert_eq!(at(&mut memory, 4, 0.4, 5), Advice::ready(5, Reason::Cooldown));
        assert_eq!(at(&mut memory, 5, 0.4, 5), Advice::ready(4, Reason::BelowLower));
    }

    #[test]
    fn between_the_bounds_nothing_changes() {
        let mut memory = Memory::default();
        for second in 0..5 {
            let _ = at(&mut memory, second, 2.0, 4);
        }
        assert_eq!(at(&mut memory, 5, 2.0, 4), Advice::ready(4, Reason::InBand));
    }

    #[test]
    fn a_change_that_is_held_back_is_asked_for_without_a_break() {
        let mut memory = Memory::default();
        let asked: Vec<_> = (0..12).map(|second| at(&mut memory, second, 0.4, 4)).collect();
        let lower = |advice: &Advice| matches!(advice, Advice::Ready { ready: 3, .. });
        assert!(asked[2..].iter().all(lower), "{asked:?}");
    }
}
