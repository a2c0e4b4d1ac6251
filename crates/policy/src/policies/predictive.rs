//! Predictive: the load that is forecast for when an instance that is asked for now will be ready.
//! Never fewer than the reactive rule asks for.

use std::time::Duration;

use model::decision::Reason;
use model::policies::{Predictive, TargetTracking};
use model::time::Timestamp;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::holt_winters::{Gains, HoltWinters};
use super::target_tracking;
use super::timer::Timer;
use crate::advice::Advice;
use crate::input::{PolicyInput, known};
use crate::load::OfferedLoad;

/// The start-up time where none was measured yet: that of podman, the slowest peer measured.
const START_UP_UNTIL_MEASURED: Duration = Duration::from_millis(300);

/// What it remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    model: HoltWinters,
    timer: Timer,
    taught_at: Option<Timestamp>,
}

pub(super) fn advise(figures: &Predictive, state: &mut State, input: &PolicyInput) -> Advice {
    let tracking = tracking(figures);
    let reactive = target_tracking::advise(&tracking, &mut (), input);
    let offered = input.offered().zip(input.rate_of_an_instance());
    let (Some((load, rate)), Advice::Ready { ready: needed, .. }) = (offered, reactive) else {
        return Advice::Unknown;
    };
    learn(figures, state, load.mean_rps, input.now);
    let ahead_rps = ahead_rps(figures, state, input, load).unwrap_or(0.0);
    let foreseen = target_tracking::needed(tracking, ahead_rps, rate);
    if foreseen > needed { Advice::ready(foreseen, Reason::Forecast) } else { reactive }
}

pub(super) fn went_by(
    figures: &Predictive,
    state: &State,
    input: &PolicyInput,
    reason: Reason,
) -> Option<WentBy> {
    let present = target_tracking::went_by(&tracking(figures), &(), input, reason)?;
    match present {
        WentBy::Load { measure, per_instance, .. } if reason == Reason::Forecast => {
            let value = ahead_rps(figures, state, input, input.offered()?)?;
            Some(WentBy::Load { measure, value, per_instance })
        }
        present => Some(present),
    }
}

/// The reactive rule that it never stays below.
const fn tracking(figures: &Predictive) -> TargetTracking {
    TargetTracking { target_percent: figures.target_percent }
}

/// The forecast, and what clears the queue.
fn ahead_rps(
    figures: &Predictive,
    state: &State,
    input: &PolicyInput,
    load: OfferedLoad,
) -> Option<f64> {
    known(forecast(figures, state, input)).map(|rps| rps + load.queue_rps)
}

/// Learns once an interval. After a gap of more than 3 intervals, and after a clock was set
/// back, level and trend start anew.
fn learn(figures: &Predictive, state: &mut State, arrivals_rps: f64, now: Timestamp) {
    let interval = Duration::from_millis(figures.interval_ms);
    if !state.timer.is_due(interval, now) {
        return;
    }
    let gap = state.taught_at.is_some_and(|at| at > now || now.since(at) > interval * 3);
    if gap {
        state.model.forget_trend();
    }
    state.taught_at = Some(now);
    let gains =
        Gains { level: figures.level_gain, trend: figures.trend_gain, season: figures.season_gain };
    let slots = if figures.season_ms == 0 { 0 } else { figures.season_slots as usize };
    state.model.observe(arrivals_rps, slot(figures, now), slots, gains);
}

/// The rate of arrivals one start-up time and the margin from now, 0 at least.
fn forecast(figures: &Predictive, state: &State, input: &PolicyInput) -> Option<f64> {
    let given = figures.start_up_ms.map(Duration::from_millis);
    let start_up = given.or(input.start_up).unwrap_or(START_UP_UNTIL_MEASURED);
    let ahead = start_up.saturating_add(Duration::from_millis(figures.margin_ms));
    let then = input.now.after(ahead);
    let interval = Duration::from_millis(figures.interval_ms);
    let steps = then.since(state.taught_at?).div_duration_f64(interval);
    Some(state.model.ahead(steps, slot(figures, then))?.max(0.0))
}

/// The slot of the season that `at` lies in.
fn slot(figures: &Predictive, at: Timestamp) -> usize {
    if figures.season_ms == 0 {
        return 0;
    }
    let into = at.as_millis() % figures.season_ms;
    let slot = u128::from(into) * u128::from(figures.season_slots) / u128::from(figures.season_ms);
    usize::try_from(slot).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use model::policies::Policy;

    use super::*;
    use crate::testing::{offered, seconds};

    fn at(policy: &Predictive, state: &mut State, second: u64, rps: f64) -> Advice {
        let start_up = Some(Duration::from_secs(4));
        advise(policy, state, &PolicyInput { now: seconds(second), start_up, ..offered(rps) })
    }

    #[test]
    fn on_a_ramp_it_asks_for_what_will_be_needed_when_the_instance_is_ready() {
        let (policy, mut state) = (Predictive::default(), State::default());
        for second in 0..60 {
            let _ = at(&policy, &mut state, second, 10.0 * second as f64);
        }
        // 600 requests/s are 15 instances at 40 each; 5 s later there are 650: 17.
        assert_eq!(at(&policy, &mut state, 60, 600.0), Advice::ready(17, Reason::Forecast));
    }

    #[test]
    fn when_the_load_falls_it_asks_for_what_the_reactive_rule_asks_for() {
        let (policy, mut state) = (Predictive::default(), State::default());
        for second in 0..60 {
            let _ = at(&policy, &mut state, second, 10.0 * (60 - second) as f64);
        }
        assert_eq!(at(&policy, &mut state, 60, 90.0), Advice::ready(3, Reason::OfferedLoad));
    }

    #[test]
    fn a_season_is_met_before_it_comes() {
        let policy = Predictive {
            season_ms: 60_000,
            season_slots: 6,
            trend_gain: 0.0,
            ..Predictive::default()
        };
        let mut state = State::default();
        // A minute in slots of 10 s: 400 requests/s in every third, 40 else. 1,000 s is 40 s into
        // a minute of the test's clock.
        let rps = |second: u64| if (40 + second) % 60 / 10 == 2 { 400.0 } else { 40.0 };
        for second in 0..180 {
            let _ = at(&policy, &mut state, second, rps(second));
        }
        let quiet = [190, 194].map(|second| at(&policy, &mut state, second, rps(second)));
        assert_eq!(quiet, [Advice::ready(1, Reason::OfferedLoad); 2]);
        for second in 195..215 {
            let _ = at(&policy, &mut state, second, rps(second));
        }
        // Five seconds before the peak.
        let early = at(&policy, &mut state, 215, rps(215));
        assert_eq!(early, Advice::ready(10, Reason::Forecast));
    }

    #[test]
    fn more_slots_than_lessons_are_refused() {
        let policy = Predictive { season_ms: 60_000, season_slots: 61, ..Default::default() };
        let error = Policy::Predictive(policy).check().unwrap_err().to_string();
        assert!(error.starts_with("policy.season_slots is 61: use no more slots"), "{error}");
    }
}
