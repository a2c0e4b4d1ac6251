//! The actions that lead from the fleet to the decision. A plan leaves no choice to what
//! carries it out.

mod recreate;

use std::cmp::Reverse;
use std::time::Duration;

use model::action::{Action, ActionKind, Blocked};
use model::decision::Decision;
use model::instance::Phase;
use model::names::{InstanceName, ServiceName, Slot};
use model::service::Replacement;
use model::time::Timestamp;
use model::version::{Rollout, Version};

use crate::fleet::{Fleet, Instance, count};

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
    /// Which version serves, and which one is on trial.
    pub rollout: &'a Rollout,
    /// Slots that no instance of any service holds, in the order of use.
    pub free_slots: &'a [Slot],
    /// How many more launches the host takes now.
    pub launches_left: u32,
    /// For how many more instances the host has memory.
    pub fits: u32,
    /// Whether launches failed of late and the next attempt has to wait.
    pub launches_back_off: bool,
    /// Whether the trial of a version failed of late and the next attempt has to wait.
    pub trial_backs_off: bool,
    /// Actions that failed a moment ago, and wait for their next attempt.
    pub backing_off: &'a [(InstanceName, ActionKind)],
    /// How long a draining instance may take to finish its requests.
    pub drain_timeout: Duration,
    /// How an instance takes the place of another.
    pub replacement: Replacement,
}

impl PlanContext<'_> {
    /// Whether it has drained, or had the time for it.
    fn has_left(&self, draining: &Instance, now: Timestamp) -> bool {
        draining.drained || now.since(draining.since) >= self.drain_timeout
    }

    /// Whether nothing is left for it but to be stopped.
    fn is_at_its_end(&self, instance: &Instance, now: Timestamp) -> bool {
        match instance.phase {
            Phase::Failed => true,
            Phase::Draining => self.has_left(instance, now),
            // It has never served, and is of a version that nobody wants any more.
            Phase::Starting => instance.version.is_some_and(|own| !self.rollout.wants(own)),
            Phase::Ready => false,
        }
    }
}

/// Plans the way from `fleet` to `decision`. A decision to hold changes nothing at all.
///
/// Clones under way count as capacity and draining instances are not compensated. Outdated and
/// unhealthy instances are replaced by surge: more than decided are launched, and such ones are
/// the first to go once the new ones are ready. A version on trial gets one instance beside that, and it stays
/// while it is watched.
/// A service that is replaced by recreating has one instance at most, and none beside it.
pub fn plan(fleet: &Fleet, decision: &Decision, context: &PlanContext, now: Timestamp) -> Plan {
    let Decision::Target { ready: target, .. } = *decision else {
        return Plan::default();
    };
    let mut draft = Draft {
        context,
        now,
        free_slots: context.free_slots,
        launches_left: context.launches_left,
        fits: context.fits,
        plan: Plan::default(),
    };
    if context.replacement == Replacement::Recreate {
        draft.recreate(fleet, target);
        return draft.plan;
    }
    draft.clean_up(fleet);
    let serving = context.rollout.serving();
    let missing = draft.admit(fleet, launches_wanted(fleet, target, context.rollout));
    draft.launch(missing, serving, context.launches_back_off);
    if let Some(version) = trial_wanted(fleet, context.rollout) {
        draft.launch(1, version, context.trial_backs_off);
    }
    draft.drain(fleet, target);
    draft.plan
}

/// How many more instances of the version `serving` there should be: those that the target and the
/// replacement of others ask for, without more than the surge beyond the target.
fn launches_wanted(fleet: &Fleet, target: u32, rollout: &Rollout) -> u32 {
    let serving = rollout.serving();
    let counts = |i: &&Instance| i.counts_as_capacity(serving) && !i.is_watched(rollout);
    let capacity = count(fleet.instances().iter().filter(counts));
    let lasts = |i: &&Instance| i.counts_as_capacity(serving) && !i.should_be_replaced(serving);
    let lasting = count(fleet.instances().iter().filter(lasts));
    let room = (target + surge(fleet, target)).saturating_sub(capacity);
    target.saturating_sub(lasting).min(room)
}

/// The version on trial, when no instance of it is there to prove it.
fn trial_wanted(fleet: &Fleet, rollout: &Rollout) -> Option<Version> {
    let version = rollout.proving()?;
    let tries = |i: &Instance| i.version == Some(version) && i.phase == Phase::Starting;
    (!fleet.instances().iter().any(tries)).then_some(version)
}

/// How many instances beyond the target there may be while others take their places: a quarter of
/// it, and one at least. Where most are unhealthy at once it is one: that speaks against what all
/// of them share, and new ones would hardly be better.
fn surge(fleet: &Fleet, target: u32) -> u32 {
    if fleet.is_doubted() { 1 } else { target.div_ceil(4).max(1) }
}

/// A plan in the making.
struct Draft<'a> {
    context: &'a PlanContext<'a>,
    now: Timestamp,
    /// What is left of the slots, of the launches that the host takes now, and of its memory.
    free_slots: &'a [Slot],
    launches_left: u32,
    fits: u32,
    plan: Plan,
}

impl Draft<'_> {
    /// Stops what has failed, what has drained, and what starts and is not wanted any more. Kills what is
    /// stuck: its requests wait for nothing, and others answer those that may be sent again.
    fn clean_up(&mut self, fleet: &Fleet) {
        for instance in fleet.instances() {
            if is_to_be_killed(instance, fleet) {
                self.act(ActionKind::Kill, instance);
            } else if self.context.is_at_its_end(instance, self.now) {
                self.act(ActionKind::Stop, instance);
            }
        }
    }

    /// Puts in rotation what runs and is not: instances found after a restart, and draining ones
    /// of the version that serves, which are capacity at no cost. Returns how many are still
    /// missing.
    fn admit(&mut self, fleet: &Fleet, mut missing: u32) -> u32 {
        for instance in fleet.in_phase(Phase::Starting) {
            if !self.context.is_at_its_end(instance, self.now) {
                self.act(ActionKind::Admit, instance);
            }
        }
        let serving = self.context.rollout.serving();
        let mut returnable: Vec<_> =
            fleet.in_phase(Phase::Draining).filter(|i| !i.should_be_replaced(serving)).collect();
        returnable.sort_by_key(|instance| (Reverse(instance.since), instance.slot()));
        for instance in returnable {
            // One that is about to be stopped by this very plan is not taken back.
            let ends = self.context.is_at_its_end(instance, self.now);
            if missing > 0 && !ends && self.act(ActionKind::Admit, instance) {
                missing -= 1;
            }
        }
        missing
    }

    /// Clones `missing` instances of a version, as far as slots and the host allow.
    fn launch(&mut self, missing: u32, version: Version, backs_off: bool) {
        if missing == 0 {
            return;
        }
        if backs_off {
            return self.block(Blocked::LaunchBackoff);
        }
        if missing > self.launches_left {
            self.block(Blocked::LaunchLimit);
        }
        let count = missing.min(self.launches_left);
        if count > self.fits {
            self.block(Blocked::HostMemory);
        }
        for _ in 0..count.min(self.fits) {
            let Some((&slot, rest)) = self.free_slots.split_first() else {
                return self.block(Blocked::NoFreeSlot);
            };
            let instance = InstanceName::new(self.context.service, slot, self.now);
            self.plan.actions.push(Action::new(ActionKind::Clone, instance, Some(version)));
            self.free_slots = rest;
            self.launches_left -= 1;
            self.fits -= 1;
        }
    }

    /// Drains the ready instances that exceed the target. Those still starting do not replace a
    /// ready one until they are ready themselves.
    fn drain(&mut self, fleet: &Fleet, target: u32) {
        let rollout = self.context.rollout;
        let serving = rollout.serving();
        let stays = |it: &&Instance| !is_to_be_killed(it, fleet) && !it.is_watched(rollout);
        let mut ready: Vec<_> = fleet.in_phase(Phase::Ready).filter(stays).collect();
        let excess = ready.len().saturating_sub(target as usize);
        ready.sort_by_key(|instance| eagerness_to_leave(instance, serving));
        let victims = ready.into_iter().filter(|instance| instance.under_way.is_none());
        for victim in victims.take(excess) {
            self.act(ActionKind::Drain, victim);
        }
    }

    /// Adds an action, unless one on the same instance is under way, or this one failed a moment
    /// ago.
    fn act(&mut self, kind: ActionKind, instance: &Instance) -> bool {
        if instance.under_way.is_some() {
            return false;
        }
        let failed =
            |(name, of): &(InstanceName, ActionKind)| *of == kind && *name == instance.name;
        if self.context.backing_off.iter().any(failed) {
            self.block(Blocked::ActionBackoff);
            return false;
        }
        self.plan.actions.push(Action::new(kind, instance.name.clone(), instance.version));
        true
    }

    fn block(&mut self, reason: Blocked) {
        if !self.plan.blocked.contains(&reason) {
            self.plan.blocked.push(reason);
        }
    }
}

/// Whether an instance is stuck, and that is its own fault.
fn is_to_be_killed(instance: &Instance, fleet: &Fleet) -> bool {
    instance.is_stuck_in_use() && !fleet.is_doubted()
}

/// Order in which ready instances leave: those to be replaced first, then the idlest, then the highest
/// slot, so that a service settles in its lowest slots.
fn eagerness_to_leave(instance: &Instance, serving: Version) -> (bool, u32, Reverse<Slot>) {
    (
        !instance.should_be_replaced(serving),
        instance.in_flight.unwrap_or(u32::MAX),
        Reverse(instance.slot()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::violations;
    use crate::fleet::{ContainerPresence, InstanceObservation, RotationState};
    use crate::testing::{VERSION, observation, seconds, silent, slots, store_name, wanted};
    use model::decision::Reason;

    const READY: RotationState = RotationState::In { healthy: true };

    fn running(slot: u32, rotation: RotationState) -> InstanceObservation {
        observation(slot, ContainerPresence::Running, rotation)
    }

    /// One of another version than the one that serves.
    fn outdated(slot: u32) -> InstanceObservation {
        InstanceObservation { version: Some(NEXT), ..running(slot, READY) }
    }

    fn fleet(instances: Vec<InstanceObservation>) -> Fleet {
        Fleet::observed(&Fleet::default(), instances, Duration::from_secs(10), seconds(0))
    }

    fn target(ready: u32) -> Decision {
        Decision::Target { ready, reasons: vec![Reason::OfferedLoad] }
    }

    const SERVING: Rollout = Rollout::Serving { version: VERSION };
    const NEXT: Version = Version::new(2);

    /// Nothing in the way, and four launches at once.
    fn context<'a>(service: &'a ServiceName, free_slots: &'a [Slot]) -> PlanContext<'a> {
        PlanContext {
            service,
            rollout: &SERVING,
            free_slots,
            launches_left: 4,
            fits: 100,
            launches_back_off: false,
            trial_backs_off: false,
            backing_off: &[],
            drain_timeout: Duration::from_secs(30),
            replacement: Replacement::Surge,
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
    fn a_launch_that_the_host_has_no_memory_for_is_not_made_and_says_so() {
        let (service, free) = (store_name(), slots(1..=13).collect::<Vec<_>>());
        let launched = |ready, fits| {
            let context = PlanContext { fits, ..context(&service, &free) };
            let plan = plan(&fleet(vec![]), &target(ready), &context, seconds(0));
            (plan.actions.len(), plan.blocked)
        };
        assert_eq!(launched(3, 3), (3, vec![]));
        assert_eq!(launched(3, 2), (2, vec![Blocked::HostMemory]));
        assert_eq!(launched(9, 0), (0, vec![Blocked::LaunchLimit, Blocked::HostMemory]));
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
    fn an_instance_that_left_because_it_was_unhealthy_is_not_taken_back() {
        let timeout = Duration::from_secs(10);
        let down = running(1, RotationState::In { healthy: false });
        let draining = running(1, RotationState::Drain);
        let seen = |before: &Fleet, observed: &InstanceObservation, second| {
            Fleet::observed(before, vec![observed.clone()], timeout, seconds(second))
        };
        let fleet = seen(&seen(&Fleet::default(), &down, 0), &down, 5);
        let fleet = seen(&seen(&fleet, &draining, 6), &draining, 7);
        let (service, free) = (store_name(), slots(2..=9).collect::<Vec<_>>());
        let plan = plan(&fleet, &target(1), &context(&service, &free), seconds(7));
        let kinds: Vec<_> = plan.actions.iter().map(|action| action.kind).collect();
        assert_eq!(kinds, [ActionKind::Clone]);
    }

    #[test]
    fn instances_found_after_a_restart_are_put_in_rotation_and_leftovers_removed() {
        let leftover = observation(2, ContainerPresence::Stopped, RotationState::Out);
        let (actions, _) = planned(vec![running(1, RotationState::Out), leftover], &target(1), 0);
        assert_eq!(actions, ["Stop 2", "Admit 1"]);
    }

    #[test]
    fn outdated_instances_are_replaced_one_by_one_without_a_gap() {
        let [one, two] = [1, 2].map(outdated);
        let (actions, _) = planned(vec![one.clone(), two.clone()], &target(2), 0);
        assert_eq!(actions, ["Clone 3"]);
        let (actions, _) = planned(vec![one.clone(), two, running(3, READY)], &target(2), 0);
        assert_eq!(actions, ["Drain 2"]);
        let (actions, _) = planned(vec![one, running(3, READY)], &target(2), 0);
        assert_eq!(actions, ["Clone 2"]);
    }

    #[test]
    fn outdated_instances_are_replaced_a_quarter_of_the_target_at_a_time() {
        let old = (1..=8).map(outdated).collect();
        assert_eq!(planned(old, &target(8), 0).0, ["Clone 9", "Clone 10"]);
    }

    #[test]
    fn the_instance_that_is_watched_stands_beside_a_whole_fleet_and_leaves_when_it_is_given_up() {
        let next = wanted(NEXT);
        let watching = Rollout::Watching { version: VERSION, next, since: seconds(0) };
        let given_up = Rollout::GivenUp { version: VERSION, next, reason: String::new() };
        let (service, free) = (store_name(), slots(4..=9).collect::<Vec<_>>());
        let planned = |instances: Vec<InstanceObservation>, ready, rollout: &Rollout| {
            let context = PlanContext { rollout, ..context(&service, &free) };
            let (fleet, target) = (fleet(instances), target(ready));
            let plan = plan(&fleet, &target, &context, seconds(0));
            assert_eq!(violations(&fleet, &target, &plan, &context, seconds(0)), []);
            let told = |a: &Action| format!("{:?} {}", a.kind, a.slot);
            plan.actions.iter().map(told).collect::<Vec<_>>()
        };
        let all = || vec![running(1, READY), running(2, READY), outdated(3)];
        assert_eq!(planned(all(), 2, &watching), [""; 0]);
        assert_eq!(planned(all(), 3, &watching), ["Clone 4"]);
        assert_eq!(planned(all(), 1, &watching), ["Drain 2"]);
        assert_eq!(planned(all(), 0, &watching), ["Drain 2", "Drain 1"]);
        assert_eq!(planned(vec![outdated(3)], 2, &watching), ["Clone 4", "Clone 5"]);
        assert_eq!(planned(all(), 2, &given_up), ["Drain 3"]);
        let starting = InstanceObservation { rotation: RotationState::Out, ..outdated(4) };
        let both = [all(), vec![starting]].concat();
        assert_eq!(planned(both, 2, &watching), ["Stop 4"], "one is enough");
    }

    #[test]
    fn a_version_on_trial_gets_one_instance_beside_the_target() {
        let trial = Rollout::Proving { version: VERSION, next: wanted(NEXT), since: seconds(0) };
        let (service, free) = (store_name(), slots(2..=9).collect::<Vec<_>>());
        let planned = |instances: Vec<InstanceObservation>, rollout: &Rollout| {
            let context = PlanContext { rollout, ..context(&service, &free) };
            let plan = plan(&fleet(instances), &target(2), &context, seconds(0));
            let told = |a: &Action| (a.kind, a.slot.get(), a.version.unwrap());
            plan.actions.iter().map(told).collect::<Vec<_>>()
        };
        let tried = InstanceObservation { version: Some(NEXT), ..running(9, RotationState::Out) };
        let clone = |slot, version| (ActionKind::Clone, slot, version);
        let admit = |slot| (ActionKind::Admit, slot, NEXT);
        let one = || running(1, READY);
        assert_eq!(planned(vec![one()], &trial), [clone(2, VERSION), clone(3, NEXT)]);
        assert_eq!(planned(vec![one(), tried.clone()], &trial), [admit(9), clone(2, VERSION)]);
        let given_up = Rollout::GivenUp {
            version: VERSION,
            next: wanted(NEXT),
            reason: "no answer".to_owned(),
        };
        let stop = (ActionKind::Stop, 9, NEXT);
        assert_eq!(planned(vec![one(), tried], &given_up), [stop, clone(2, VERSION)]);
    }

    #[test]
    fn a_few_unhealthy_instances_are_replaced_side_by_side() {
        let sick = |slot| running(slot, RotationState::In { healthy: false });
        let all: Vec<_> =
            [sick(1), sick(2)].into_iter().chain((3..=8).map(|s| running(s, READY))).collect();
        let timeout = Duration::from_secs(10);
        let before = Fleet::observed(&Fleet::default(), all.clone(), timeout, seconds(0));
        let fleet = Fleet::observed(&before, all, timeout, seconds(5));
        let (service, free) = (store_name(), slots(9..=13).collect::<Vec<_>>());
        let plan = plan(&fleet, &target(8), &context(&service, &free), seconds(5));
        assert_eq!(plan.actions.len(), 2, "{plan:?}");
        assert!(plan.actions.iter().all(|action| action.kind == ActionKind::Clone));
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

    /// What is planned for a target of as many instances, at the second second in which it looks so.
    fn planned_when_seen_for_two_seconds(all: &[InstanceObservation]) -> Vec<(ActionKind, u32)> {
        let (service, free) = (store_name(), slots(9..=13).collect::<Vec<_>>());
        let timeout = Duration::from_secs(10);
        let seen = |before: &Fleet, at| Fleet::observed(before, all.to_vec(), timeout, seconds(at));
        let fleet = seen(&seen(&Fleet::default(), 0), 1);
        let ready = count(fleet.in_phase(Phase::Ready));
        let context = context(&service, &free);
        let plan = plan(&fleet, &target(ready), &context, seconds(1));
        assert_eq!(violations(&fleet, &target(ready), &plan, &context, seconds(1)), []);
        plan.actions.iter().map(|action| (action.kind, action.slot.get().into())).collect()
    }

    #[test]
    fn a_stuck_instance_is_killed_at_once_and_another_launched() {
        use ActionKind::{Clone, Kill};
        let down = |slot| silent(running(slot, RotationState::In { healthy: false }));
        let good = (3..=5).map(|slot| running(slot, READY));
        let one: Vec<_> = [down(1), running(2, READY)].into_iter().chain(good.clone()).collect();
        assert_eq!(planned_when_seen_for_two_seconds(&one), [(Kill, 1), (Clone, 9)]);
        let two: Vec<_> = [down(1), down(2)].into_iter().chain(good).collect();
        let killed = [(Kill, 1), (Kill, 2), (Clone, 9), (Clone, 10)];
        assert_eq!(planned_when_seen_for_two_seconds(&two), killed);
        let leaving = silent(running(2, RotationState::Drain));
        let draining = [running(1, READY), leaving];
        assert_eq!(planned_when_seen_for_two_seconds(&draining), [(Kill, 2)]);
    }

    #[test]
    fn where_most_instances_look_stuck_at_once_none_is_killed() {
        let down = |slot| silent(running(slot, RotationState::In { healthy: false }));
        let most = [down(1), down(2), running(3, READY)];
        assert_eq!(planned_when_seen_for_two_seconds(&most), [(ActionKind::Clone, 9)]);
        let only = [down(1)];
        assert_eq!(planned_when_seen_for_two_seconds(&only), [(ActionKind::Clone, 9)]);
        let replaced = [down(1), running(2, READY)];
        let kill = (ActionKind::Kill, 1);
        assert_eq!(planned_when_seen_for_two_seconds(&replaced)[0], kill);
    }

    #[test]
    fn to_none_every_instance_drains_and_an_outdated_one_is_not_replaced_first() {
        assert_eq!(
            planned(vec![outdated(1), running(2, READY)], &target(0), 0).0,
            ["Drain 1", "Drain 2"]
        );
        assert!(planned(vec![], &target(0), 0).0.is_empty());
    }

    #[test]
    fn a_decision_to_hold_changes_nothing() {
        let hold = Decision::Hold { reasons: vec![Reason::NoData] };
        let dead = observation(1, ContainerPresence::Stopped, RotationState::Out);
        assert_eq!(planned(vec![dead], &hold, 0).1, Plan::default());
    }
}
