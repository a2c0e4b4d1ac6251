//! Kubernetes' horizontal pod autoscaler, with its defaults.
//!
//! As documented in "Horizontal Pod Autoscaling" (kubernetes.io) and written in
//! `kubernetes/kubernetes`, `pkg/controller/podautoscaler`: desired = ceil(current x measure /
//! target), a tolerance, stabilisation windows over recommendations, and rates per period, of
//! which the one that changes most is taken. Where `bounds.min` is 0 the formula leads to none, as
//! Kubernetes' does with the gate `HPAScaleToZero`; the first instance is not for it to ask for.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::measure::Measure;
use super::rounding;
use super::timer::Paced;
use crate::advice::Advice;
use crate::decision::Reason;
use crate::patience::NeedHistory;
use crate::reading::Reading;
use crate::spec::SpecError;
use crate::spec::figures::{self, PERCENT_OF_INSTANCE, SOME_TIME, SPAN};
use crate::time::Timestamp;

/// Kubernetes' formula and behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hpa {
    /// What is measured. Kubernetes' default is `cpu`; here it is the load that the load balancer
    /// sees, which Kubernetes calls an object metric: the strongest form of the policy.
    pub measure: Measure,
    /// The mean per instance to aim for.
    pub target_percent: f64,
    /// Time from one recommendation to the next.
    pub sync_ms: u64,
    /// How far the measure may lie off its target without a change.
    pub tolerance_percent: f64,
    /// In: the highest recommendation of this time counts.
    pub stabilisation_in_ms: u64,
    /// Out: the lowest recommendation of this time counts.
    pub stabilisation_out_ms: u64,
    /// How many instances may come within a period.
    pub out_count: u32,
    /// What share of the fleet may come within a period, where that is more.
    pub out_percent: u32,
    /// What share of the fleet may go within a period.
    pub in_percent: u32,
    /// The period of these rates.
    pub period_ms: u64,
}

impl Default for Hpa {
    /// Kubernetes': 80%, 15 s, 10%, 300 s in and none out, 4 instances or 100% out and 100% in
    /// within 15 s.
    fn default() -> Self {
        Self {
            measure: Measure::Offered,
            target_percent: 80.0,
            sync_ms: 15_000,
            tolerance_percent: 10.0,
            stabilisation_in_ms: 300_000,
            stabilisation_out_ms: 0,
            out_count: 4,
            out_percent: 100,
            in_percent: 100,
            period_ms: 15_000,
        }
    }
}

/// What it remembers.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    paced: Paced,
    /// Recommendations, for the highest of late.
    highest: NeedHistory,
    /// Their distance to the highest number there is, for the lowest of late.
    lowest: NeedHistory,
    /// Changes of the fleet within the period.
    changes: VecDeque<(Timestamp, i64)>,
    seen: Option<(Timestamp, u32)>,
}

impl Hpa {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let day = figures::DAY_MS;
        let target = self.target_percent;
        figures::within("policy.target_percent", target, 1.0..=10_000.0, PERCENT_OF_INSTANCE)?;
        let tolerance = self.tolerance_percent;
        figures::within("policy.tolerance_percent", tolerance, 0.0..=99.0, "0 to 99 (percent)")?;
        figures::within("policy.sync_ms", self.sync_ms, 0..=day, SPAN)?;
        figures::within("policy.stabilisation_in_ms", self.stabilisation_in_ms, 0..=day, SPAN)?;
        figures::within("policy.stabilisation_out_ms", self.stabilisation_out_ms, 0..=day, SPAN)?;
        figures::within("policy.out_count", self.out_count, 0..=1000, "0 to 1000 (instances)")?;
        let allowed = "0 to 10000 (percent of the fleet)";
        figures::within("policy.out_percent", self.out_percent, 0..=10_000, allowed)?;
        let allowed = "0 to 100 (percent of the fleet)";
        figures::within("policy.in_percent", self.in_percent, 0..=100, allowed)?;
        figures::within("policy.period_ms", self.period_ms, 1..=day, SOME_TIME)
    }

    pub(super) fn advise(&self, memory: &mut Memory, reading: &Reading) -> Advice {
        let (now, current) = (reading.now, reading.current);
        memory.take_note(Duration::from_millis(self.period_ms), current, now);
        let Some(ratio) = self.ratio(reading) else { return Advice::Unknown };
        let Memory { paced, highest, lowest, changes, .. } = memory;
        paced.advise(Duration::from_millis(self.sync_ms), now, || {
            let wanted = self.wanted(ratio, reading);
            let stable = self.stabilised(highest, lowest, (wanted, current), now);
            let ready = self.rated(changes, stable, current);
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

    /// The measure per ready instance, as a multiple of its target.
    fn ratio(&self, reading: &Reading) -> Option<f64> {
        Some(self.measure.percent(reading)? / self.target_percent)
    }

    /// The number that the ratio asks for. On the way out, instances that are being made count as
    /// idle ones; where that turns the direction round, nothing changes.
    fn wanted(&self, ratio: f64, reading: &Reading) -> u32 {
        let current = reading.current;
        let is_near = |ratio: f64| (ratio - 1.0).abs() <= self.tolerance_percent / 100.0 + 1e-9;
        if is_near(ratio) {
            return current;
        }
        let starting = if ratio > 1.0 { reading.starting } else { 0 };
        let counted = f64::from(reading.ready.saturating_add(starting));
        let ratio_of_all = ratio * f64::from(reading.ready) / counted;
        if is_near(ratio_of_all) || (ratio > 1.0) != (ratio_of_all > 1.0) {
            return current;
        }
        let wanted = rounding::ceil(ratio_of_all * counted);
        if (ratio > 1.0) == (wanted > current) { wanted } else { current }
    }

    /// The recommendation, held back to the lowest of late on the way out and the highest on the
    /// way in. The first one of all is what is.
    fn stabilised(
        &self,
        highest: &mut NeedHistory,
        lowest: &mut NeedHistory,
        (wanted, current): (u32, u32),
        now: Timestamp,
    ) -> u32 {
        let inward = Duration::from_millis(self.stabilisation_in_ms);
        let out = Duration::from_millis(self.stabilisation_out_ms);
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
    fn rated(&self, changes: &VecDeque<(Timestamp, i64)>, wanted: u32, current: u32) -> u32 {
        let change: i64 = changes.iter().map(|(_, change)| change).sum();
        let at_start = u32::try_from((i64::from(current) - change).max(0)).unwrap_or(u32::MAX);
        let share = |percent: u32| f64::from(at_start) * f64::from(percent) / 100.0;
        if wanted > current {
            let by_share = at_start.saturating_add(rounding::ceil(share(self.out_percent)));
            let by_count = at_start.saturating_add(self.out_count);
            wanted.min(by_share.max(by_count).max(current))
        } else {
            let fewest = rounding::floor(f64::from(at_start) - share(self.in_percent));
            wanted.max(fewest.min(current))
        }
    }
}

impl Memory {
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
    use super::*;
    use crate::testing::{reading, seconds};

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

    fn seen(second: u64, percent: f64, current: u32) -> Reading {
        let cpu_cores = Some(f64::from(current) * percent / 100.0);
        let now = seconds(second);
        Reading { now, cpu_cores, ready: current, starting: 0, current, ..reading() }
    }

    fn fresh(percent: f64, current: u32) -> Advice {
        AT_10.advise(&mut Memory::default(), &seen(0, percent, current))
    }

    #[test]
    fn kubernetes_examples_twice_the_target_doubles_and_half_of_it_halves() {
        assert_eq!(fresh(20.0, 4), Advice::ready(8, Reason::Utilisation));
        let at_once = Hpa { stabilisation_in_ms: 0, ..AT_10 };
        let mut memory = Memory::default();
        let _ = at_once.advise(&mut memory, &seen(0, 10.0, 4));
        let advice = at_once.advise(&mut memory, &seen(15, 5.0, 4));
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
        let mut memory = Memory::default();
        assert_eq!(
            quick.advise(&mut memory, &seen(0, 100.0, 1)),
            Advice::ready(5, Reason::StepLimit)
        );
        let advice = quick.advise(&mut memory, &seen(5, 100.0, 5));
        assert_eq!(advice, Advice::ready(5, Reason::StepLimit), "within the period");
        let advice = quick.advise(&mut memory, &seen(20, 100.0, 5));
        assert_eq!(advice, Advice::ready(10, Reason::StepLimit), "the next period");
    }

    #[test]
    fn in_waits_until_300_seconds_ask_for_less() {
        let mut memory = Memory::default();
        let mut second = 0;
        let first_fall = loop {
            let advice = AT_10.advise(&mut memory, &seen(second, 5.0, 10));
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
        let two_of_four = Reading { ready: 2, starting: 2, current: 4, ..seen(0, 10.0, 4) };
        // The two ready ones are at twice their target, all four together at their target.
        let advice = AT_10.advise(&mut Memory::default(), &two_of_four);
        assert_eq!(advice, Advice::ready(4, Reason::InBand));
    }

    #[test]
    fn without_a_ready_instance_it_knows_nothing() {
        let none = Reading { ready: 0, ..seen(0, 10.0, 4) };
        assert_eq!(AT_10.advise(&mut Memory::default(), &none), Advice::Unknown);
    }
}
