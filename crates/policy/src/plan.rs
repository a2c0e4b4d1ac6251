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
    /// Whether the version on trial has a release command that has not ended well yet.
    pub owes_release: bool,
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
/// unhealthy instances, and those that an operator wants gone, are replaced by surge: more than decided are launched, and such ones are
/// the first to go once the new ones are ready. A version on trial gets one instance beside that, and it stays
/// while it is watched. Where the trial owes a release command, its instance runs that first; nothing else does, and
/// of a service of which no version has served nothing else is launched.
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
    if let Some(version) = trial_wanted(fleet, context) {
        draft.launch_trial(version);
    }
    draft.drain(fleet, target);
    draft.plan
}

/// How many more instances of the version `serving` there should be: those that the target and the
/// replacement of others ask for, without more than the surge beyond the target.
fn launches_wanted(fleet: &Fleet, target: u32, rollout: &Rollout) -> u32 {
    if rollout.is_first() {
        return 0;
    }
    let serving = rollout.serving();
    let counts = |i: &&Instance| i.counts_as_capacity(serving) && !i.is_watched(rollout);
    let capacity = count(fleet.instances().iter().filter(counts));
    let lasts = |i: &&Instance| i.counts_as_capacity(serving) && !i.should_be_replaced(serving);
    let lasting = count(fleet.instances().iter().filter(lasts));
    let room = (target + surge(fleet, target)).saturating_sub(capacity);
    target.saturating_sub(lasting).min(room)
}

/// The version on trial, when no instance of it is there to prove it, and none that could be in the middle of a
/// release command where it has one of its own: two at a time on the same data are nothing that anybody expects.
fn trial_wanted(fleet: &Fleet, context: &PlanContext) -> Option<Version> {
    let version = context.rollout.proving()?;
    let tries = |i: &Instance| i.version == Some(version) && i.phase == Phase::Starting;
    let hinders =
        |i: &Instance| tries(i) || context.owes_release && may_release(i, context.rollout);
    (!fleet.instances().iter().any(hinders)).then_some(version)
}

/// Whether an instance may be running a release command: it is of a version that has not served, and is neither ready
/// nor on its way out of use.
fn may_release(instance: &Instance, rollout: &Rollout) -> bool {
    let has_served = instance.version == Some(rollout.serving()) && !rollout.is_first();
    let is_or_was_used = match instance.phase {
        Phase::Ready => true,
        Phase::Draining => instance.under_way.is_none(),
        Phase::Starting | Phase::Failed => false,
    };
    !has_served && !is_or_was_used
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

    /// Clones the instance on which a version is tried, which runs the release command that is owed.
    fn launch_trial(&mut self, version: Version) {
        let planned = self.plan.actions.len();
        self.launch(1, version, self.context.trial_backs_off);
        if self.context.owes_release {
            for action in &mut self.plan.actions[planned..] {
                action.releases = true;
            }
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

/// Order in which ready instances leave: those that an operator wants gone first, then others to be replaced, then
/// the idlest, then the highest slot, so that a service settles in its lowest slots.
fn eagerness_to_leave(instance: &Instance, serving: Version) -> (bool, bool, u32, Reverse<Slot>) {
    (
        !instance.to_be_removed,
        !instance.should_be_replaced(serving),
        instance.in_flight.unwrap_or(u32::MAX),
        Reverse(instance.slot()),
    )
}

#[cfg(test)]
mod tests;
