//! What became of the requests of a preview, step by step.

use std::time::Duration;

use super::observed::Stretch;
use crate::outcomes::{Failure, Outcomes};

/// The requests that ended in one step.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ended {
    pub(super) served: u64,
    pub(super) failed: u64,
    /// Those of them that failed, or took longer than the objective.
    pub(super) outside: u64,
    /// The time that all served took together, in seconds.
    took_s: f64,
}

impl Ended {
    /// How long those served took on average, in milliseconds; `None` where none was.
    pub(super) fn latency_ms(&self) -> Option<f64> {
        (self.served > 0).then(|| self.took_s * 1e3 / count(self.served))
    }
}

/// All steps, in memory that does not grow with the number of requests.
#[derive(Debug)]
pub(super) struct Tally {
    offset: Duration,
    step: Duration,
    objective: Duration,
    steps: Vec<Ended>,
}

impl Tally {
    /// Of a stretch whose first step begins after `offset`.
    pub(super) fn new(offset: Duration, stretch: &Stretch, objective: Duration) -> Self {
        let steps = vec![Ended::default(); stretch.steps().len()];
        Self { offset, step: stretch.grain().step(), objective, steps }
    }

    /// By step.
    pub(super) fn steps(&self) -> &[Ended] {
        &self.steps
    }

    /// The step at a moment; `None` outside of all.
    fn at(&mut self, moment: Duration) -> Option<&mut Ended> {
        let since = moment.checked_sub(self.offset)?;
        let index = since.as_millis() / self.step.as_millis();
        self.steps.get_mut(usize::try_from(index).ok()?)
    }

    fn fail(&mut self, at: Duration, many: u64) {
        if let Some(ended) = self.at(at) {
            ended.failed += many;
            ended.outside += many;
        }
    }
}

impl Outcomes for Tally {
    fn ok(&mut self, due: Duration, done: Duration, many: u64) {
        let took = done.saturating_sub(due);
        let is_outside = took > self.objective;
        let Some(ended) = self.at(done) else { return };
        ended.served += many;
        ended.took_s += took.as_secs_f64() * count(many);
        ended.outside += if is_outside { many } else { 0 };
    }

    fn failed(&mut self, _due: Duration, done: Duration, _failure: Failure, many: u64) {
        self.fail(done, many);
    }

    fn dropped(&mut self, due: Duration, many: u64) {
        self.fail(due, many);
    }
}

#[expect(clippy::cast_precision_loss, reason = "requests of a day are far below 2^53")]
pub(super) const fn count(many: u64) -> f64 {
    many as f64
}
