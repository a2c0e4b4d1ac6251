//! The actions that lead from the fleet to the decision. A plan leaves no choice to what
//! carries it out.

use std::cmp::Reverse;
use std::time::Duration;

use model::action::{Action, ActionKind, Blocked};
use model::decision::Decision;
use model::instance::Phase;
use model::names::{InstanceName, ServiceName, Slot};
use model::time::Timestamp;

use crate::fleet::{Fleet, Instance};

/// The steps to take now, all of which may run side by side, and what had to be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Plan {
    /// The steps.
    pub actions: Vec<Action>,
    /// What was wanted and could not be planned, each reason once.
    pub blocked: Vec<Blocked>,
}

/// What a plan must know beside the fleet and the decision.
#[derive(Debug, Clone)]
pub struct PlanContext<'a> {
    /// The service.
    pub service: &'a ServiceName,
    /// Slots that no instance of any service holds, in the order of use.
    pub free_slots: &'a [Slot],
    /// How many more launches the host takes now.
    pub launches_left: u32,
    /// Whether launches failed of late and the next attempt has to wait.
    pub launches_back_off: bool,
    /// Instances whose last action failed a moment ago.
    pub backing_off: &'a [InstanceName],
    /// How long a draining instance may take to finish its requests.
    pub drain_timeout: Duration,
}

/// Plans the way from `fleet` to `decision`. A decision to hold changes nothing at all.
///
/// Clones under way count as capacity and draining instances are not compensated. While an
/// outdated or unhealthy instance serves, one more than decided is launched, and such ones are
/// the first to go: a new template replaces its predecessors one by one, without a gap.
pub fn plan(fleet: &Fleet, decision: &Decision, context: &PlanContext, now: Timestamp) -> Plan {
    let Decision::Target { ready: target, .. } = *decision else {
        return Plan::default();
    };
    let mut draft = Draft { context, plan: Plan::default() };
    draft.clean_up(fleet, now);
    let replace = |i: &Instance| i.counts_as_capacity() && i.should_be_replaced();
    let wanted = target + u32::from(fleet.instances().iter().any(replace));
    let missing = wanted.saturating_sub(fleet.capacity());
    let missing = draft.admit(fleet, missing);
    draft.launch(missing, now);
    draft.drain(fleet, target);
    draft.plan
}

/// A plan in the making.
struct Draft<'a> {
    context: &'a PlanContext<'a>,
    plan: Plan,
}

impl Draft<'_> {
    /// Stops what has failed and what has drained.
    fn clean_up(&mut self, fleet: &Fleet, now: Timestamp) {
        for instance in fleet.instances() {
            let overdue = now.since(instance.since) >= self.context.drain_timeout;
            let done = match instance.phase {
                Phase::Failed => true,
                Phase::Draining => instance.drained || overdue,
                Phase::Starting | Phase::Ready => false,
            };
            if done {
                self.act(ActionKind::Stop, instance);
            }
        }
    }

    /// Puts in rotation what runs and is not: instances found after a restart, and draining ones
    /// of the current template, which are capacity at no cost. Returns how many are still missing.
    fn admit(&mut self, fleet: &Fleet, mut missing: u32) -> u32 {
        for instance in fleet.in_phase(Phase::Starting) {
            self.act(ActionKind::Admit, instance);
        }
        let mut returnable: Vec<_> =
            fleet.in_phase(Phase::Draining).filter(|i| !i.outdated).collect();
        returnable.sort_by_key(|instance| (Reverse(instance.since), instance.slot()));
        for instance in returnable {
            // A drained instance is about to be stopped by this very plan: not both.
            let stopped = self.plan.actions.iter().any(|action| action.instance == instance.name);
            if missing > 0 && !stopped && self.act(ActionKind::Admit, instance) {
                missing -= 1;
            }
        }
        missing
    }

    /// Clones `missing` instances, as far as slots and the host allow.
    fn launch(&mut self, missing: u32, now: Timestamp) {
        if missing == 0 {
            return;
        }
        if self.context.launches_back_off {
            return self.block(Blocked::LaunchBackoff);
        }
        let free = self.context.free_slots;
        let count = missing.min(self.context.launches_left) as usize;
        for &slot in free.iter().take(count) {
            let instance = InstanceName::new(self.context.service, slot, now);
            self.plan.actions.push(Action::new(ActionKind::Clone, instance));
        }
        if free.len() < count {
            self.block(Blocked::NoFreeSlot);
        } else if missing > self.context.launches_left {
            self.block(Blocked::LaunchLimit);
        }
    }

    /// Drains the ready instances that exceed the target. Those still starting do not replace a
    /// ready one until they are ready themselves.
    fn drain(&mut self, fleet: &Fleet, target: u32) {
        let mut ready: Vec<_> = fleet.in_phase(Phase::Ready).collect();
        let excess = ready.len().saturating_sub(target as usize);
        ready.sort_by_key(|instance| eagerness_to_leave(instance));
        let victims = ready.into_iter().filter(|instance| instance.under_way.is_none());
        for victim in victims.take(excess) {
            self.act(ActionKind::Drain, victim);
        }
    }

    /// Adds an action, unless one on the same instance is under way or failed a moment ago.
    fn act(&mut self, kind: ActionKind, instance: &Instance) -> bool {
        if instance.under_way.is_some() {
            return false;
        }
        if self.context.backing_off.contains(&instance.name) {
            self.block(Blocked::ActionBackoff);
            return false;
        }
        self.plan.actions.push(Action::new(kind, instance.name.clone()));
        true
    }

    fn block(&mut self, reason: Blocked) {
        if !self.plan.blocked.contains(&reason) {
            self.plan.blocked.push(reason);
        }
    }
}

/// Order in which ready instances leave: those to be replaced first, then the idlest, then the highest
/// slot, so that a service settles in its lowest slots.
fn eagerness_to_leave(instance: &Instance) -> (bool, u32, Reverse<Slot>) {
    (
        !instance.should_be_replaced(),
        instance.in_flight.unwrap_or(u32::MAX),
        Reverse(instance.slot()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{ContainerPresence, InstanceObservation, RotationState};
    use crate::testing::{observation, seconds, slots, store_name};
    use model::decision::Reason;

    const READY: RotationState = RotationState::In { healthy: true };

    fn running(slot: u32, rotation: RotationState) -> InstanceObservation {
        observation(slot, ContainerPresence::Running, rotation)
    }

    fn fleet(instances: Vec<InstanceObservation>) -> Fleet {
        Fleet::observed(&Fleet::default(), instances, Duration::from_secs(10), seconds(0))
    }

    fn target(ready: u32) -> Decision {
        Decision::Target { ready, reasons: vec![Reason::OfferedLoad] }
    }

    /// Nothing in the way, and four launches at once.
    fn context<'a>(service: &'a ServiceName, free_slots: &'a [Slot]) -> PlanContext<'a> {
        PlanContext {
            service,
            free_slots,
            launches_left: 4,
            launches_back_off: false,
            backing_off: &[],
            drain_timeout: Duration::from_secs(30),
        }
    }

    /// What is planned, as `kind slot`, with four launches at once and slots 1 to 13.
    fn planned(
        instances: Vec<InstanceObservation>,
        decision: &Decision,
        at: u64,
    ) -> (Vec<String>, Plan) {
        let taken: Vec<_> = instances.iter().map(|observed| observed.name.slot()).collect();
        let free: Vec<_> = slots(1..=13).filter(|slot| !taken.contains(slot)).collect();
        let service = store_name();
        let context = context(&service, &free);
        let plan = plan(&fleet(instances), decision, &context, seconds(at));
        let text = |action: &Action| format!("{:?} {}", action.kind, action.slot);
        (plan.actions.iter().map(text).collect(), plan)
    }

    #[test]
    fn what_is_missing_is_cloned_into_the_lowest_free_slots() {
        let (actions, _) = planned(vec![running(2, READY)], &target(3), 0);
        assert_eq!(actions, ["Clone 1", "Clone 3"]);
    }

    #[test]
    fn launches_beyond_what_the_host_takes_wait_and_say_so() {
        let (actions, plan) = planned(vec![], &target(9), 0);
        assert_eq!(actions.len(), 4);
        assert_eq!(plan.blocked, [Blocked::LaunchLimit]);
    }

    #[test]
    fn clones_under_way_count_and_draining_instances_are_not_compensated() {
        let mut clone = observation(1, ContainerPresence::Absent, RotationState::Out);
        clone.under_way = Some(ActionKind::Clone);
        let draining = running(3, RotationState::Drain);
        let (actions, _) = planned(vec![clone, running(2, READY), draining], &target(2), 0);
        assert!(actions.is_empty(), "{actions:?}");
    }

    #[test]
    fn the_idlest_leave_first_and_one_that_works_is_not_stopped_before_it_drained() {
        let mut busy = running(9, READY);
        busy.in_flight = Some(7);
        let (actions, _) = planned(vec![running(1, READY), busy, running(2, READY)], &target(1), 0);
        assert_eq!(actions, ["Drain 2", "Drain 1"]);
    }

    #[test]
    fn a_drained_instance_is_stopped_and_a_busy_one_at_its_deadline() {
        let busy = running(1, RotationState::Drain);
        let mut idle = running(2, RotationState::Drain);
        idle.drained = true;
        let all = vec![busy, idle, running(3, READY)];
        assert_eq!(planned(all.clone(), &target(1), 29).0, ["Stop 2"]);
        assert_eq!(planned(all, &target(1), 30).0, ["Stop 1", "Stop 2"]);
    }

    #[test]
    fn a_rising_need_takes_draining_instances_back() {
        let draining = running(2, RotationState::Drain);
        let (actions, _) = planned(vec![running(1, READY), draining], &target(2), 0);
        assert_eq!(actions, ["Admit 2"]);
    }

    #[test]
    fn instances_found_after_a_restart_are_put_in_rotation_and_leftovers_removed() {
        let leftover = observation(2, ContainerPresence::Stopped, RotationState::Out);
        let (actions, _) = planned(vec![running(1, RotationState::Out), leftover], &target(1), 0);
        assert_eq!(actions, ["Stop 2", "Admit 1"]);
    }

    #[test]
    fn outdated_instances_are_replaced_one_by_one_without_a_gap() {
        let mut old = [running(1, READY), running(2, READY)];
        old.iter_mut().for_each(|observed| observed.outdated = true);
        let [one, two] = old;
        let (actions, _) = planned(vec![one.clone(), two.clone()], &target(2), 0);
        assert_eq!(actions, ["Clone 3"]);
        let (actions, _) = planned(vec![one.clone(), two, running(3, READY)], &target(2), 0);
        assert_eq!(actions, ["Drain 2"]);
        let (actions, _) = planned(vec![one, running(3, READY)], &target(2), 0);
        assert_eq!(actions, ["Clone 2"]);
    }

    #[test]
    fn instances_that_are_unhealthy_together_are_replaced_one_by_one_and_never_stopped_at_once() {
        let down = |slot| running(slot, RotationState::In { healthy: false });
        let (service, free) = (store_name(), slots(4..=9).collect::<Vec<_>>());
        let context = context(&service, &free);
        let all = vec![down(1), down(2), down(3)];
        let timeout = Duration::from_secs(10);
        let before = Fleet::observed(&Fleet::default(), all.clone(), timeout, seconds(0));
        let sick = Fleet::observed(&before, all.clone(), timeout, seconds(5));
        let kinds = |fleet: &Fleet| -> Vec<_> {
            let plan = plan(fleet, &target(3), &context, seconds(5));
            plan.actions.iter().map(|action| (action.kind, action.slot.get())).collect()
        };
        assert_eq!(kinds(&sick), [(ActionKind::Clone, 4)]);
        let with_new = [all, vec![running(4, READY)]].concat();
        let replaced = Fleet::observed(&sick, with_new, timeout, seconds(5));
        assert_eq!(kinds(&replaced), [(ActionKind::Drain, 3)]);
    }

    #[test]
    fn to_none_every_instance_drains_and_an_outdated_one_is_not_replaced_first() {
        let mut old = running(1, READY);
        old.outdated = true;
        assert_eq!(planned(vec![old, running(2, READY)], &target(0), 0).0, ["Drain 1", "Drain 2"]);
        assert!(planned(vec![], &target(0), 0).0.is_empty());
    }

    #[test]
    fn a_decision_to_hold_changes_nothing() {
        let hold = Decision::Hold { reasons: vec![Reason::NoData] };
        let dead = observation(1, ContainerPresence::Stopped, RotationState::Out);
        assert_eq!(planned(vec![dead], &hold, 0).1, Plan::default());
    }
}
