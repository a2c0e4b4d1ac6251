//! React: the reactive baseline.
//!
//! T. C. Chieu, A. Mohindra, A. A. Karve and A. Segal, "Dynamic Scaling of Web Applications in a
//! Virtualized Cloud Computing Environment", ICEBE 2009: more when the instances are used above a
//! share, fewer when some idle. They count sessions per instance; here, as in A. Ali-Eldin's
//! implementation (`ahmedaley/Autoscalers`, `Reactive.py`), which later comparisons ran, the load
//! in instances stands for them, with that file's headroom and slack. It could ask for more on the
//! way in (9 instances' load of 10 became 10.8); here it asks for what is at most. The paper itself
//! was not at hand.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::measure::Measure;
use super::rounding;
use super::timer::Paced;
use crate::advice::Advice;
use crate::decision::Reason;
use crate::reading::Reading;
use crate::spec::SpecError;
use crate::spec::figures::{self, SOME_TIME};
use crate::window::MeanWindow;

/// Out: what is missing and some headroom. In, past some slack: what is needed and that headroom.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct React {
    /// What is added to the missing instances, and to the needed ones on the way in.
    pub headroom_percent: f64,
    /// How much the load must lie below the fleet before instances go.
    pub slack_percent: f64,
    /// Time from one look to the next, and how far back the mean of the load looks.
    pub interval_ms: u64,
}

impl Default for React {
    /// 20% and 10%, every 30 s.
    fn default() -> Self {
        Self { headroom_percent: 20.0, slack_percent: 10.0, interval_ms: 30_000 }
    }
}

/// What it remembers.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    load: MeanWindow,
    paced: Paced,
}

impl React {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let allowed = "0 to 1000 (percent)";
        let (headroom, slack) = (self.headroom_percent, self.slack_percent);
        figures::within("policy.headroom_percent", headroom, 0.0..=1000.0, allowed)?;
        figures::within("policy.slack_percent", slack, 0.0..=1000.0, allowed)?;
        figures::within("policy.interval_ms", self.interval_ms, 1..=figures::DAY_MS, SOME_TIME)
    }

    pub(super) fn advise(&self, memory: &mut Memory, reading: &Reading) -> Advice {
        let Some(load) = Measure::Offered.load(reading) else { return Advice::Unknown };
        let interval = Duration::from_millis(self.interval_ms);
        memory.load.push(reading.now, load, interval);
        let load = memory.load.mean().unwrap_or(load);
        memory.paced.advise(interval, reading.now, || self.scale(load, reading.current))
    }

    fn scale(&self, load: f64, current: u32) -> Advice {
        let needed = rounding::ceil(load);
        let with_headroom =
            |instances: u32| f64::from(instances) * (100.0 + self.headroom_percent) / 100.0;
        if needed > current {
            let missing = rounding::floor(with_headroom(needed - current));
            return Advice::ready(current.saturating_add(missing), Reason::OfferedLoad);
        }
        if load * (100.0 + self.slack_percent) / 100.0 < f64::from(current) {
            let enough = rounding::ceil(with_headroom(needed)).min(current);
            return Advice::ready(enough, Reason::OfferedLoad);
        }
        Advice::ready(current, Reason::InBand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_by_what_is_missing_and_a_fifth_in_to_what_is_needed_and_a_fifth() {
        let asked = |load, current| React::default().scale(load, current);
        assert_eq!(asked(9.5, 5), Advice::ready(11, Reason::OfferedLoad), "5 + floor(5 x 1.2)");
        assert_eq!(asked(5.5, 5), Advice::ready(6, Reason::OfferedLoad), "5 + floor(1 x 1.2)");
        assert_eq!(asked(3.5, 10), Advice::ready(5, Reason::OfferedLoad), "ceil(4 x 1.2)");
        assert_eq!(
            asked(9.0, 10),
            Advice::ready(10, Reason::OfferedLoad),
            "never more on the way in"
        );
        assert_eq!(asked(9.5, 10), Advice::ready(10, Reason::InBand), "within the slack");
    }
}
