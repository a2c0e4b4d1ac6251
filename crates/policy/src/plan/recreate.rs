//! Plans for a service that never has two instances: the old one leaves before the new one comes.

use std::cmp::Reverse;

use model::action::ActionKind;
use model::instance::Phase;
use model::names::Slot;
use model::version::Version;

use super::Draft;
use crate::fleet::{Fleet, Instance};

impl Draft<'_> {
    /// Brings the fleet to one instance of the version that is next, or to none. Nothing is cloned
    /// before the last instance of the fleet is gone, whatever its phase.
    pub(super) fn recreate(&mut self, fleet: &Fleet, target: u32) {
        let rollout = self.context.rollout;
        // A trial takes the place of the version that serves: there is no room for both.
        let next = rollout.proving().unwrap_or(rollout.serving());
        if fleet.instances().is_empty() {
            let is_wanted = target > 0 && rollout.wants(next);
            return match rollout.proving() {
                Some(version) => self.launch_trial(version),
                None => self.launch(u32::from(is_wanted), next, self.context.launches_back_off),
            };
        }
        let kept = kept(fleet, next).map(|instance| &instance.name);
        for instance in fleet.instances() {
            let stays = kept == Some(&instance.name)
                && !instance.should_be_replaced(next)
                && rollout.wants(next);
            if let Some(kind) = self.step(instance, stays, target) {
                self.act(kind, instance);
            }
        }
    }

    /// What is to be done with one instance, of which the fleet has others at most by accident. Where it is
    /// stuck it is killed although nobody else answers: nobody does until it is gone, and its drain would only
    /// be waited for.
    fn step(&self, instance: &Instance, stays: bool, target: u32) -> Option<ActionKind> {
        match instance.phase {
            _ if instance.is_stuck_in_use() => Some(ActionKind::Kill),
            Phase::Failed => Some(ActionKind::Stop),
            Phase::Draining if self.context.has_left(instance, self.now) => Some(ActionKind::Stop),
            Phase::Draining => (stays && target > 0).then_some(ActionKind::Admit),
            Phase::Starting if stays => Some(ActionKind::Admit),
            // It has never served.
            Phase::Starting => Some(ActionKind::Stop),
            Phase::Ready => (!stays || target == 0).then_some(ActionKind::Drain),
        }
    }
}

/// The instance that a fleet with too many keeps: one that has served before one that has not, since
/// that one can be stopped at once, and of those that serve the busiest.
fn kept(fleet: &Fleet, next: Version) -> Option<&Instance> {
    let order = |instance: &&Instance| -> (u8, bool, bool, Reverse<u32>, Slot) {
        let phase = match instance.phase {
            Phase::Ready => 0,
            Phase::Draining => 1,
            Phase::Starting | Phase::Failed => 2,
        };
        let in_flight = Reverse(instance.in_flight.unwrap_or(0));
        let is_old = instance.should_be_replaced(next);
        (phase, is_old, instance.under_way.is_none(), in_flight, instance.slot())
    };
    fleet.instances().iter().filter(|instance| instance.phase != Phase::Failed).min_by_key(order)
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;
    use std::time::Duration;

    use model::action::Blocked;
    use model::decision::{Decision, Reason};
    use model::service::Replacement;
    use model::version::Rollout;

    use crate::fleet::{ContainerPresence, Fleet, InstanceObservation, RotationState};
    use crate::plan::{Plan, PlanContext, plan};
    use crate::testing::{
        VERSION, context, observation, seconds, silent, slots, store_name, wanted,
    };

    use super::*;

    const NEXT: Version = Version::new(2);
    const SERVING: Rollout = Rollout::Serving { version: VERSION };
    const READY: RotationState = RotationState::In { healthy: true };

    fn proving() -> Rollout {
        Rollout::Proving { version: VERSION, next: wanted(NEXT), since: seconds(0) }
    }

    fn given_up() -> Rollout {
        let reason = "no answer".to_owned();
        Rollout::GivenUp { version: VERSION, next: wanted(NEXT), reason }
    }

    /// One that runs in this slot.
    fn running(slot: u32, rotation: RotationState) -> InstanceObservation {
        observation(slot, ContainerPresence::Running, rotation)
    }

    /// The same, of the version to come.
    fn new(slot: u32, rotation: RotationState) -> InstanceObservation {
        InstanceObservation { version: Some(NEXT), ..running(slot, rotation) }
    }

    fn drained(observed: InstanceObservation) -> InstanceObservation {
        InstanceObservation { drained: true, ..observed }
    }

    fn fleet(instances: &[InstanceObservation]) -> Fleet {
        let timeout = Duration::from_secs(10);
        Fleet::observed(&Fleet::default(), instances.to_vec(), timeout, seconds(0))
    }

    fn plan_for(fleet: &Fleet, target: u32, rollout: &Rollout, trial_backs_off: bool) -> Plan {
        let (service, free) = (store_name(), slots(5..=9).collect::<Vec<_>>());
        let replacement = Replacement::Recreate;
        let context = context(&service, rollout, &free);
        let context = PlanContext { trial_backs_off, replacement, ..context };
        let decision = Decision::Target { ready: target, reasons: vec![Reason::OfferedLoad] };
        let plan = plan(fleet, &decision, &context, seconds(5));
        let found = crate::check::violations(fleet, &decision, &plan, &context, seconds(5));
        assert_eq!(found, [], "{plan:?}");
        plan
    }

    /// What is planned, as `kind slot version`.
    fn planned(instances: &[InstanceObservation], target: u32, rollout: &Rollout) -> Vec<String> {
        let plan = plan_for(&fleet(instances), target, rollout, false);
        let version = |version: Option<Version>| if version == Some(NEXT) { "new" } else { "old" };
        let text =
            |a: &model::action::Action| format!("{:?} {} {}", a.kind, a.slot, version(a.version));
        plan.actions.iter().map(text).collect()
    }

    #[test]
    fn an_old_instance_drains_and_is_stopped_before_the_trial_is_cloned() {
        let rollout = &proving();
        assert_eq!(planned(&[running(1, READY)], 1, rollout), ["Drain 1 old"]);
        let draining = running(1, RotationState::Drain);
        assert!(planned(from_ref(&draining), 1, rollout).is_empty());
        assert_eq!(planned(&[drained(draining.clone())], 1, rollout), ["Stop 1 old"]);
        let mut stopping = drained(draining);
        stopping.rotation = RotationState::Out;
        stopping.under_way = Some(ActionKind::Stop);
        assert!(planned(&[stopping], 1, rollout).is_empty(), "it is still there");
        assert_eq!(planned(&[], 1, rollout), ["Clone 5 new"]);
    }

    #[test]
    fn one_clone_is_made_whatever_is_asked_for() {
        assert_eq!(planned(&[], 7, &SERVING), ["Clone 5 old"]);
        assert!(planned(&[], 0, &SERVING).is_empty());
        assert_eq!(planned(&[], 0, &proving()), ["Clone 5 new"], "a trial needs an instance");
    }

    #[test]
    fn a_trial_that_was_given_up_is_stopped_before_the_old_version_is_back() {
        let tried = new(5, RotationState::Out);
        assert_eq!(planned(&[tried], 1, &given_up()), ["Stop 5 new"]);
        assert_eq!(planned(&[], 1, &given_up()), ["Clone 5 old"]);
    }

    #[test]
    fn the_next_try_of_a_trial_waits_and_the_old_version_does_not_come_back_in_between() {
        let plan = plan_for(&fleet(&[]), 1, &proving(), true);
        assert_eq!(plan.blocked, [Blocked::LaunchBackoff]);
        assert!(plan.actions.is_empty());
    }

    #[test]
    fn what_failed_is_stopped_before_another_is_cloned() {
        let dead = observation(1, ContainerPresence::Stopped, RotationState::Out);
        assert_eq!(planned(&[dead], 1, &SERVING), ["Stop 1 old"]);
    }

    #[test]
    fn a_returning_need_takes_a_draining_instance_back_unless_it_is_to_be_replaced() {
        let draining = running(1, RotationState::Drain);
        assert_eq!(planned(from_ref(&draining), 1, &SERVING), ["Admit 1 old"]);
        assert!(planned(from_ref(&draining), 1, &proving()).is_empty());
        assert_eq!(planned(&[drained(draining)], 1, &SERVING), ["Stop 1 old"]);
    }

    #[test]
    fn an_unhealthy_instance_leaves_first_and_is_not_taken_back() {
        let timeout = Duration::from_secs(10);
        let down = running(1, RotationState::In { healthy: false });
        let before = Fleet::observed(&Fleet::default(), vec![down.clone()], timeout, seconds(0));
        let sick = Fleet::observed(&before, vec![down], timeout, seconds(5));
        let kinds = |fleet: &Fleet| -> Vec<_> {
            let plan = plan_for(fleet, 1, &SERVING, false);
            plan.actions.iter().map(|action| action.kind).collect()
        };
        assert_eq!(kinds(&sick), [ActionKind::Drain]);
        let draining = vec![running(1, RotationState::Drain)];
        let draining = Fleet::observed(&sick, draining, timeout, seconds(5));
        assert!(kinds(&draining).is_empty());
    }

    #[test]
    fn a_stuck_instance_is_killed_alone_or_not_and_another_comes_when_it_is_gone() {
        let timeout = Duration::from_secs(10);
        let stuck = |rotation, others: &[InstanceObservation]| {
            let mut all = vec![silent(running(1, rotation))];
            all.extend_from_slice(others);
            let before = Fleet::observed(&Fleet::default(), all.clone(), timeout, seconds(0));
            Fleet::observed(&before, all, timeout, seconds(5))
        };
        let acts = |fleet: &Fleet, target, rollout: &Rollout| -> Vec<String> {
            let plan = plan_for(fleet, target, rollout, false);
            plan.actions.iter().map(|action| format!("{:?} {}", action.kind, action.slot)).collect()
        };
        let down = RotationState::In { healthy: false };
        for rotation in [down, RotationState::Drain] {
            for (target, rollout) in [(1, SERVING), (0, SERVING), (1, proving())] {
                assert_eq!(acts(&stuck(rotation, &[]), target, &rollout), ["Kill 1"]);
            }
        }
        // One that is left of when there were many takes its place.
        assert_eq!(acts(&stuck(down, &[running(2, READY)]), 1, &SERVING), ["Kill 1"]);
        let mut killed = silent(running(1, down));
        killed.under_way = Some(ActionKind::Kill);
        assert!(planned(&[killed], 1, &SERVING).is_empty(), "it is still there");
        assert_eq!(planned(&[], 1, &SERVING), ["Clone 5 old"]);
    }

    #[test]
    fn one_that_appears_beside_another_is_stopped_and_the_one_that_serves_stays() {
        let both = [running(1, READY), running(2, RotationState::Out)];
        assert_eq!(planned(&both, 1, &SERVING), ["Stop 2 old"]);
        let mut cloning = observation(1, ContainerPresence::Absent, RotationState::Out);
        cloning.under_way = Some(ActionKind::Clone);
        let both = [cloning, running(2, RotationState::Out)];
        assert_eq!(planned(&both, 1, &SERVING), ["Stop 2 old"]);
        let both = [running(1, RotationState::Out), running(2, RotationState::Out)];
        assert_eq!(planned(&both, 1, &SERVING), ["Admit 1 old", "Stop 2 old"]);
    }

    #[test]
    fn the_instances_of_a_service_that_had_many_drain_down_to_the_busiest() {
        let busy = InstanceObservation { in_flight: Some(3), ..running(2, READY) };
        let three = [running(1, READY), busy, running(3, READY)];
        assert_eq!(planned(&three, 1, &SERVING), ["Drain 1 old", "Drain 3 old"]);
    }

    #[test]
    fn one_that_is_to_be_removed_leaves_before_another_is_cloned() {
        let removed = |observed: InstanceObservation| {
            let name = observed.name.clone();
            fleet(&[observed]).marked(&[name])
        };
        let planned = |fleet: &Fleet| {
            let plan = plan_for(fleet, 1, &SERVING, false);
            plan.actions.into_iter().map(|action| action.kind).collect::<Vec<_>>()
        };
        assert_eq!(planned(&removed(running(1, READY))), [ActionKind::Drain]);
        assert_eq!(planned(&removed(running(1, RotationState::Drain))), []);
        assert_eq!(
            planned(&removed(drained(running(1, RotationState::Drain)))),
            [ActionKind::Stop]
        );
        assert_eq!(planned(&removed(running(1, RotationState::Out))), [ActionKind::Stop]);
        assert_eq!(planned(&fleet(&[])), [ActionKind::Clone]);
    }
}
