//! Plans from fleets and decisions: what is launched, drained, replaced and left out.

use super::*;
use crate::check::violations;
use crate::fleet::{ContainerPresence, InstanceObservation, RotationState};
use crate::testing::{VERSION, context, observation, seconds, silent, slots, store_name, wanted};
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

/// What is planned, as `kind slot`, with four launches at once and slots 1 to 13.
fn planned(
    instances: Vec<InstanceObservation>,
    decision: &Decision,
    at: u64,
) -> (Vec<String>, Plan) {
    let taken: Vec<_> = instances.iter().map(|observed| observed.name.slot()).collect();
    let free: Vec<_> = slots(1..=13).filter(|slot| !taken.contains(slot)).collect();
    let service = store_name();
    let context = context(&service, &SERVING, &free);
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
        let context = PlanContext { fits, ..context(&service, &SERVING, &free) };
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
    let plan = plan(&fleet, &target(1), &context(&service, &SERVING, &free), seconds(7));
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
        let context = context(&service, rollout, &free);
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
        let context = context(&service, rollout, &free);
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
    let given_up =
        Rollout::GivenUp { version: VERSION, next: wanted(NEXT), reason: "no answer".to_owned() };
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
    let plan = plan(&fleet, &target(8), &context(&service, &SERVING, &free), seconds(5));
    assert_eq!(plan.actions.len(), 2, "{plan:?}");
    assert!(plan.actions.iter().all(|action| action.kind == ActionKind::Clone));
}

#[test]
fn instances_that_are_unhealthy_together_are_replaced_one_by_one_and_never_stopped_at_once() {
    let down = |slot| running(slot, RotationState::In { healthy: false });
    let (service, free) = (store_name(), slots(4..=9).collect::<Vec<_>>());
    let context = context(&service, &SERVING, &free);
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
    let context = context(&service, &SERVING, &free);
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
