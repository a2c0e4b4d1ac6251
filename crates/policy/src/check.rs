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
    /// It drains an instance that may stay, while one that an operator wants gone serves on.
    #[error("{0} is to be removed, and others are drained before it")]
    PassedOver(InstanceName),
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
    found.extend(passed_over(fleet, plan, context));
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

/// The instance that was to be drained first, where others are.
fn passed_over(fleet: &Fleet, plan: &Plan, context: &PlanContext) -> Option<Violation> {
    let drains = |it: &&Action| it.kind == ActionKind::Drain;
    let mut drained = plan.actions.iter().filter(drains).filter_map(|it| fleet.get(&it.instance));
    if drained.all(|instance| instance.to_be_removed) {
        return None;
    }
    let acts_on = |it: &&Instance| plan.actions.iter().any(|action| action.instance == it.name);
    let waits = |it: &&Instance| {
        let failed = (it.name.clone(), ActionKind::Drain);
        it.under_way.is_some() || context.backing_off.contains(&failed)
    };
    let may_leave = |it: &&Instance| it.to_be_removed && !it.is_watched(context.rollout);
    let mut left = fleet.in_phase(Phase::Ready).filter(may_leave);
    let passed_over = left.find(|it| !acts_on(it) && !waits(it))?;
    Some(Violation::PassedOver(passed_over.name.clone()))
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
    let lasts = |i: &&Instance| !i.should_be_replaced(version);
    let good = count(fleet.in_phase(Phase::Ready).filter(lasts));
    let coming = count(fleet.in_phase(Phase::Starting).filter(lasts));
    let is_replaced = good < ready || coming < starting;
    let extra = if is_replaced { target.div_ceil(4).max(1) } else { 0 };
    target.saturating_sub(good + coming).min((target + extra).saturating_sub(ready + starting))
}

#[cfg(test)]
mod tests;
