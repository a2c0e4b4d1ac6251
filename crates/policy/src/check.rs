//! The plan checker: what no plan may do, whatever led to it. Tests and the simulator hold every
//! plan to it.

mod releases;

use std::collections::{BTreeMap, BTreeSet};

use model::action::{Action, ActionKind};
use model::decision::Decision;
use model::instance::Phase;
use model::names::{InstanceName, Slot};
use model::service::Replacement;
use model::time::Timestamp;
use model::version::Version;

use crate::fleet::{Fleet, Instance, count};
use crate::plan::{Plan, PlanContext};

/// Something that a plan does and must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It acts although the decision is to hold.
    #[error("the decision is to hold, and the plan acts")]
    ActsOnHold,
    /// It acts twice on one instance.
    #[error("{0} is acted on twice")]
    Twice(InstanceName),
    /// It acts on an instance that another action is under way for.
    #[error("{0} is acted on while an action on it is under way")]
    UnderWay(InstanceName),
    /// It acts on an instance that is not in the fleet, or clones one that is.
    #[error("{0:?} of {1} does not fit the fleet")]
    Unfitting(ActionKind, InstanceName),
    /// It gives out a slot, and so an address, that is not free.
    #[error("slot {0} is given out and not free")]
    SlotTaken(Slot),
    /// It stops an instance that may still serve: one that has not drained, and is not overdue.
    #[error("{0} is stopped without having drained")]
    StoppedWithoutDrain(InstanceName),
    /// It kills an instance that may still serve, or one of many that look stuck at once.
    #[error("{0} is killed although it may not be stuck")]
    KilledAlive(InstanceName),
    /// It drains the instance that is watched, before the verdict.
    #[error("{0} is drained while it is watched")]
    DrainsWatched(InstanceName),
    /// It leaves fewer ready instances than decided, although it could leave more.
    #[error("it drains down to {left} ready instances where {target} are decided")]
    DrainsBelowTarget {
        /// Ready instances that are left.
        left: usize,
        /// Ready instances decided on.
        target: u32,
    },
    /// It launches more of a version than the target, replacement or its trial ask for.
    #[error("it launches {launched} of version {version} where {wanted} are wanted")]
    LaunchesUnwanted {
        /// The version.
        version: Version,
        /// Launches of it.
        launched: u32,
        /// How many there should be.
        wanted: u32,
    },
    /// It has a release command run that is not owed, or beside what may run one; or starts a trial that owes one
    /// without it.
    #[error("{0} runs a release command that it should not, or does not run one that it should")]
    Release(InstanceName),
    /// It makes a clone without saying of which version.
    #[error("{0} is cloned of no version")]
    NoVersion(InstanceName),
    /// It clones an instance of a service that has one at most beside another.
    #[error("{0} is cloned beside another instance of a service that has one at most")]
    ClonedBesideAnother(InstanceName),
    /// It launches more than the host has memory for.
    #[error("it launches {launched} where {fits} fit in the host's memory")]
    NoMemory {
        /// Launches.
        launched: usize,
        /// How many fit.
        fits: u32,
    },
    /// It launches more at once than the host takes.
    #[error("it launches {0} at once")]
    TooManyLaunches(usize),
}

/// Everything that `plan` does and must not; empty for a good plan.
pub fn violations(
    fleet: &Fleet,
    decision: &Decision,
    plan: &Plan,
    context: &PlanContext,
    now: Timestamp,
) -> Vec<Violation> {
    let Decision::Target { ready: target, .. } = *decision else {
        return if plan.actions.is_empty() { vec![] } else { vec![Violation::ActsOnHold] };
    };
    let mut found = Vec::new();
    let (mut names, mut slots) = (BTreeSet::new(), BTreeSet::new());
    for action in &plan.actions {
        if !names.insert(&action.instance) {
            found.push(Violation::Twice(action.instance.clone()));
        }
        found.extend(misfit(action, fleet, context, now));
        let free = context.free_slots.contains(&action.slot) && slots.insert(action.slot);
        if action.kind == ActionKind::Clone && !free {
            found.push(Violation::SlotTaken(action.slot));
        }
    }
    found.extend(drains(fleet, target, plan, context));
    found.extend(launches(fleet, target, plan, context));
    found.extend(releases::wrong(fleet, plan, context));
    found
}

/// What is wrong with one action.
fn misfit(
    action: &Action,
    fleet: &Fleet,
    context: &PlanContext,
    now: Timestamp,
) -> Option<Violation> {
    let name = action.instance.clone();
    let Some(instance) = fleet.get(&name) else {
        return match (action.kind, action.version) {
            (ActionKind::Clone, Some(_)) => None,
            (ActionKind::Clone, None) => Some(Violation::NoVersion(name)),
            (kind, _) => Some(Violation::Unfitting(kind, name)),
        };
    };
    if instance.under_way.is_some() {
        return Some(Violation::UnderWay(name));
    }
    match (action.kind, instance.phase) {
        (ActionKind::Drain, _) if instance.is_watched(context.rollout) => {
            Some(Violation::DrainsWatched(name))
        }
        (ActionKind::Stop, Phase::Failed)
        | (ActionKind::Drain, Phase::Ready)
        | (ActionKind::Admit, Phase::Starting) => None,
        (ActionKind::Admit, Phase::Draining) if !is_to_be_replaced(instance, context) => None,
        (ActionKind::Stop, Phase::Draining)
            if instance.drained || now.since(instance.since) >= context.drain_timeout =>
        {
            None
        }
        // It has never served, and never will.
        (ActionKind::Stop, Phase::Starting) if is_superfluous(instance, fleet, context) => None,
        (ActionKind::Stop, _) => Some(Violation::StoppedWithoutDrain(name)),
        // Where there may be one at most, nobody else could speak for the host.
        (ActionKind::Kill, _)
            if instance.is_stuck_in_use()
                && (context.replacement == Replacement::Recreate || !fleet.is_doubted()) =>
        {
            None
        }
        (ActionKind::Kill, _) => Some(Violation::KilledAlive(name)),
        (kind, _) => Some(Violation::Unfitting(kind, name)),
    }
}

/// Whether another is to take the place of an instance that serves or did.
fn is_to_be_replaced(instance: &Instance, context: &PlanContext) -> bool {
    let serving = context.rollout.serving();
    instance.should_be_replaced(match context.replacement {
        Replacement::Surge => serving,
        Replacement::Recreate => context.rollout.proving().unwrap_or(serving),
    })
}

/// Whether one that starts is of a version that nobody wants, or beside another where there may be
/// one at most.
fn is_superfluous(starting: &Instance, fleet: &Fleet, context: &PlanContext) -> bool {
    let is_other = |i: &&Instance| i.name != starting.name && i.phase != Phase::Failed;
    match context.replacement {
        Replacement::Surge => starting.version.is_some_and(|own| !context.rollout.wants(own)),
        Replacement::Recreate => {
            let is_unwanted = starting.version.is_some_and(|own| !context.rollout.wants(own));
            is_unwanted
                || is_to_be_replaced(starting, context)
                || fleet.instances().iter().any(|i| is_other(&i))
        }
    }
}

/// What is wrong with the number of drains. Where there may be one instance at most, one that is to be
/// replaced leaves although nothing is ready to take its place.
fn drains(fleet: &Fleet, target: u32, plan: &Plan, context: &PlanContext) -> Option<Violation> {
    let drained = plan.actions.iter().filter(|action| action.kind == ActionKind::Drain);
    let drained: Vec<_> = drained.filter_map(|action| fleet.get(&action.instance)).collect();
    let killed = plan.actions.iter().filter(|action| action.kind == ActionKind::Kill);
    let killed = killed.filter_map(|action| fleet.get(&action.instance));
    let is_capacity = |it: &&Instance| it.phase == Phase::Ready && !it.is_watched(context.rollout);
    let gone = drained.len() + killed.filter(is_capacity).count();
    let left = fleet.instances().iter().filter(is_capacity).count().saturating_sub(gone);
    let may_leave = |instance: &&Instance| {
        context.replacement == Replacement::Recreate && is_to_be_replaced(instance, context)
    };
    let others = drained.iter().filter(|instance| !may_leave(instance)).count();
    let target = match context.replacement {
        Replacement::Surge => target,
        Replacement::Recreate => target.min(1),
    };
    (others > 0 && left < target as usize).then_some(Violation::DrainsBelowTarget { left, target })
}

/// What is wrong with the number of launches.
fn launches(fleet: &Fleet, target: u32, plan: &Plan, context: &PlanContext) -> Vec<Violation> {
    let clones: Vec<_> =
        plan.actions.iter().filter(|action| action.kind == ActionKind::Clone).collect();
    let mut found = Vec::new();
    if context.replacement == Replacement::Recreate {
        let room = usize::from(fleet.instances().is_empty());
        let beside = clones.iter().skip(room).map(|clone| clone.instance.clone());
        found.extend(beside.map(Violation::ClonedBesideAnother));
    }
    let mut launches: BTreeMap<Version, u32> = BTreeMap::new();
    for version in clones.iter().filter_map(|action| action.version) {
        *launches.entry(version).or_default() += 1;
    }
    for (version, launched) in launches {
        let wanted = wanted_launches(fleet, target, version, context);
        if launched > wanted {
            found.push(Violation::LaunchesUnwanted { version, launched, wanted });
        }
    }
    if clones.len() > context.fits as usize {
        found.push(Violation::NoMemory { launched: clones.len(), fits: context.fits });
    }
    if clones.len() > context.launches_left as usize {
        found.push(Violation::TooManyLaunches(clones.len()));
    }
    found
}

/// How many launches of a version the target, the replacement of others or its trial ask for.
fn wanted_launches(fleet: &Fleet, target: u32, version: Version, context: &PlanContext) -> u32 {
    let of_version = |i: &&Instance| i.is_of(version);
    let starting = count(fleet.in_phase(Phase::Starting).filter(of_version));
    if version != context.rollout.serving() || context.rollout.is_first() {
        let is_on_trial = context.rollout.proving() == Some(version);
        return u32::from(is_on_trial && starting == 0 && !context.trial_backs_off);
    }
    let gives_way =
        context.replacement == Replacement::Recreate && context.rollout.proving().is_some();
    if context.launches_back_off || gives_way {
        return 0;
    }
    let is_capacity = |i: &&Instance| !i.is_watched(context.rollout);
    let ready = count(fleet.in_phase(Phase::Ready).filter(is_capacity));
    let good = count(fleet.in_phase(Phase::Ready).filter(of_version).filter(|i| i.is_well()));
    let extra = if good < ready { target.div_ceil(4).max(1) } else { 0 };
    target.saturating_sub(good + starting).min((target + extra).saturating_sub(ready + starting))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::decision::Reason;
    use model::version::Rollout;

    use super::*;
    use crate::fleet::{ContainerPresence, InstanceObservation, RotationState};
    use crate::testing::{VERSION, observation, seconds, silent, slots, store_name, wanted};

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
        found_under(Replacement::Surge, observed, rollout, actions)
    }

    /// The same under this way of replacement.
    fn found_under(
        replacement: Replacement,
        observed: Vec<InstanceObservation>,
        rollout: &Rollout,
        actions: Vec<Action>,
    ) -> Vec<Violation> {
        let timeout = Duration::from_secs(60);
        let first = Fleet::observed(&Fleet::default(), observed.clone(), timeout, seconds(0));
        let fleet = Fleet::observed(&first, observed, timeout, seconds(9));
        let (service, free) = (store_name(), slots(3..=9).collect::<Vec<_>>());
        let context = PlanContext {
            service: &service,
            rollout,
            free_slots: &free,
            launches_left: 2,
            fits: 3,
            launches_back_off: false,
            trial_backs_off: false,
            owes_release: false,
            backing_off: &[],
            drain_timeout: Duration::from_secs(10),
            replacement,
        };
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
        let watching =
            Rollout::Watching { version: VERSION, next: wanted(NEXT), since: seconds(0) };
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
        let unwanted = |version, launched, wanted| {
            vec![Violation::LaunchesUnwanted { version, launched, wanted }]
        };
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
}
