//! How a service changes from one version to the next: the new one proves itself on one instance, which is
//! then watched beside the old ones, and the old one serves until both went well.

use std::time::Duration;

use model::action::{ActionKind, Done, ReleaseEnd};
use model::instance::Phase;
use model::time::Timestamp;
use model::version::{Rollout, Version, Wanted};
use model::watch::Watched;

use crate::fleet::Fleet;
use crate::watch::{Verdict, judge};

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
    /// How long a version that got healthy is watched; zero for not at all.
    pub watch: Duration,
    /// Whether the wanted version has a release command to be run before it serves that has not ended well yet.
    pub owes_release: bool,
    /// What was seen since the watch began; `None` without one, and where the host could not be asked.
    pub watched: Option<Watched>,
}

/// The state of the rollout at `now`, after `before`.
///
/// The wanted version is watched from its first ready instance on, and serves when nothing spoke against it
/// in its time; at once where no instance of the one that serves is ready to be compared with and to go back
/// to. It is given up when a try of it fails after the time in which an instance has to get healthy (what fails
/// sooner, such as a clone for want of disk, is tried again), or when it does worse while it is watched.
///
/// A version that owes a release command gets no further before that has ended well, and is given up as soon as it
/// failed: run again, it would hardly do better, and may have done a part.
///
/// Without a `before`, which is lost when nobody kept it, the version of most ready instances
/// serves: the host is the truth. Where there is none, so does the wanted version, once it owes nothing.
#[must_use]
pub fn advance(before: Option<Rollout>, context: &RolloutContext, now: Timestamp) -> Rollout {
    let RolloutContext { wanted, fleet, .. } = *context;
    let before = before.unwrap_or_else(|| match fleet.main_version() {
        None if context.owes_release => first(wanted, now),
        main => Rollout::Serving { version: main.unwrap_or(wanted.version) },
    });
    if before.is_first() {
        return after_first(before, context, now);
    }
    let version = before.serving();
    if version == wanted.version {
        return Rollout::Serving { version };
    }
    match before {
        Rollout::GivenUp { next, .. } if next == wanted => before,
        Rollout::Proving { next, since, .. } if next == wanted => {
            after_trial(context, version, since, now).unwrap_or(before)
        }
        Rollout::Watching { next, since, .. } if next == wanted => {
            after_watch(context, version, since, now).unwrap_or(before)
        }
        _ => Rollout::Proving { version, next: wanted, since: now },
    }
}

/// The trial of the wanted version where none has served yet.
const fn first(wanted: Wanted, now: Timestamp) -> Rollout {
    Rollout::Proving { version: wanted.version, next: wanted, since: now }
}

/// What follows the state `before` in which no version has served. There is nothing to go back to, so a version that
/// owes nothing serves, as any first one does.
fn after_first(before: Rollout, context: &RolloutContext, now: Timestamp) -> Rollout {
    let next = context.wanted;
    match before {
        _ if !context.owes_release => Rollout::Serving { version: next.version },
        Rollout::GivenUp { next: tried, .. } if tried == next => before,
        Rollout::Proving { next: tried, .. } if tried == next => match release_failure(context) {
            Some(reason) => {
                Rollout::GivenUp { version: next.version, next, reason: reason.to_owned() }
            }
            None => before,
        },
        _ => first(next, now),
    }
}

/// What follows the trial of the wanted version beside `version`, where it ends now.
fn after_trial(
    context: &RolloutContext,
    version: Version,
    since: Timestamp,
    now: Timestamp,
) -> Option<Rollout> {
    let RolloutContext { wanted: next, fleet, watch, .. } = *context;
    if let Some(reason) = release_failure(context) {
        return Some(Rollout::GivenUp { version, next, reason: reason.to_owned() });
    }
    if is_ready(fleet, next.version) && !context.owes_release {
        let is_watched = watch > Duration::ZERO && is_ready(fleet, version);
        return Some(match is_watched {
            true => Rollout::Watching { version, next, since: now },
            false => Rollout::Serving { version: next.version },
        });
    }
    let reason = failure(context).filter(|_| now.since(since) >= context.launch_timeout)?;
    Some(Rollout::GivenUp { version, next, reason: reason.to_owned() })
}

/// What follows the watch of the wanted version beside `version`, where it ends now.
fn after_watch(
    context: &RolloutContext,
    version: Version,
    since: Timestamp,
    now: Timestamp,
) -> Option<Rollout> {
    let next = context.wanted;
    let verdict = context.watched.map_or(Verdict::GoesOn, |watched| {
        judge(&watched, version, now.since(since), context.watch)
    });
    match verdict {
        Verdict::Bad(reason) => Some(Rollout::GivenUp { version, next, reason }),
        // Nobody saw how it went, such as while no scaler ran.
        _ if !is_ready(context.fleet, next.version) => {
            Some(Rollout::Proving { version, next, since: now })
        }
        Verdict::Good => Some(Rollout::Serving { version: next.version }),
        Verdict::GoesOn => None,
    }
}

/// Whether an instance of this version is ready.
fn is_ready(fleet: &Fleet, version: Version) -> bool {
    fleet.in_phase(Phase::Ready).any(|ready| ready.version == Some(version))
}

/// How the release command of the wanted version has failed just now.
fn release_failure<'a>(context: &RolloutContext<'a>) -> Option<&'a str> {
    let failed = |done: &&Done| {
        done.release == Some(ReleaseEnd::Failed) && done.version == Some(context.wanted.version)
    };
    context.done.iter().find(failed).map(|done| done.error.as_deref().unwrap_or_default())
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
    use model::watch::{Answers, VersionFigures};

    use super::*;
    use crate::fleet::{ContainerPresence, InstanceObservation, RotationState};
    use crate::testing::{observation, seconds, wanted};

    const TIMEOUT: Duration = Duration::from_secs(10);
    const WATCH: Duration = Duration::from_secs(5);
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
            release: None,
            steps: Vec::new(),
        }]
    }

    fn after(
        before: Option<&Rollout>,
        wanted: Wanted,
        instances: &[InstanceObservation],
        done: &[Done],
        second: u64,
    ) -> Rollout {
        let fleet = fleet(instances, second);
        advance(before.cloned(), &context(wanted, &fleet, done), seconds(second))
    }

    fn fleet(instances: &[InstanceObservation], second: u64) -> Fleet {
        Fleet::observed(&Fleet::default(), instances.to_vec(), TIMEOUT, seconds(second))
    }

    /// Nothing is watched.
    fn context<'a>(wanted: Wanted, fleet: &'a Fleet, done: &'a [Done]) -> RolloutContext<'a> {
        let watch = Duration::ZERO;
        RolloutContext {
            wanted,
            fleet,
            done,
            launch_timeout: TIMEOUT,
            watch,
            owes_release: false,
            watched: None,
        }
    }

    /// What becomes of [`watching`], with this seen and with these instances.
    fn watched(
        watched: Option<Watched>,
        instances: &[InstanceObservation],
        second: u64,
    ) -> Rollout {
        let fleet = fleet(instances, second);
        let context = context(wanted(NEW), &fleet, &[]);
        let context = RolloutContext { watch: WATCH, watched, ..context };
        advance(Some(watching()), &context, seconds(second))
    }

    /// The new version on trial since second 0, with one old instance ready.
    fn proving() -> Rollout {
        Rollout::Proving { version: OLD, next: wanted(NEW), since: seconds(0) }
    }

    /// The new version watched since second 0.
    fn watching() -> Rollout {
        Rollout::Watching { version: OLD, next: wanted(NEW), since: seconds(0) }
    }

    #[test]
    fn a_version_that_got_healthy_is_watched_where_an_old_one_is_ready_beside_it() {
        let both = [ready(1, OLD), ready(2, NEW)];
        let proven = |watch, instances: &[InstanceObservation]| {
            let fleet = fleet(instances, 0);
            let context = RolloutContext { watch, ..context(wanted(NEW), &fleet, &[]) };
            advance(Some(proving()), &context, seconds(0))
        };
        let serves = Rollout::Serving { version: NEW };
        assert_eq!(proven(WATCH, &both), watching());
        assert_eq!(proven(Duration::ZERO, &both), serves);
        assert_eq!(proven(WATCH, &both[1..]), serves, "there is nothing to go back to");
    }

    #[test]
    fn a_watched_version_serves_after_its_time_or_is_given_up_as_soon_as_it_does_worse() {
        let both = [ready(1, OLD), ready(2, NEW)];
        let calm = Some(Watched::default());
        assert_eq!(watched(calm, &both, 4), watching());
        assert_eq!(watched(calm, &both, 5), Rollout::Serving { version: NEW });
        assert_eq!(watched(None, &both, 5), watching(), "nobody could look");
        let answers = Answers { all: 9, failed: 9 };
        let new = VersionFigures { answers, ..VersionFigures::default() };
        let old = VersionFigures { answers: Answers { all: 9, failed: 0 }, ..new };
        let bad = Some(Watched { old, new });
        for second in [1, 9] {
            let Rollout::GivenUp { version, next, reason } = watched(bad, &both, second) else {
                panic!("it goes on")
            };
            assert_eq!((version, next), (OLD, wanted(NEW)));
            assert!(reason.starts_with("9 of 9 answers of the new version"), "{reason}");
        }
    }

    #[test]
    fn a_watched_instance_that_went_unseen_is_followed_by_another_trial() {
        let again = Rollout::Proving { version: OLD, next: wanted(NEW), since: seconds(9) };
        assert_eq!(watched(Some(Watched::default()), &[ready(1, OLD)], 9), again);
        let new = VersionFigures { ended: 1, ..VersionFigures::default() };
        let ended = Some(Watched { new, ..Watched::default() });
        assert!(matches!(watched(ended, &[ready(1, OLD)], 9), Rollout::GivenUp { .. }));
    }

    #[test]
    fn a_deploy_of_another_version_ends_the_watch() {
        let both = [ready(1, OLD), ready(2, NEW)];
        let third = wanted(Version::new(3));
        let trial = Rollout::Proving { version: OLD, next: third, since: seconds(1) };
        assert_eq!(after(Some(&watching()), third, &both, &[], 1), trial);
        let serves = Rollout::Serving { version: OLD };
        assert_eq!(after(Some(&watching()), wanted(OLD), &both, &[], 1), serves);
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
    /// What becomes of `before` where the new version owes its release command.
    fn owing(
        before: Option<&Rollout>,
        instances: &[InstanceObservation],
        done: &[Done],
    ) -> Rollout {
        let fleet = fleet(instances, 1);
        let context = RolloutContext { owes_release: true, ..context(wanted(NEW), &fleet, done) };
        advance(before.cloned(), &context, seconds(1))
    }

    fn released(end: ReleaseEnd, error: Option<&str>) -> Vec<Done> {
        tried(error).into_iter().map(|done| Done { release: Some(end), ..done }).collect()
    }

    #[test]
    fn a_version_that_owes_its_release_command_serves_only_after_it() {
        // One of an earlier deploy is ready still.
        let both = [ready(1, OLD), ready(2, NEW)];
        assert_eq!(owing(Some(&proving()), &both, &[]), proving());
        let serves = Rollout::Serving { version: NEW };
        assert_eq!(after(Some(&proving()), wanted(NEW), &both, &[], 1), serves);
    }

    #[test]
    fn a_release_command_that_failed_gives_its_version_up_at_once() {
        let failed = released(ReleaseEnd::Failed, Some("it ended with status 3"));
        let reason = "it ended with status 3".to_owned();
        let given_up = Rollout::GivenUp { version: OLD, next: wanted(NEW), reason };
        assert_eq!(owing(Some(&proving()), &[ready(1, OLD)], &failed), given_up);
        assert_eq!(owing(Some(&given_up), &[ready(1, OLD)], &[]), given_up);
        // A program that fails after it has until the launch timeout.
        let later = released(ReleaseEnd::Well, Some("no answer"));
        assert_eq!(after(Some(&proving()), wanted(NEW), &[ready(1, OLD)], &later, 9), proving());
    }

    #[test]
    fn a_first_version_serves_once_its_release_command_ended_well() {
        let first = Rollout::Proving { version: NEW, next: wanted(NEW), since: seconds(1) };
        assert_eq!(owing(None, &[], &[]), first);
        assert_eq!(owing(Some(&first), &[starting(1, NEW)], &[]), first);
        let serves = Rollout::Serving { version: NEW };
        assert_eq!(after(Some(&first), wanted(NEW), &[starting(1, NEW)], &[], 1), serves);
        let failed = released(ReleaseEnd::Failed, Some("status 1"));
        let given_up = owing(Some(&first), &[], &failed);
        assert!(given_up.is_first() && !given_up.wants(NEW));
        assert_eq!(owing(Some(&given_up), &[], &[]), given_up);
        // Another one is the first then, and owes nothing.
        let third = wanted(Version::new(3));
        let serves = Rollout::Serving { version: third.version };
        assert_eq!(after(Some(&given_up), third, &[], &[], 2), serves);
    }

    #[test]
    fn what_runs_without_a_memory_has_been_released() {
        let main = Rollout::Serving { version: NEW };
        assert_eq!(owing(None, &[ready(1, NEW)], &[]), main);
        let trial = Rollout::Proving { version: OLD, next: wanted(NEW), since: seconds(1) };
        assert_eq!(owing(None, &[ready(1, OLD)], &[]), trial);
    }
}
