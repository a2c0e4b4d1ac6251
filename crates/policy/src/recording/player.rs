//! Inputs of turns.

use std::time::Duration;

use model::decision::Decision;
use model::names::{InstanceName, Slot};
use model::service::ServiceSpec;
use model::time::Timestamp;
use model::version::{Rollout, Wanted};

use super::error::RecordingError;
use super::instances::{Differences, after};
use super::outcome::Outcome;
use super::turn::Turn;
use crate::controller::{ServiceObservation, TurnContext};
use crate::fleet::InstanceObservation;
use crate::terms;

/// All inputs of one turn.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The service, as far as decisions read it.
    pub spec: ServiceSpec,
    /// [`TurnContext::wanted`].
    pub wanted: Wanted,
    /// [`TurnContext::release`].
    pub release: bool,
    /// [`TurnContext::free_slots`].
    pub free_slots: Vec<Slot>,
    /// [`TurnContext::launches_left`].
    pub launches_left: u32,
    /// [`TurnContext::fits`].
    pub fits: u32,
    /// [`TurnContext::launch_timeout`].
    pub launch_timeout: Duration,
    /// [`TurnContext::hold`].
    pub hold: Option<u32>,
    /// [`TurnContext::removals`].
    pub removals: Vec<InstanceName>,
    /// What was observed, the instances in the order of their names.
    pub observed: ServiceObservation,
    /// The moment of the turn.
    pub now: Timestamp,
}

impl Inputs {
    /// What held for the service at the turn.
    pub fn context(&self) -> TurnContext<'_> {
        TurnContext {
            spec: &self.spec,
            wanted: self.wanted,
            release: self.release,
            free_slots: &self.free_slots,
            launches_left: self.launches_left,
            fits: self.fits,
            launch_timeout: self.launch_timeout,
            hold: self.hold,
            removals: &self.removals,
        }
    }
}

/// Makes inputs of turns, in their order, from the first one of a start on.
#[derive(Debug, Clone, Default)]
pub struct Player {
    /// What held at the turn before, without what was observed then.
    before: Option<Inputs>,
    instances: Vec<InstanceObservation>,
    decision: Option<Decision>,
    rollout: Option<Rollout>,
}

impl Player {
    /// The inputs of a turn, which stands in this line, and what came of it.
    ///
    /// # Errors
    /// It does not follow on the turn before it, or its service cannot be.
    pub fn turn(&mut self, turn: Turn, line: usize) -> Result<(Inputs, Outcome), RecordingError> {
        let inputs = self.inputs(&turn, line)?;
        let outcome = self.outcome(turn, line)?;
        Ok((inputs, outcome))
    }

    fn inputs(&mut self, turn: &Turn, line: usize) -> Result<Inputs, RecordingError> {
        let mut inputs = self.holds(turn, line)?;
        self.before = Some(inputs.clone());
        let differences = Differences {
            gone: turn.gone.clone(),
            seen: turn.seen.clone(),
            in_flight: turn.in_flight.clone(),
        };
        if !turn.unseen {
            let known = std::mem::take(&mut self.instances);
            let gap =
                RecordingError::Gap { line, what: "it tells of instances that there were not" };
            self.instances = after(known, &differences).ok_or(gap)?;
        }
        inputs.now = turn.at;
        inputs.hold = turn.hold;
        inputs.removals.clone_from(&turn.removals);
        inputs.observed = ServiceObservation {
            load: turn.load.map(Into::into),
            cpu_cores: turn.cpu_cores,
            host_cpu: turn.host_cpu.map(Into::into),
            instances: (!turn.unseen).then(|| self.instances.clone()),
            answers: turn.answers.clone(),
            done: turn.done.clone(),
        };
        Ok(inputs)
    }

    /// What holds at the turn, without what is observed.
    fn holds(&mut self, turn: &Turn, line: usize) -> Result<Inputs, RecordingError> {
        let described = turn.service.as_ref().map(terms::spec).transpose();
        let described = described.map_err(|source| RecordingError::Service { line, source })?;
        let gap = |what| RecordingError::Gap { line, what };
        let Some(before) = self.before.take() else {
            return Ok(Inputs {
                spec: described.ok_or(gap("it has no service"))?,
                wanted: turn.wanted.ok_or(gap("it has no wanted version"))?,
                release: turn.release.ok_or(gap("it does not say whether a release is due"))?,
                free_slots: turn.free_slots.clone().ok_or(gap("it has no free slots"))?,
                launches_left: turn.launches_left.ok_or(gap("it has no launches that are left"))?,
                fits: turn.fits.ok_or(gap("it does not say how many fit"))?,
                launch_timeout: turn.launch_timeout.ok_or(gap("it has no time for a launch"))?,
                hold: None,
                removals: Vec::new(),
                observed: ServiceObservation::default(),
                now: turn.at,
            });
        };
        Ok(Inputs {
            spec: described.unwrap_or(before.spec),
            wanted: turn.wanted.unwrap_or(before.wanted),
            release: turn.release.unwrap_or(before.release),
            free_slots: turn.free_slots.clone().unwrap_or(before.free_slots),
            launches_left: turn.launches_left.unwrap_or(before.launches_left),
            fits: turn.fits.unwrap_or(before.fits),
            launch_timeout: turn.launch_timeout.unwrap_or(before.launch_timeout),
            hold: None,
            removals: Vec::new(),
            observed: ServiceObservation::default(),
            now: turn.at,
        })
    }

    fn outcome(&mut self, turn: Turn, line: usize) -> Result<Outcome, RecordingError> {
        self.decision = turn.decision.or(self.decision.take());
        self.rollout = turn.rollout.or(self.rollout.take());
        let gap = RecordingError::Gap { line, what: "it has no decision" };
        Ok(Outcome {
            decision: self.decision.clone().ok_or(gap)?,
            rollout: self.rollout.clone(),
            plan: turn.plan,
            blocked: turn.blocked,
        })
    }
}
