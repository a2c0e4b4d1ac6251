//! The fleet and the decisions of a preview over time, as its turns tell them.

use std::time::Duration;

use model::decision::Decision;
use model::instance::PhaseCounts;
use model::tick::Tick;

use super::observed::{Stretch, good};
use super::tally::{Tally, count};
use super::{Assumed, DECISIONS_MAX, Decided, Point, Preview, Ran, Totals};

/// Instances over one step, added up over its time.
#[derive(Debug, Clone, Copy, Default)]
struct Fleet {
    ready: Duration,
    instances: Duration,
    target: Option<u32>,
}

/// What was seen up to now.
#[derive(Debug)]
pub(super) struct Course {
    offset: Duration,
    step: Duration,
    steps: Vec<Fleet>,
    /// Up to when the fleet is added up, and how it was at the last turn.
    now: Duration,
    phases: PhaseCounts,
    target: Option<u32>,
    decisions: Vec<Decided>,
    left_out: u64,
}

impl Course {
    /// Of a stretch whose first step begins after `offset`.
    pub(super) fn new(offset: Duration, stretch: &Stretch) -> Self {
        Self {
            offset,
            step: stretch.grain().step(),
            steps: vec![Fleet::default(); stretch.steps().len()],
            now: Duration::ZERO,
            phases: PhaseCounts::default(),
            target: None,
            decisions: Vec::new(),
            left_out: 0,
        }
    }

    /// Whether the last step has ended.
    pub(super) fn is_over(&self) -> bool {
        let steps = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        self.now >= self.offset + self.step * steps
    }

    /// Takes the turn at this moment in: what was there at the turn before was there up to now.
    pub(super) fn take(&mut self, at: Duration, tick: Tick) {
        self.add_up(at);
        self.phases = tick.observation.phases;
        self.target = tick.target();
        self.note(at, tick);
    }

    fn add_up(&mut self, until: Duration) {
        let PhaseCounts { starting, ready, draining, failed } = self.phases;
        let all = starting + ready + draining + failed;
        while self.now < until {
            let since = self.now.checked_sub(self.offset);
            let index = since.map(|since| since.as_nanos() / self.step.as_nanos());
            let index = index.map(|index| u32::try_from(index).unwrap_or(u32::MAX));
            let end = index.map_or(self.offset, |i| self.offset + self.step * (i + 1)).min(until);
            let span = end - self.now;
            self.now = end;
            let Some(fleet) = index.and_then(|i| self.steps.get_mut(i as usize)) else { continue };
            fleet.ready += span * ready;
            fleet.instances += span * all;
            fleet.target = self.target;
        }
    }

    /// Notes the first decision of what is told, and each that differs from the one before.
    fn note(&mut self, at: Duration, tick: Tick) {
        let decided = Decided { at: tick.at, decision: tick.decision };
        let last = self.decisions.last();
        let is_other = last.is_none_or(|last| target(&last.decision) != target(&decided.decision));
        if at < self.offset || self.is_over() || !is_other {
            return;
        }
        if self.decisions.len() < DECISIONS_MAX {
            self.decisions.push(decided);
        } else if let Some(last) = self.decisions.last_mut() {
            // The next one is compared with it, and what is told last is the last of all.
            *last = decided;
            self.left_out += 1;
        }
    }

    /// All of it.
    pub(super) fn preview(self, stretch: &Stretch, tally: &Tally, assumed: Assumed) -> Preview {
        let step_s = self.step.as_secs_f64();
        let mut totals = Totals::default();
        let mut outside = 0;
        let mut ran: Option<f64> = None;
        let mut points = Vec::with_capacity(self.steps.len());
        let steps = self.steps.iter().zip(tally.steps());
        let observed = stretch.arrivals().zip(stretch.steps());
        for (i, ((fleet, ended), (offered_rps, observed))) in steps.zip(observed).enumerate() {
            let known = |rate: f64| offered_rps.map(|_| rate);
            points.push(Point {
                at: stretch.from().after(stretch.start_of(i)),
                offered_rps,
                served_rps: known(count(ended.served) / step_s),
                failed_rps: known(count(ended.failed) / step_s),
                latency_ms: ended.latency_ms().filter(|_| offered_rps.is_some()),
                ready: fleet.ready.div_duration_f64(self.step),
                instances: fleet.instances.div_duration_f64(self.step),
                target: fleet.target,
            });
            if offered_rps.is_none() {
                continue;
            }
            totals.known_s += step_s;
            totals.instance_seconds += fleet.instances.as_secs_f64();
            totals.requests += ended.served + ended.failed;
            totals.failed += ended.failed;
            outside += ended.outside;
            if let Some(instances) = good(observed.instances) {
                *ran.get_or_insert(0.0) += instances * step_s;
            }
        }
        totals.outside_objective_percent =
            (totals.requests > 0).then(|| count(outside) * 100.0 / count(totals.requests));
        Preview {
            points,
            decisions: self.decisions,
            decisions_left_out: self.left_out,
            totals,
            ran: Ran { instance_seconds: ran },
            assumed,
        }
    }
}

/// The number decided on; `None` to hold.
const fn target(decision: &Decision) -> Option<u32> {
    match decision {
        Decision::Target { ready, .. } => Some(*ready),
        Decision::Hold { .. } => None,
    }
}
