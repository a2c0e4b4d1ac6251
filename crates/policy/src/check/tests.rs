use std::time::Duration;

use model::decision::Reason;
use model::version::Rollout;

use super::*;
use crate::fleet::{ContainerPresence, InstanceObservation, RotationState};
use crate::testing::{VERSION, context, observation, seconds, silent, slots, store_name, wanted};

const NEXT: Version = Version::new(2);

fn running(slot: u32, rotation: RotationState) -> InstanceObservation {
    observation(slot, ContainerPresence::Running, rotation)
}

fn ready(slot: u32) -> InstanceObservation {
    running(slot, RotationState::In { healthy: true })
}

/// What is found in a plan of these actions, at second 9, for a fleet of which all is seen
/// since second 0, with a target of two.
fn found_for(
    observed: Vec<InstanceObservation>,
    rollout: &Rollout,
    actions: Vec<Action>,
) -> Vec<Violation> {
    found_with(observed, rollout, &[], actions)
}

/// The same where an operator wants these gone.
fn found_with(
    observed: Vec<InstanceObservation>,
    rollout: &Rollout,
    removals: &[InstanceName],
    actions: Vec<Action>,
) -> Vec<Violation> {
    found_in(Replacement::Surge, observed, rollout, removals, actions)
}

/// The same under this way of replacement.
fn found_under(
    replacement: Replacement,
    observed: Vec<InstanceObservation>,
    rollout: &Rollout,
    actions: Vec<Action>,
) -> Vec<Violation> {
    found_in(replacement, observed, rollout, &[], actions)
}

fn found_in(
    replacement: Replacement,
    observed: Vec<InstanceObservation>,
    rollout: &Rollout,
    removals: &[InstanceName],
    actions: Vec<Action>,
) -> Vec<Violation> {
    let timeout = Duration::from_secs(60);
    let first = Fleet::observed(&Fleet::default(), observed.clone(), timeout, seconds(0));
    let fleet = Fleet::observed(&first, observed, timeout, seconds(9)).marked(removals);
    let (service, free) = (store_name(), slots(3..=9).collect::<Vec<_>>());
    let context = context(&service, rollout, &free);
    let context = PlanContext { launches_left: 2, fits: 3, replacement, ..context };
    let plan = Plan { actions, blocked: vec![] };
    let decision = Decision::Target { ready: 2, reasons: vec![Reason::OfferedLoad] };
    violations(&fleet, &decision, &plan, &context, seconds(9))
}

fn act(kind: ActionKind, slot: u32) -> Action {
    Action::new(kind, ready(slot).name, None)
}

fn clone(version: Version, slot: u32) -> Action {
    Action::new(ActionKind::Clone, ready(slot).name, Some(version))
}

/// The same for two ready instances of the version that serves, in slots 1 and 2.
fn found(actions: Vec<Action>) -> Vec<Violation> {
    found_for(vec![ready(1), ready(2)], &Rollout::Serving { version: VERSION }, actions)
}

#[test]
fn each_forbidden_plan_is_told_apart() {
    use ActionKind::{Admit, Clone, Drain, Stop};
    let name = |slot| ready(slot).name;
    assert_eq!(found(vec![act(Stop, 1)]), [Violation::StoppedWithoutDrain(name(1))]);
    let below = Violation::DrainsBelowTarget { left: 1, target: 2 };
    assert_eq!(found(vec![act(Drain, 1)]), [below]);
    assert_eq!(found(vec![act(Stop, 4)]), [Violation::Unfitting(Stop, name(4))]);
    assert_eq!(found(vec![act(Admit, 1)]), [Violation::Unfitting(Admit, name(1))]);
    assert_eq!(found(vec![act(Clone, 3)]), [Violation::NoVersion(name(3))]);
    let one_more = || Violation::LaunchesUnwanted { version: VERSION, launched: 1, wanted: 0 };
    assert_eq!(found(vec![clone(VERSION, 3)]), [one_more()]);
    let taken = Violation::SlotTaken(name(10).slot());
    assert_eq!(found(vec![clone(VERSION, 10)]), [taken, one_more()]);
    let serving = Rollout::Serving { version: VERSION };
    let three = (3..=5).map(|slot| clone(VERSION, slot)).collect();
    let launched = Violation::LaunchesUnwanted { version: VERSION, launched: 3, wanted: 2 };
    let found = found_for(vec![], &serving, three);
    assert_eq!(found, [launched, Violation::TooManyLaunches(3)]);
    let four = (3..=6).map(|slot| clone(VERSION, slot)).collect();
    let found = found_for(vec![], &serving, four);
    assert!(found.contains(&Violation::NoMemory { launched: 4, fits: 3 }), "{found:?}");
}

#[test]
fn an_instance_to_be_removed_is_drained_before_others_and_not_taken_back() {
    use ActionKind::{Admit, Drain};
    let serving = Rollout::Serving { version: VERSION };
    let all = || vec![ready(1), ready(2), ready(3), running(4, RotationState::Drain)];
    let removals = [ready(1).name, ready(4).name];
    let found = |actions| found_with(all(), &serving, &removals, actions);
    let passed_over = Violation::PassedOver(ready(1).name);
    assert_eq!(found(vec![act(Drain, 1)]), []);
    assert_eq!(found(vec![act(Drain, 2)]), [passed_over]);
    let unfitting = Violation::Unfitting(Admit, ready(4).name);
    assert_eq!(found(vec![act(Admit, 4)]), [unfitting]);
    // Another takes the place of the one in slot 1, and no more.
    let two = |actions| found_with(vec![ready(1), ready(2)], &serving, &removals, actions);
    assert_eq!(two(vec![clone(VERSION, 3)]), []);
    let more = Violation::LaunchesUnwanted { version: VERSION, launched: 2, wanted: 1 };
    assert_eq!(two(vec![clone(VERSION, 3), clone(VERSION, 4)]), [more]);
    let below = Violation::DrainsBelowTarget { left: 1, target: 2 };
    assert_eq!(two(vec![act(Drain, 1)]), [below]);
}

#[test]
fn a_stop_needs_an_instance_that_has_drained_or_is_overdue() {
    let found = |drained| {
        let draining = InstanceObservation { drained, ..running(3, RotationState::Drain) };
        let all = vec![ready(1), ready(2), draining];
        let serving = Rollout::Serving { version: VERSION };
        found_for(all, &serving, vec![act(ActionKind::Stop, 3)])
    };
    assert_eq!(found(true), []);
    assert_eq!(found(false), [Violation::StoppedWithoutDrain(ready(3).name)]);
}

#[test]
fn a_kill_needs_one_that_is_stuck_among_others_that_are_not() {
    let serving = Rollout::Serving { version: VERSION };
    let kill = |slot| vec![act(ActionKind::Kill, slot)];
    let down = |slot| silent(running(slot, RotationState::In { healthy: false }));
    let alive = |slot| Violation::KilledAlive(ready(slot).name);
    let found = |observed, slot| found_for(observed, &serving, kill(slot));
    let three = || vec![down(1), ready(2), ready(3)];
    assert_eq!(found(three(), 1), []);
    assert_eq!(found(three(), 2), [alive(2)]);
    assert_eq!(found(vec![down(1), down(2), ready(3)], 1), [alive(1)]);
    let starting = silent(running(3, RotationState::Out));
    assert_eq!(found(vec![ready(1), ready(2), starting], 3), [alive(3)]);
    let both = vec![act(ActionKind::Kill, 1), act(ActionKind::Drain, 2)];
    let below = Violation::DrainsBelowTarget { left: 1, target: 2 };
    assert_eq!(found_for(three(), &serving, both), [below]);
}

#[test]
fn with_one_instance_at_most_a_kill_needs_that_it_is_stuck_and_no_others() {
    let serving = Rollout::Serving { version: VERSION };
    let found = |observed| {
        let kill = vec![act(ActionKind::Kill, 1)];
        found_under(Replacement::Recreate, vec![observed], &serving, kill)
    };
    let down = running(1, RotationState::In { healthy: false });
    let alive = [Violation::KilledAlive(ready(1).name)];
    assert_eq!(found(silent(down.clone())), []);
    assert_eq!(found(silent(running(1, RotationState::Drain))), []);
    assert_eq!(found(down), alive);
    assert_eq!(found(silent(running(1, RotationState::Out))), alive);
}

#[test]
fn with_one_instance_at_most_a_clone_needs_an_empty_fleet_and_a_drain_a_reason() {
    let found = |observed: Vec<InstanceObservation>, rollout: &Rollout, actions| {
        found_under(Replacement::Recreate, observed, rollout, actions)
    };
    let serving = Rollout::Serving { version: VERSION };
    let trial = Rollout::Proving { version: VERSION, next: wanted(NEXT), since: seconds(0) };
    let beside = |slot| Violation::ClonedBesideAnother(ready(slot).name);
    let unwanted =
        |version, launched, wanted| Violation::LaunchesUnwanted { version, launched, wanted };
    assert_eq!(found(vec![], &serving, vec![clone(VERSION, 3)]), []);
    let two = vec![clone(VERSION, 3), clone(VERSION, 4)];
    assert_eq!(found(vec![], &serving, two), [beside(4)]);
    let dead = || observation(1, ContainerPresence::Stopped, RotationState::Out);
    assert_eq!(found(vec![dead()], &serving, vec![clone(VERSION, 3)]), [beside(3)]);
    assert_eq!(found(vec![dead()], &trial, vec![clone(NEXT, 3)]), [beside(3)]);
    assert_eq!(found(vec![], &trial, vec![clone(NEXT, 3)]), []);
    let old = vec![clone(VERSION, 3)];
    assert_eq!(found(vec![], &trial, old), [unwanted(VERSION, 1, 0)]);

    let drain = || vec![act(ActionKind::Drain, 1)];
    assert_eq!(found(vec![ready(1)], &trial, drain()), []);
    let below = Violation::DrainsBelowTarget { left: 0, target: 1 };
    assert_eq!(found(vec![ready(1)], &serving, drain()), [below]);
    let back = vec![act(ActionKind::Admit, 1)];
    let draining = || vec![running(1, RotationState::Drain)];
    let unfitting = Violation::Unfitting(ActionKind::Admit, ready(1).name);
    assert_eq!(found(draining(), &trial, back.clone()), [unfitting]);
    assert_eq!(found(draining(), &serving, back), []);

    let stop = || vec![act(ActionKind::Stop, 1)];
    let starting = || running(1, RotationState::Out);
    assert_eq!(found(vec![starting(), ready(2)], &serving, stop()), []);
    let premature = Violation::StoppedWithoutDrain(ready(1).name);
    assert_eq!(found(vec![starting()], &serving, stop()), [premature]);
}

#[test]
fn what_is_watched_is_neither_drained_nor_counted_as_what_is_decided() {
    let watching = Rollout::Watching { version: VERSION, next: wanted(NEXT), since: seconds(0) };
    let next = InstanceObservation { version: Some(NEXT), ..ready(3) };
    let all = || vec![ready(1), ready(2), next.clone()];
    let drain = |slot| vec![act(ActionKind::Drain, slot)];
    let below = Violation::DrainsBelowTarget { left: 1, target: 2 };
    assert_eq!(found_for(all(), &watching, drain(1)), [below]);
    let name = ready(3).name;
    assert!(found_for(all(), &watching, drain(3)).contains(&Violation::DrainsWatched(name)),);
    let one_more = |version| Violation::LaunchesUnwanted { version, launched: 1, wanted: 0 };
    for version in [VERSION, NEXT] {
        let found = found_for(all(), &watching, vec![clone(version, 4)]);
        assert_eq!(found, [one_more(version)]);
    }
    let one_old = vec![ready(1), next];
    assert_eq!(found_for(one_old, &watching, vec![clone(VERSION, 4)]), []);
}

#[test]
fn replacement_takes_the_surge_and_a_trial_one_instance() {
    let next = |slot| InstanceObservation { version: Some(NEXT), ..ready(slot) };
    let unwanted =
        |version, launched, wanted| vec![Violation::LaunchesUnwanted { version, launched, wanted }];
    let rolled = Rollout::Serving { version: NEXT };
    let two = vec![clone(NEXT, 3), clone(NEXT, 4)];
    let outdated = || vec![ready(1), ready(2)];
    assert_eq!(found_for(outdated(), &rolled, two[..1].to_vec()), []);
    assert_eq!(found_for(outdated(), &rolled, two.clone()), unwanted(NEXT, 2, 1));
    let replaced = vec![ready(1), next(2), next(3)];
    assert_eq!(found_for(replaced, &rolled, vec![clone(NEXT, 4)]), unwanted(NEXT, 1, 0));

    let trial = Rollout::Proving { version: VERSION, next: wanted(NEXT), since: seconds(0) };
    assert_eq!(found_for(outdated(), &trial, two[..1].to_vec()), []);
    assert_eq!(found_for(outdated(), &trial, two), unwanted(NEXT, 2, 1));
    let tried = InstanceObservation { rotation: RotationState::Out, ..next(3) };
    let all = vec![ready(1), ready(2), tried];
    let again = vec![clone(NEXT, 4)];
    assert_eq!(found_for(all.clone(), &trial, again), unwanted(NEXT, 1, 0));

    let stop = vec![act(ActionKind::Stop, 3)];
    let wanted = [Violation::StoppedWithoutDrain(ready(3).name)];
    assert_eq!(found_for(all.clone(), &trial, stop.clone()), wanted);
    let given_up = Rollout::GivenUp {
        version: VERSION,
        next: crate::testing::wanted(NEXT),
        reason: String::new(),
    };
    assert_eq!(found_for(all, &given_up, stop), []);
}
