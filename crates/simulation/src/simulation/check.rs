//! The rules that each turn of a simulation is held to.

use model::decision::{Decision, Reason};
use model::tick::Tick;
use model::time::Timestamp;
use model::version::Rollout;
use policy::check::violations;
use policy::controller::TurnContext;
use policy::plan::{Plan, PlanContext};

use super::{Simulation, SimulationError};

impl Simulation {
    /// Holds what was decided and planned to the rules, also in release builds.
    pub(super) fn check(
        &self,
        around: &TurnContext,
        tick: &Tick,
        at: Timestamp,
    ) -> Result<(), SimulationError> {
        let seconds = self.elapsed().as_secs_f64();
        let (min, max) = (self.spec.bounds.min(), self.spec.bounds.max());
        if let Some(ready) = tick.target().filter(|ready| !(min..=max).contains(ready)) {
            return Err(SimulationError::OutOfBounds { seconds, ready, min, max });
        }
        self.check_additions(tick)?;
        if tick.plan.is_empty() {
            return Ok(());
        }
        let memory = self.controller.memory();
        let unseen = Rollout::Serving { version: self.wanted.version };
        let situation = PlanContext {
            service: &self.spec.name,
            rollout: tick.rollout.as_ref().unwrap_or(&unseen),
            free_slots: around.free_slots,
            launches_left: around.launches_left,
            fits: around.fits,
            launches_back_off: memory.launches.is_waiting(at),
            trial_backs_off: memory.trials.is_waiting(at),
            owes_release: self.controller.owes_release(around),
            backing_off: &[],
            drain_timeout: self.spec.scale_in.drain_timeout,
            replacement: self.spec.replacement,
        };
        let plan = Plan { actions: tick.plan.clone(), blocked: tick.blocked.clone() };
        let found = violations(self.controller.fleet(), &tick.decision, &plan, &situation, at);
        match found.into_iter().next() {
            None => Ok(()),
            Some(violation) => Err(SimulationError::Violation { seconds, violation }),
        }
    }

    /// Holds a decision that says that the host is full to what its cores can keep half busy, since one that is less
    /// does not want CPU time; or to what was there and, where it is full no longer, what all of its cores could keep
    /// busy of instances that compute.
    fn check_additions(&self, tick: &Tick) -> Result<(), SimulationError> {
        let Decision::Target { ready, reasons } = &tick.decision else { return Ok(()) };
        // A core at most, whatever an instance may: its program may have one thread.
        let busy = self
            .host
            .cores
            .map_or(0.0, |cores| f64::from(cores) / self.spec.instance.cpus.min(1.0));
        let there = self.decided.unwrap_or(u32::MAX).max(self.spec.bounds.min()).max(1);
        let most = (f64::from(there) + busy.ceil()).max((2.0 * busy).ceil());
        if reasons.contains(&Reason::HostSaturated) && f64::from(*ready) > most {
            let seconds = self.elapsed().as_secs_f64();
            return Err(SimulationError::AddedInVain { seconds, ready: *ready, most });
        }
        Ok(())
    }
}
