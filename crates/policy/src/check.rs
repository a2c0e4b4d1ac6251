//! The plan checker: what no plan may do, whatever led to it. Tests and the simulator hold every
//! plan to it.

use std::collections::BTreeSet;

use model::action::{Action, ActionKind};
use model::decision::Decision;
use model::instance::Phase;
use model::names::{InstanceName, Slot};

use crate::fleet::{Fleet, Instance};
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
    /// It stops an instance that may still serve, without a drain.
    #[error("{0} is stopped without having drained")]
    StoppedWithoutDrain(InstanceName),
    /// It leaves fewer ready instances than decided, although it could leave more.
    #[error("it drains down to {left} ready instances where {target} are decided")]
    DrainsBelowTarget {
        /// Ready instances that are left.
        left: usize,
        /// Ready instances decided on.
        target: u32,
    },
    /// It leads to more instances than decided on and one replacement.
    #[error("it launches up to {capacity} instances where {target} and a replacement are decided")]
    LaunchesAboveTarget {
        /// Instances that serve or will.
        capacity: usize,
        /// Ready instances decided on.
        target: u32,
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
        found.extend(misfit(action, fleet.get(&action.instance)));
        let free = context.free_slots.contains(&action.slot) && slots.insert(action.slot);
        if action.kind == ActionKind::Clone && !free {
            found.push(Violation::SlotTaken(action.slot));
        }
    }
    found.extend(amounts(fleet, target, plan, context));
    found
}

/// What is wrong with one action on this instance.
fn misfit(action: &Action, instance: Option<&Instance>) -> Option<Violation> {
    let name = action.instance.clone();
    let Some(instance) = instance else {
        let fits = action.kind == ActionKind::Clone;
        return (!fits).then_some(Violation::Unfitting(action.kind, name));
    };
    if instance.under_way.is_some() {
        return Some(Violation::UnderWay(name));
    }
    match (action.kind, instance.phase) {
        (ActionKind::Stop, Phase::Ready | Phase::Starting) => {
            Some(Violation::StoppedWithoutDrain(name))
        }
        (ActionKind::Drain, Phase::Ready)
        | (ActionKind::Stop, Phase::Draining | Phase::Failed)
        | (ActionKind::Admit, Phase::Starting | Phase::Draining) => None,
        (kind, _) => Some(Violation::Unfitting(kind, name)),
    }
}

/// What is wrong with the plan's numbers.
fn amounts(fleet: &Fleet, target: u32, plan: &Plan, context: &PlanContext) -> Vec<Violation> {
    let of_kind = |kind| plan.actions.iter().filter(move |action| action.kind == kind).count();
    let (clones, drains) = (of_kind(ActionKind::Clone), of_kind(ActionKind::Drain));
    let mut found = Vec::new();

    let left = fleet.in_phase(Phase::Ready).count().saturating_sub(drains);
    if drains > 0 && left < target as usize {
        found.push(Violation::DrainsBelowTarget { left, target });
    }
    let capacity = fleet.capacity() as usize + clones;
    if clones > 0 && capacity > target as usize + 1 {
        found.push(Violation::LaunchesAboveTarget { capacity, target });
    }
    if clones > context.launches_left as usize || (clones > 0 && context.launches_back_off) {
        found.push(Violation::TooManyLaunches(clones));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fleet::{ContainerPresence, RotationState};
    use crate::testing::{observation, seconds, slots, store_name};
    use model::decision::Reason;

    /// What is found in a plan of these actions for a fleet of two ready instances, in slots 1
    /// and 2, with a target of two.
    fn found(kinds: &[(ActionKind, u32)]) -> Vec<Violation> {
        let ready = |slot| {
            observation(slot, ContainerPresence::Running, RotationState::In { healthy: true })
        };
        let observed = vec![ready(1), ready(2)];
        let fleet =
            Fleet::observed(&Fleet::default(), observed, Duration::from_secs(9), seconds(0));
        let (service, free) = (store_name(), slots(3..=5).collect::<Vec<_>>());
        let context = PlanContext {
            service: &service,
            free_slots: &free,
            launches_left: 1,
            launches_back_off: false,
            backing_off: &[],
            drain_timeout: Duration::from_secs(30),
        };
        let act = |(kind, slot): &(ActionKind, u32)| Action::new(*kind, ready(*slot).name);
        let plan = Plan { actions: kinds.iter().map(act).collect(), blocked: vec![] };
        let decision = Decision::Target { ready: 2, reasons: vec![Reason::OfferedLoad] };
        violations(&fleet, &decision, &plan, &context)
    }

    #[test]
    fn each_forbidden_plan_is_told_apart() {
        use ActionKind::{Clone, Drain, Stop};
        let name = |slot| observation(slot, ContainerPresence::Running, RotationState::Out).name;
        assert_eq!(found(&[(Clone, 3)]), []);
        assert_eq!(found(&[(Stop, 1)]), [Violation::StoppedWithoutDrain(name(1))]);
        assert_eq!(found(&[(Drain, 1)]), [Violation::DrainsBelowTarget { left: 1, target: 2 }]);
        assert_eq!(found(&[(Clone, 9)]), [Violation::SlotTaken(name(9).slot())]);
        assert_eq!(found(&[(Stop, 4)]), [Violation::Unfitting(Stop, name(4))]);
        assert_eq!(
            found(&[(Clone, 3), (Clone, 4)]),
            [
                Violation::LaunchesAboveTarget { capacity: 4, target: 2 },
                Violation::TooManyLaunches(2)
            ]
        );
    }
}
