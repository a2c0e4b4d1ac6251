//! How a service changes from one version to the next: the new one proves itself on one instance,
//! and the old one serves until it has.

use std::time::Duration;

use model::action::{ActionKind, Done};
use model::instance::Phase;
use model::time::Timestamp;
use model::version::{Rollout, Wanted};

use crate::fleet::{Fleet, Instance};

/// What the next state of a rollout follows from.
#[derive(Debug, Clone, Copy)]
pub struct RolloutContext<'a> {
    /// What the service was last deployed as.
    pub wanted: Wanted,
    /// Its instances now.
    pub fleet: &'a Fleet,
    /// Actions that came to their end since the turn before.
    pub done: &'a [Done],
    /// How long an instance may take to get healthy.
    pub launch_timeout: Duration,
}

/// The state of the rollout at `now`, after `before`.
///
/// The wanted version serves from its first ready instance on. It is given up when a try of it
/// fails after the time in which an instance has to get healthy; what fails sooner, such as a clone
/// for want of disk, is tried again.
///
/// Without a `before`, which is lost when nobody kept it, the version of most ready instances
/// serves: the host is the truth.
#[must_use]
pub fn advance(before: Option<Rollout>, context: &RolloutContext, now: Timestamp) -> Rollout {
    let RolloutContext { wanted, fleet, .. } = *context;
    let before = before.unwrap_or_else(|| Rollout::Serving {
        version: fleet.main_version().unwrap_or(wanted.version),
    });
    let version = before.serving();
    if version == wanted.version {
        return Rollout::Serving { version };
    }
    match before {
        Rollout::GivenUp { next, .. } if next == wanted => before,
        Rollout::Proving { next, since, .. } if next == wanted => {
            let is_proof = |ready: &Instance| ready.version == Some(next.version);
            if fleet.in_phase(Phase::Ready).any(is_proof) {
                return Rollout::Serving { version: next.version };
            }
            match failure(context) {
                Some(reason) if now.since(since) >= context.launch_timeout => {
                    Rollout::GivenUp { version, next, reason: reason.to_owned() }
                }
                _ => before,
            }
        }
        _ => Rollout::Proving { version, next: wanted, since: now },
    }
}

/// How a try of the wanted version has failed just now.
fn failure<'a>(context: &RolloutContext<'a>) -> Option<&'a str> {
    let is_try = |done: &&Done| {
        done.kind == ActionKind::Clone && done.version == Some(context.wanted.version)
    };
    context.done.iter().filter(is_try).find_map(|done| done.error.as_deref())
}

#[cfg(test)]
mod tests {
    use model::version::Version;

    use super::*;
    use crate::fleet::{ContainerPresence, InstanceObservation, RotationState};
    use crate::testing::{observation, seconds, wanted};

    const TIMEOUT: Duration = Duration::from_secs(10);
    const OLD: Version = Version::new(1);
    const NEW: Version = Version::new(2);

    fn ready(slot: u32, version: Version) -> InstanceObservation {
        let ready = RotationState::In { healthy: true };
        let version = Some(version);
        InstanceObservation { version, ..observation(slot, ContainerPresence::Running, ready) }
    }

    fn starting(slot: u32, version: Version) -> InstanceObservation {
        InstanceObservation { rotation: RotationState::Out, ..ready(slot, version) }
    }

    /// A clone of the new version that ended in slot 9.
    fn tried(error: Option<&str>) -> Vec<Done> {
        vec![Done {
            kind: ActionKind::Clone,
            instance: starting(9, NEW).name,
            slot: starting(9, NEW).name.slot(),
            version: Some(NEW),
            planned_at: seconds(0),
            finished_at: seconds(1),
            error: error.map(str::to_owned),
            last_lines: Vec::new(),
        }]
    }

    fn after(
        before: Option<&Rollout>,
        wanted: Wanted,
        instances: &[InstanceObservation],
        done: &[Done],
        second: u64,
    ) -> Rollout {
        let before_fleet = Fleet::default();
        let fleet = Fleet::observed(&before_fleet, instances.to_vec(), TIMEOUT, seconds(second));
        let context = RolloutContext { wanted, fleet: &fleet, done, launch_timeout: TIMEOUT };
        advance(before.cloned(), &context, seconds(second))
    }

    /// The new version on trial since second 0, with one old instance ready.
    fn proving() -> Rollout {
        Rollout::Proving { version: OLD, next: wanted(NEW), since: seconds(0) }
    }

    #[test]
    fn a_new_version_is_tried_and_serves_from_its_first_ready_instance_on() {
        let old = Rollout::Serving { version: OLD };
        let both = [ready(1, OLD), starting(2, NEW)];
        assert_eq!(after(Some(&old), wanted(OLD), &both[..1], &[], 0), old);
        assert_eq!(after(Some(&old), wanted(NEW), &both[..1], &[], 0), proving());
        assert_eq!(after(Some(&proving()), wanted(NEW), &both, &[], 8), proving());
        let proven = [ready(1, OLD), ready(2, NEW)];
        let serves = Rollout::Serving { version: NEW };
        assert_eq!(after(Some(&proving()), wanted(NEW), &proven, &[], 8), serves);
    }

    #[test]
    fn a_version_is_given_up_by_the_try_that_fails_after_its_time_and_not_before() {
        let old = [ready(1, OLD)];
        let failed = tried(Some("no answer"));
        assert_eq!(after(Some(&proving()), wanted(NEW), &old, &failed, 9), proving());
        assert_eq!(after(Some(&proving()), wanted(NEW), &old, &[], 99), proving());
        assert_eq!(after(Some(&proving()), wanted(NEW), &old, &tried(None), 10), proving());
        let given_up = after(Some(&proving()), wanted(NEW), &old, &failed, 10);
        let reason = "no answer".to_owned();
        assert_eq!(given_up, Rollout::GivenUp { version: OLD, next: wanted(NEW), reason });
        assert_eq!(after(Some(&given_up), wanted(NEW), &old, &failed, 11), given_up);
    }

    #[test]
    fn what_was_given_up_is_tried_again_when_it_is_deployed_again() {
        let reason = String::new();
        let given_up = Rollout::GivenUp { version: OLD, next: wanted(NEW), reason };
        let again = Wanted { version: NEW, deployed_at: seconds(60) };
        let trial = Rollout::Proving { version: OLD, next: again, since: seconds(61) };
        assert_eq!(after(Some(&given_up), again, &[ready(1, OLD)], &[], 61), trial);
    }

    #[test]
    fn a_deploy_of_the_version_that_serves_ends_the_trial_of_another() {
        let serves = Rollout::Serving { version: OLD };
        assert_eq!(after(Some(&proving()), wanted(OLD), &[ready(1, OLD)], &[], 1), serves);
    }

    #[test]
    fn without_a_memory_the_version_of_most_ready_instances_serves() {
        let instances = [ready(1, NEW), ready(2, OLD), ready(3, OLD), starting(4, NEW)];
        assert_eq!(after(None, wanted(NEW), &instances, &[], 0), proving());
        let serves = Rollout::Serving { version: NEW };
        assert_eq!(after(None, wanted(NEW), &[], &[], 0), serves);
    }
}
