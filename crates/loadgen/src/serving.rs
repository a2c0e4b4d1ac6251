//! From a plan to the first request that the planned instance served.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::action::ActionKind;
use model::names::{InstanceName, Slot};
use model::tick::Tick;
use model::time::Timestamp;
use run::summary::Percentiles;

/// Responses older than this are forgotten. The ticks arrive every half second, so each clone has
/// been looked up a hundred times by then.
const KEPT: Duration = Duration::from_secs(60);

/// A moment in microseconds since 1970: the scaler's clock, finer than its ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WallMicros(u64);

impl WallMicros {
    /// This moment.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(micros(since))
    }

    /// The moment as a number.
    pub(crate) fn as_micros(self) -> u64 {
        self.0
    }

    /// The same in milliseconds.
    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(self.0 / 1_000)
    }
}

impl From<Timestamp> for WallMicros {
    fn from(at: Timestamp) -> Self {
        Self(at.as_millis().saturating_mul(1_000))
    }
}

/// When each slot finished a response, over the last minute.
#[derive(Debug, Default)]
pub(crate) struct ServingLog {
    slots: HashMap<Slot, VecDeque<WallMicros>>,
}

impl ServingLog {
    /// The instance in `slot` has just finished a response.
    pub(crate) fn served(&mut self, slot: Slot, now: WallMicros) {
        let times = self.slots.entry(slot).or_default();
        times.push_back(now);
        let oldest = WallMicros(now.0.saturating_sub(micros(KEPT)));
        while times.front().is_some_and(|t| *t < oldest) {
            times.pop_front();
        }
    }

    /// The first response that `slot` finished from that moment on.
    fn first_since(&self, slot: Slot, since: WallMicros) -> Option<WallMicros> {
        let times = self.slots.get(&slot)?;
        times.get(times.partition_point(|t| *t < since)).copied()
    }
}

/// The instances planned during a run, and how long each took to serve.
#[derive(Debug, Default)]
pub(crate) struct PlannedInstances {
    waiting: HashMap<InstanceName, Timestamp>,
    took_ms: Vec<f64>,
    never_served: u64,
}

impl PlannedInstances {
    /// Takes in the next tick of the service. An instance that is stopped before it served has
    /// never served; its slot may soon be another's.
    pub(crate) fn tick(&mut self, tick: &Tick, log: &ServingLog) {
        for action in &tick.plan {
            match action.kind {
                ActionKind::Clone => {
                    self.waiting.insert(action.instance.clone(), tick.at);
                }
                ActionKind::Stop | ActionKind::Kill => {
                    if let Some(planned) = self.waiting.remove(&action.instance)
                        && !self.resolve(action.slot, planned, Some(tick.at), log)
                    {
                        self.never_served += 1;
                    }
                }
                ActionKind::Drain | ActionKind::Admit => {}
            }
        }
    }

    /// Looks for the first responses of those that still wait.
    pub(crate) fn look_up(&mut self, log: &ServingLog) {
        for (instance, planned) in std::mem::take(&mut self.waiting) {
            if !self.resolve(instance.slot(), planned, None, log) {
                self.waiting.insert(instance, planned);
            }
        }
    }

    /// The time from plan to first response, over those that served.
    pub(crate) fn plan_to_serving_ms(&self) -> Percentiles {
        let mut sorted = self.took_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let place = (sorted.len() * percent).div_ceil(100).checked_sub(1)?;
            sorted.get(place).copied()
        };
        Percentiles { p50: rank(50), p99: rank(99) }
    }

    /// Instances that have not served any request.
    pub(crate) fn never_served(&self) -> u64 {
        self.never_served + self.waiting.len() as u64
    }

    fn resolve(
        &mut self,
        slot: Slot,
        planned: Timestamp,
        stopped: Option<Timestamp>,
        log: &ServingLog,
    ) -> bool {
        let first = log.first_since(slot, planned.into());
        let Some(first) = first.filter(|t| stopped.is_none_or(|s| *t <= s.into())) else {
            return false;
        };
        let took = Duration::from_micros(first.0 - WallMicros::from(planned).0);
        self.took_ms.push(took.as_secs_f64() * 1_000.0);
        true
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(at: u64, action: &str, instance: &str, slot: u32) -> Tick {
        let json = format!(
            r#"{{"sequence":1,"at_ms":{at},"service":"o",
                "observation":{{"offered_rps":null,"served_rps":null,"rejected_rps":null,
                  "queued":null,"in_flight":null,"cpu_cores":null,
                  "phases":{{"starting":0,"ready":1,"draining":0,"failed":0}}}},
                "decision":{{"kind":"target","ready":2,"reasons":["OfferedLoad"]}},
                "plan":[{{"action":"{action}","instance":"{instance}","slot":{slot}}}],
                "blocked":[],"done":[]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn slot(number: u32) -> Slot {
        Slot::try_from(number).unwrap()
    }

    #[test]
    fn the_first_response_after_the_plan_counts_and_not_that_of_a_predecessor() {
        let (mut log, mut planned) = (ServingLog::default(), PlannedInstances::default());
        for micros in [999_000, 1_040_500, 1_050_000] {
            log.served(slot(3), WallMicros(micros));
        }
        planned.tick(&tick(1_000, "clone", "bw-o-3-a", 3), &log);
        planned.look_up(&log);
        assert_eq!(planned.plan_to_serving_ms(), Percentiles { p50: Some(40.5), p99: Some(40.5) });
        assert_eq!(planned.never_served(), 0);
    }

    #[test]
    fn an_instance_stopped_before_it_served_does_not_get_its_successors_time() {
        let (mut log, mut planned) = (ServingLog::default(), PlannedInstances::default());
        planned.tick(&tick(1_000, "clone", "bw-o-3-a", 3), &log);
        planned.look_up(&log);
        assert_eq!(planned.never_served(), 1);
        log.served(slot(3), WallMicros(3_000_000));
        planned.tick(&tick(2_000, "stop", "bw-o-3-a", 3), &log);
        planned.look_up(&log);
        assert_eq!(planned.never_served(), 1);
        assert_eq!(planned.plan_to_serving_ms(), Percentiles::default());
    }

    #[test]
    fn percentiles_are_measured_values() {
        let took_ms = (1..=200).rev().map(f64::from).collect();
        let planned = PlannedInstances { took_ms, ..PlannedInstances::default() };
        let expected = Percentiles { p50: Some(100.0), p99: Some(198.0) };
        assert_eq!(planned.plan_to_serving_ms(), expected);
    }

    #[test]
    fn responses_are_forgotten_after_a_minute() {
        let mut log = ServingLog::default();
        log.served(slot(1), WallMicros(0));
        log.served(slot(1), WallMicros(59_000_000));
        log.served(slot(1), WallMicros(61_000_000));
        assert_eq!(log.slots[&slot(1)].len(), 2);
    }
}
