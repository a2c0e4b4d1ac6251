//! What no plan may do with release commands.

use model::action::{Action, ActionKind};
use model::instance::Phase;

use super::Violation;
use crate::fleet::Fleet;
use crate::plan::{Plan, PlanContext};

/// What is wrong with the release commands that a plan has run.
pub(super) fn wrong(fleet: &Fleet, plan: &Plan, context: &PlanContext) -> Vec<Violation> {
    let owing = context.rollout.proving().filter(|_| context.owes_release);
    let serving = context.rollout.serving();
    // What has not served is ready or drains, or may be running one.
    let mut others = fleet
        .instances()
        .iter()
        .filter(|other| context.rollout.is_first() || other.version != Some(serving));
    let is_alone = !others.any(|other| match other.phase {
        Phase::Starting | Phase::Failed => true,
        Phase::Draining => other.under_way.is_some(),
        Phase::Ready => false,
    });
    let is_wrong = |action: &&Action| {
        let is_trial =
            action.kind == ActionKind::Clone && owing.is_some() && action.version == owing;
        action.releases != is_trial || action.releases && !is_alone
    };
    let wrong = plan.actions.iter().filter(is_wrong);
    wrong.map(|action| Violation::Release(action.instance.clone())).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::names::InstanceName;
    use model::version::{Rollout, Version};

    use super::*;
    use crate::fleet::{ContainerPresence, InstanceObservation, RotationState};
    use crate::testing::{VERSION, context, observation, seconds, slots, store_name, wanted};

    const NEXT: Version = Version::new(2);

    fn name(slot: u32) -> InstanceName {
        observation(slot, ContainerPresence::Absent, RotationState::Out).name
    }

    /// What is found in a clone of `version`, of which another instance starts where there are `others`.
    fn found(
        rollout: &Rollout,
        owes: bool,
        releases: bool,
        others: Option<Version>,
    ) -> Vec<Violation> {
        let starts = |version| InstanceObservation {
            version: Some(version),
            ..observation(1, ContainerPresence::Running, RotationState::Out)
        };
        let timeout = Duration::from_secs(60);
        let observed = others.map(starts).into_iter().collect();
        let fleet = Fleet::observed(&Fleet::default(), observed, timeout, seconds(0));
        let (service, free) = (store_name(), slots(3..=9).collect::<Vec<_>>());
        let context = context(&service, rollout, &free);
        let context = PlanContext { owes_release: owes, ..context };
        let clone = Action::new(ActionKind::Clone, name(3), Some(NEXT));
        let plan = Plan { actions: vec![Action { releases, ..clone }], blocked: vec![] };
        wrong(&fleet, &plan, &context)
    }

    #[test]
    fn a_release_command_is_run_by_the_trial_that_owes_it_and_by_nothing_else() {
        let release = || [Violation::Release(name(3))];
        let proving = Rollout::Proving { version: VERSION, next: wanted(NEXT), since: seconds(0) };
        let serving = Rollout::Serving { version: NEXT };
        assert_eq!(found(&proving, true, true, None), []);
        assert_eq!(found(&proving, true, false, None), release());
        assert_eq!(found(&proving, false, false, None), []);
        assert_eq!(found(&proving, false, true, None), release());
        assert_eq!(found(&serving, true, false, None), []);
        assert_eq!(found(&serving, true, true, None), release());
    }

    #[test]
    fn no_release_command_is_run_beside_what_may_run_one() {
        let release = || [Violation::Release(name(3))];
        let proving = Rollout::Proving { version: VERSION, next: wanted(NEXT), since: seconds(0) };
        let first = Rollout::Proving { version: NEXT, next: wanted(NEXT), since: seconds(0) };
        assert_eq!(found(&proving, true, true, Some(VERSION)), []);
        assert_eq!(found(&proving, true, true, Some(Version::new(3))), release());
        assert_eq!(found(&first, true, true, Some(Version::new(3))), release());
    }
}
