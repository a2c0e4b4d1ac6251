//! Predictive: the load that is forecast for when an instance that is asked for now will be ready.
//! Never fewer than the reactive rule asks for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::holt_winters::{Gains, HoltWinters};
use super::target_tracking::TargetTracking;
use super::timer::Timer;
use crate::advice::Advice;
use crate::decision::Reason;
use crate::reading::{Reading, known};
use crate::spec::SpecError;
use crate::spec::figures::{self, PERCENT_OF_CAPACITY, SOME_TIME, SPAN};
use crate::time::Timestamp;

/// Target tracking on the higher one of the present and the forecast load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Predictive {
    /// The share of an instance's capacity to aim for.
    pub target_percent: u32,
    /// How much further than one start-up time the forecast looks.
    pub margin_ms: u64,
    /// The start-up time; what was measured of late where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_up_ms: Option<u64>,
    /// Time from one lesson to the next.
    pub interval_ms: u64,
    /// How fast the level follows the load.
    pub level_gain: f64,
    /// How fast the trend follows the level.
    pub trend_gain: f64,
    /// How fast the season follows, from one to the next.
    pub season_gain: f64,
    /// The length of the season; 0 for none.
    pub season_ms: u64,
    /// How many parts of the season are told apart.
    pub season_slots: u32,
}

impl Default for Predictive {
    /// A second past the start-up time, lessons of a second, a day in minutes. The trend's gain is
    /// low: at 40 requests/s the mean of a second deviates by 16% from chance alone.
    fn default() -> Self {
        Self {
            target_percent: 80,
            margin_ms: 1_000,
            start_up_ms: None,
            interval_ms: 1_000,
            level_gain: 0.5,
            trend_gain: 0.2,
            season_gain: 0.3,
            season_ms: 86_400_000,
            season_slots: 1440,
        }
    }
}

/// The start-up time where none was measured yet: that of podman, the slowest peer measured.
const START_UP_UNTIL_MEASURED: Duration = Duration::from_millis(300);

/// What it remembers.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    model: HoltWinters,
    timer: Timer,
    taught_at: Option<Timestamp>,
}

impl Predictive {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let day = figures::DAY_MS;
        let target = self.target_percent;
        figures::within("policy.target_percent", target, 1..=100, PERCENT_OF_CAPACITY)?;
        figures::within("policy.margin_ms", self.margin_ms, 0..=day, SPAN)?;
        figures::within("policy.start_up_ms", self.start_up_ms.unwrap_or(0), 0..=day, SPAN)?;
        figures::within("policy.interval_ms", self.interval_ms, 1..=day, SOME_TIME)?;
        let gain = "0 to 1";
        figures::within("policy.level_gain", self.level_gain, 0.0..=1.0, gain)?;
        figures::within("policy.trend_gain", self.trend_gain, 0.0..=1.0, gain)?;
        figures::within("policy.season_gain", self.season_gain, 0.0..=1.0, gain)?;
        let allowed = "0 to 2678400000 (milliseconds, 31 days)";
        figures::within("policy.season_ms", self.season_ms, 0..=31 * day, allowed)?;
        figures::within("policy.season_slots", self.season_slots, 1..=10_080, "1 to 10080")?;
        let fits = self.season_ms == 0
            || u64::from(self.season_slots) <= self.season_ms / self.interval_ms;
        let allowed = "no more slots than intervals fit the season: season_ms / interval_ms";
        figures::check(fits, "policy.season_slots", self.season_slots, allowed)
    }

    pub(super) fn advise(&self, memory: &mut Memory, reading: &Reading) -> Advice {
        let tracking = TargetTracking { target_percent: self.target_percent };
        let reactive = tracking.advise(&mut (), reading);
        let (Some(load), Advice::Ready { ready: needed, .. }) = (reading.offered(), reactive)
        else {
            return Advice::Unknown;
        };
        self.learn(memory, load.mean_rps, reading.now);
        let forecast = known(self.forecast(memory, reading));
        let ahead_rps = forecast.map_or(0.0, |rps| rps + load.backlog_rps);
        let foreseen = tracking.needed(ahead_rps, reading.capacity);
        if foreseen > needed { Advice::ready(foreseen, Reason::Forecast) } else { reactive }
    }

    /// Learns once an interval. After a gap of more than 3 intervals, and after a clock was set
    /// back, level and trend start anew.
    fn learn(&self, memory: &mut Memory, arrivals_rps: f64, now: Timestamp) {
        let interval = Duration::from_millis(self.interval_ms);
        if !memory.timer.is_due(interval, now) {
            return;
        }
        let gap = memory.taught_at.is_some_and(|at| at > now || now.since(at) > interval * 3);
        if gap {
            memory.model.forget_trend();
        }
        memory.taught_at = Some(now);
        let gains =
            Gains { level: self.level_gain, trend: self.trend_gain, season: self.season_gain };
        let slots = if self.season_ms == 0 { 0 } else { self.season_slots as usize };
        memory.model.observe(arrivals_rps, self.slot(now), slots, gains);
    }

    /// The rate of arrivals one start-up time and the margin from now, 0 at least.
    fn forecast(&self, memory: &Memory, reading: &Reading) -> Option<f64> {
        let given = self.start_up_ms.map(Duration::from_millis);
        let start_up = given.or(reading.start_up).unwrap_or(START_UP_UNTIL_MEASURED);
        let ahead = start_up.saturating_add(Duration::from_millis(self.margin_ms));
        let then = reading.now.after(ahead);
        let since_lesson = then.since(memory.taught_at?).as_secs_f64();
        let steps = since_lesson * 1000.0 / as_f64(self.interval_ms);
        Some(memory.model.ahead(steps, self.slot(then))?.max(0.0))
    }

    /// The slot of the season that `at` lies in.
    fn slot(&self, at: Timestamp) -> usize {
        if self.season_ms == 0 {
            return 0;
        }
        let into = at.as_millis() % self.season_ms;
        let slot = u128::from(into) * u128::from(self.season_slots) / u128::from(self.season_ms);
        usize::try_from(slot).unwrap_or(0)
    }
}

/// Milliseconds as a figure; those of a day are far below 2^53, where this is exact.
#[expect(clippy::cast_precision_loss, reason = "see above")]
const fn as_f64(millis: u64) -> f64 {
    millis as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{offered, seconds};

    fn at(policy: &Predictive, memory: &mut Memory, second: u64, rps: f64) -> Advice {
        let start_up = Some(Duration::from_secs(4));
        policy.advise(memory, &Reading { now: seconds(second), start_up, ..offered(rps) })
    }

    #[test]
    fn on_a_ramp_it_asks_for_what_will_be_needed_when_the_instance_is_ready() {
        let (policy, mut memory) = (Predictive::default(), Memory::default());
        for second in 0..60 {
            let _ = at(&policy, &mut memory, second, 10.0 * second as f64);
        }
        // 600 requests/s are 15 instances at 40 each; 5 s later there are 650: 17.
        assert_eq!(at(&policy, &mut memory, 60, 600.0), Advice::ready(17, Reason::Forecast));
    }

    #[test]
    fn when_the_load_falls_it_asks_for_what_the_reactive_rule_asks_for() {
        let (policy, mut memory) = (Predictive::default(), Memory::default());
        for second in 0..60 {
            let _ = at(&policy, &mut memory, second, 10.0 * (60 - second) as f64);
        }
        assert_eq!(at(&policy, &mut memory, 60, 90.0), Advice::ready(3, Reason::OfferedLoad));
    }

    #[test]
    fn a_season_is_met_before_it_comes() {
        let policy = Predictive {
            season_ms: 60_000,
            season_slots: 6,
            trend_gain: 0.0,
            ..Predictive::default()
        };
        let mut memory = Memory::default();
        // A minute in slots of 10 s: 400 requests/s in every third, 40 else. 1,000 s is 40 s into
        // a minute of the test's clock.
        let rps = |second: u64| if (40 + second) % 60 / 10 == 2 { 400.0 } else { 40.0 };
        for second in 0..180 {
            let _ = at(&policy, &mut memory, second, rps(second));
        }
        let quiet = [190, 194].map(|second| at(&policy, &mut memory, second, rps(second)));
        assert_eq!(quiet, [Advice::ready(1, Reason::OfferedLoad); 2]);
        for second in 195..215 {
            let _ = at(&policy, &mut memory, second, rps(second));
        }
        // Five seconds before the peak.
        let early = at(&policy, &mut memory, 215, rps(215));
        assert_eq!(early, Advice::ready(10, Reason::Forecast));
    }

    #[test]
    fn more_slots_than_lessons_are_refused() {
        let policy = Predictive { season_ms: 60_000, season_slots: 61, ..Default::default() };
        let error = policy.check().unwrap_err().to_string();
        assert!(error.starts_with("policy.season_slots is 61: use no more slots"), "{error}");
    }
}
