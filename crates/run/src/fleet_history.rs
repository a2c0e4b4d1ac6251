//! The fleet during a run, from the scaler's ticks.

use model::action::ActionKind;
use model::instance::PhaseCounts;
use model::tick::Tick;
use model::time::Timestamp;

use crate::series::{FleetStep, SecondRow};
use crate::summary::{Instances, Scaling};

/// A service's fleet as a step function, and what the scaler did to it.
#[derive(Debug)]
pub struct FleetHistory {
    start: Timestamp,
    steps: Vec<FleetStep>,
    out: u64,
    r#in: u64,
    failed_actions: u64,
}

impl FleetHistory {
    /// A history whose times count from `start`, with the fleet as it was then.
    pub fn new(start: Timestamp, phases: PhaseCounts, decided: Option<u32>) -> Self {
        let first = FleetStep::new(0.0, phases, decided);
        Self { start, steps: vec![first], out: 0, r#in: 0, failed_actions: 0 }
    }

    /// Takes in the next tick of the service, which was taken at `at`: the tick's own time, unless
    /// that comes from a clock that was set meanwhile.
    pub fn tick(&mut self, at: Timestamp, tick: &Tick) {
        let at_s = seconds_between(self.start, at);
        self.steps.push(FleetStep::new(at_s, tick.observation.phases, tick.target()));
        for done in &tick.done {
            match (&done.error, done.kind) {
                (Some(_), _) => self.failed_actions += 1,
                (None, ActionKind::Clone) => self.out += 1,
                (None, ActionKind::Drain) => self.r#in += 1,
                (None, ActionKind::Stop | ActionKind::Kill | ActionKind::Admit) => {}
            }
        }
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[FleetStep] {
        &self.steps
    }

    /// Since when, in seconds after the start, the fleet has been at its lower bound with nothing
    /// left to do; `None` when it is not.
    pub fn at_rest_since(&self, min: u32) -> Option<f64> {
        let rests = |s: &&FleetStep| s.ready == min && s.starting + s.draining + s.failed == 0;
        self.steps.iter().rev().take_while(rests).last().map(|s| s.at_s)
    }

    /// How many instances there were until `end_s` seconds after the start; the last step holds to
    /// the end, also beyond the record.
    pub fn instances(&self, end_s: f64) -> Instances {
        let ready = || self.steps.iter().filter(|s| s.at_s <= end_s).map(|s| s.ready);
        let ends = self.steps.iter().skip(1).map(|s| s.at_s).chain([end_s]);
        let seconds = self
            .steps
            .iter()
            .zip(ends)
            .map(|(step, end)| f64::from(step.running()) * (end.min(end_s) - step.at_s).max(0.0))
            .sum();
        Instances {
            min: ready().min(),
            max: ready().max(),
            seconds: Some(seconds),
            over_s: Some(end_s),
        }
    }

    /// What the scaler did; the times from plan to serving are another's.
    pub fn scaling(&self) -> Scaling {
        Scaling {
            out: Some(self.out),
            r#in: Some(self.r#in),
            failed_actions: Some(self.failed_actions),
            ..Scaling::default()
        }
    }

    /// Writes the fleet into the rows of the run, as it was at the end of each second.
    pub fn fill(&self, rows: &mut [SecondRow]) {
        for row in rows {
            let end = f64::from(row.second) + 1.0;
            let after = self.steps.partition_point(|s| s.at_s <= end);
            let Some(step) = after.checked_sub(1).map(|i| self.steps[i]) else { continue };
            row.ready = Some(step.ready);
            row.starting = Some(step.starting);
            row.draining = Some(step.draining);
            row.failed_instances = Some(step.failed);
            row.decided = step.decided;
        }
    }
}

/// Seconds from one moment to another; negative when the other came first.
fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).as_secs_f64() - from.since(to).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(ready: u32, starting: u32, draining: u32) -> PhaseCounts {
        PhaseCounts { ready, starting, draining, ..PhaseCounts::default() }
    }

    /// One instance for 10 s, then three more that start, then four ready.
    fn history() -> FleetHistory {
        let start = Timestamp::from_millis(50_000);
        let mut history = FleetHistory::new(start, phases(1, 0, 0), Some(1));
        history.steps.push(FleetStep::new(10.0, phases(1, 3, 0), Some(4)));
        history.steps.push(FleetStep::new(10.5, phases(4, 0, 0), Some(4)));
        history
    }

    #[test]
    fn instance_seconds_add_up_everything_that_runs() {
        let instances = history().instances(20.0);
        assert_eq!((instances.min, instances.max), (Some(1), Some(4)));
        assert!((instances.seconds.unwrap() - (10.0 + 2.0 + 38.0)).abs() < 1e-9);
        assert_eq!(history().instances(5.0).max, Some(1));
        assert!((history().instances(5.0).seconds.unwrap() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn a_row_has_the_fleet_of_its_last_moment() {
        let row = |second| SecondRow { second, ..SecondRow::default() };
        let mut rows = [row(0), row(9), row(10)];
        history().fill(&mut rows);
        let seen = rows.map(|r| (r.ready, r.starting, r.decided));
        let (one, starting) = ((Some(1), Some(0), Some(1)), (Some(1), Some(3), Some(4)));
        assert_eq!(seen, [one, starting, (Some(4), Some(0), Some(4))]);
    }

    #[test]
    fn a_fleet_rests_since_nothing_starts_or_drains() {
        let mut history = history();
        for busy in [phases(2, 0, 0), phases(1, 1, 0), phases(1, 0, 1), phases(0, 0, 0)] {
            history.steps.push(FleetStep::new(30.0, busy, None));
            assert_eq!(history.at_rest_since(1), None);
        }
        history.steps.push(FleetStep::new(31.0, phases(1, 0, 0), None));
        history.steps.push(FleetStep::new(33.0, phases(1, 0, 0), Some(1)));
        assert_eq!(history.at_rest_since(1), Some(31.0));
        history.steps.push(FleetStep::new(40.0, phases(0, 0, 1), Some(0)));
        assert_eq!(history.at_rest_since(0), None);
        history.steps.push(FleetStep::new(40.2, phases(0, 0, 0), Some(0)));
        assert_eq!(history.at_rest_since(0), Some(40.2));
    }

    #[test]
    fn moments_before_the_start_are_negative() {
        let (a, b) = (Timestamp::from_millis(1_500), Timestamp::from_millis(3_000));
        assert!((seconds_between(a, b) - 1.5).abs() < 1e-9);
        assert!((seconds_between(b, a) + 1.5).abs() < 1e-9);
    }
}
