//! Kubernetes' horizontal pod autoscaler, with its defaults.
//!
//! As documented in "Horizontal Pod Autoscaling" (kubernetes.io) and written in
//! `kubernetes/kubernetes`, `pkg/controller/podautoscaler`: desired = ceil(current x measure /
//! target), a tolerance, stabilisation windows over recommendations, and rates per period, of
//! which the one that changes most is taken. Where `bounds.min` is 0 the formula leads to none, as
//! Kubernetes' does with the gate `HPAScaleToZero`; the first instance is not for it to ask for.

use std::collections::VecDeque;
use std::time::Duration;

use model::decision::Reason;
use model::policies::Hpa;
use model::time::Timestamp;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::measure;
use super::rounding;
use super::timer::Paced;
use crate::advice::Advice;
use crate::input::PolicyInput;
use crate::patience::NeedHistory;

/// What it remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    paced: Paced,
    /// Recommendations, for the highest of late.
    highest: NeedHistory,
    /// Their distance to the highest number there is, for the lowest of late.
    lowest: NeedHistory,
    /// Changes of the fleet within the period.
    changes: VecDeque<(Timestamp, i64)>,
    seen: Option<(Timestamp, u32)>,
}

impl State {
    /// Others have set the number: what was advised before is not repeated.
    pub(super) fn ask_anew(&mut self) {
        self.paced.ask_anew();
    }
}

pub(super) fn advise(figures: &Hpa, state: &mut State, input: &PolicyInput) -> Advice {
    let (now, current) = (input.now, input.current);
    state.take_note(Duration::from_millis(figures.period_ms), current, now);
    let Some(ratio) = ratio(figures, input) else { return Advice::Unknown };
    let State { paced, highest, lowest, changes, .. } = state;
    paced.advise(Duration::from_millis(figures.sync_ms), now, || {
        let wanted = wanted(figures, ratio, input);
        let stable = stabilised(figures, highest, lowest, (wanted, current), now);
        let ready = rated(figures, changes, stable, current);
        let reason = if ready != stable {
            Reason::StepLimit
        } else if stable != wanted {
            Reason::Stabilised
        } else if wanted == current {
            Reason::InBand
        } else {
            Reason::Utilisation
        };
        Advice::ready(ready, reason)
    })
}

pub(super) fn went_by(figures: &Hpa, _: &State, input: &PolicyInput, _: Reason) -> Option<WentBy> {
    let (measure, tolerance) = (figures.measure, figures.tolerance_percent / 100.0);
    Some(WentBy::Share {
        measure,
        percent: measure::percent(measure, input)?,
        lower_percent: figures.target_percent * (1.0 - tolerance),
        upper_percent: figures.target_percent * (1.0 + tolerance),
    })
}

/// The measure per ready instance, as a multiple of its target.
fn ratio(figures: &Hpa, input: &PolicyInput) -> Option<f64> {
    Some(measure::percent(figures.measure, input)? / figures.target_percent)
}

/// The number that the ratio asks for. On the way out, instances that are being made count as
/// idle ones; where that turns the direction round, nothing changes.
fn wanted(figures: &Hpa, ratio: f64, input: &PolicyInput) -> u32 {
    let current = input.current;
    let is_near = |ratio: f64| (ratio - 1.0).abs() <= figures.tolerance_percent / 100.0 + 1e-9;
    if is_near(ratio) {
        return current;
    }
    let starting = if ratio > 1.0 { input.starting } else { 0 };
    let counted = f64::from(input.ready.saturating_add(starting));
    let ratio_of_all = ratio * f64::from(input.ready) / counted;
    if is_near(ratio_of_all) || (ratio > 1.0) != (ratio_of_all > 1.0) {
        return current;
    }
    let wanted = rounding::ceil(ratio_of_all * counted);
    if (ratio > 1.0) == (wanted > current) { wanted } else { current }
}

/// The recommendation, held back to the lowest of late on the way out and the highest on the
/// way in. The first one of all is what is.
fn stabilised(
    figures: &Hpa,
    highest: &mut NeedHistory,
    lowest: &mut NeedHistory,
    (wanted, current): (u32, u32),
    now: Timestamp,
) -> u32 {
    let inward = Duration::from_millis(figures.stabilisation_in_ms);
    let out = Duration::from_millis(figures.stabilisation_out_ms);
    if highest.highest().is_none() {
        highest.push(now, current, inward);
        lowest.push(now, u32::MAX - current, out);
    }
    if out.is_zero() {
        lowest.interrupt();
    }
    highest.push(now, wanted, inward);
    lowest.push(now, u32::MAX - wanted, out);
    let most = highest.highest().unwrap_or(wanted);
    let fewest = lowest.highest().map_or(wanted, |distance| u32::MAX - distance);
    if current < fewest { fewest } else { current.min(most) }
}

/// The number, cut to what the rates allow after the changes of the period so far.
fn rated(figures: &Hpa, changes: &VecDeque<(Timestamp, i64)>, wanted: u32, current: u32) -> u32 {
    let change: i64 = changes.iter().map(|(_, change)| change).sum();
    let at_start = u32::try_from((i64::from(current) - change).max(0)).unwrap_or(u32::MAX);
    let share = |percent: u32| f64::from(at_start) * f64::from(percent) / 100.0;
    if wanted > current {
        let by_share = at_start.saturating_add(rounding::ceil(share(figures.out_percent)));
        let by_count = at_start.saturating_add(figures.out_count);
        wanted.min(by_share.max(by_count).max(current))
    } else {
        let fewest = rounding::floor(f64::from(at_start) - share(figures.in_percent));
        wanted.max(fewest.min(current))
    }
}

impl State {
    /// Records how the fleet has changed since the turn before. A clock that was set back starts
    /// the memory anew.
    fn take_note(&mut self, period: Duration, current: u32, now: Timestamp) {
        if self.seen.is_some_and(|(at, _)| at > now) {
            *self = Self::default();
        }
        if let Some((_, before)) = self.seen.replace((now, current))
            && before != current
        {
            self.changes.push_back((now, i64::from(current) - i64::from(before)));
        }
        let expired = |at: &Timestamp| now.since(*at) >= period;
        while self.changes.front().is_some_and(|(at, _)| expired(at)) {
            self.changes.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use model::policies::Measure;

    use super::*;
    use crate::testing::{input, seconds};

    /// Aims at 10% of the CPU, so that 200 mCPU of a core ask for twice the fleet: the example of
    /// Kubernetes' documentation.
    const AT_10: Hpa = Hpa {
        measure: Measure::Cpu,
        target_percent: 10.0,
        sync_ms: 15_000,
        tolerance_percent: 10.0,
        stabilisation_in_ms: 300_000,
        stabilisation_out_ms: 0,
        out_count: 4,
        out_percent: 100,
        in_percent: 100,
        period_ms: 15_000,
    };

    fn seen(second: u64, percent: f64, current: u32) -> PolicyInput {
        let cpu_cores = Some(f64::from(current) * percent / 100.0);
        let now = seconds(second);
        PolicyInput { now, cpu_cores, ready: current, starting: 0, current, ..input() }
    }

    fn fresh(percent: f64, current: u32) -> Advice {
        advise(&AT_10, &mut State::default(), &seen(0, percent, current))
    }

    #[test]
    fn kubernetes_examples_twice_the_target_doubles_and_half_of_it_halves() {
        assert_eq!(fresh(20.0, 4), Advice::ready(8, Reason::Utilisation));
        let at_once = Hpa { stabilisation_in_ms: 0, ..AT_10 };
        let mut state = State::default();
        let _ = advise(&at_once, &mut state, &seen(0, 10.0, 4));
        let advice = advise(&at_once, &mut state, &seen(15, 5.0, 4));
        assert_eq!(advice, Advice::ready(2, Reason::Utilisation));
    }

    #[test]
    fn within_the_tolerance_nothing_changes() {
        assert_eq!(fresh(11.0, 10), Advice::ready(10, Reason::InBand));
        assert_eq!(fresh(9.0, 10), Advice::ready(10, Reason::InBand));
        assert_eq!(fresh(11.1, 10), Advice::ready(12, Reason::Utilisation));
    }

    #[test]
    fn out_by_4_or_by_all_within_15_seconds_whatever_is_more() {
        assert_eq!(fresh(100.0, 1), Advice::ready(5, Reason::StepLimit));
        assert_eq!(fresh(100.0, 6), Advice::ready(12, Reason::StepLimit));
        let quick = Hpa { sync_ms: 0, ..AT_10 };
        let mut state = State::default();
        assert_eq!(
            advise(&quick, &mut state, &seen(0, 100.0, 1)),
            Advice::ready(5, Reason::StepLimit)
        );
        let advice = advise(&quick, &mut state, &seen(5, 100.0, 5));
        assert_eq!(advice, Advice::ready(5, Reason::StepLimit), "within the period");
        let advice = advise(&quick, &mut state, &seen(20, 100.0, 5));
        assert_eq!(advice, Advice::ready(10, Reason::StepLimit), "the next period");
    }

    #[test]
    fn in_waits_until_300_seconds_ask_for_less() {
        let mut state = State::default();
        let mut second = 0;
        let first_fall = loop {
            let advice = advise(&AT_10, &mut state, &seen(second, 5.0, 10));
            if advice == Advice::ready(5, Reason::Utilisation) {
                break second;
            }
            assert_eq!(advice, Advice::ready(10, Reason::Stabilised));
            second += 1;
        };
        assert_eq!(first_fall, 315, "the first sync past the window");
    }

    #[test]
    fn instances_that_are_being_made_count_as_idle_ones() {
        let two_of_four = PolicyInput { ready: 2, starting: 2, current: 4, ..seen(0, 10.0, 4) };
        // The two ready ones are at twice their target, all four together at their target.
        let advice = advise(&AT_10, &mut State::default(), &two_of_four);
        assert_eq!(advice, Advice::ready(4, Reason::InBand));
    }

    #[test]
    fn without_a_ready_instance_it_knows_nothing() {
        let none = PolicyInput { ready: 0, ..seen(0, 10.0, 4) };
        assert_eq!(advise(&AT_10, &mut State::default(), &none), Advice::Unknown);
    }
}
