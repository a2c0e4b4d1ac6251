//! The instances of a service, as the host and the load balancer show them.

use std::collections::BTreeMap;
use std::time::Duration;

use model::action::{ActionKind, Done};
use model::instance::{Phase, PhaseCounts};
use model::names::{InstanceName, Slot};
use model::time::Timestamp;
use model::version::{Rollout, Version};
use serde::{Deserialize, Serialize};

/// How long an instance in rotation may fail its health checks before it is to be replaced. A
/// single refused connection marks a server down for the 200 ms to its next check.
const UNHEALTHY_GRACE: Duration = Duration::from_secs(2);

/// How long an instance may give no sign of life before it is stuck. Its health checks time out after
/// 500 ms and come 200 ms apart by then, so that two of them went without an answer.
const SILENCE_GRACE: Duration = Duration::from_secs(1);

/// CPU time within the silence below which nothing works in an instance. One that computes answers no
/// check either where it has one thread; ending its work would be worse than waiting for it.
const AT_REST: Duration = Duration::from_millis(10);

/// What the host says of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerPresence {
    /// There is none: it is still being cloned, or it is gone.
    Absent,
    /// It exists and does not run.
    Stopped,
    /// It runs.
    Running,
}

/// What the load balancer does with an instance's slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationState {
    /// Out of rotation.
    Out,
    /// In rotation, and its health checks say this.
    In {
        /// Whether the last health check was good.
        healthy: bool,
    },
    /// Draining.
    Drain,
}

/// What is observed of one instance at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceObservation {
    /// The instance.
    pub name: InstanceName,
    /// What the host says.
    pub container: ContainerPresence,
    /// What the load balancer does.
    pub rotation: RotationState,
    /// Requests given to it and not answered yet; unknown without statistics.
    pub in_flight: Option<u32>,
    /// Whether it drains, has answered all its requests and will be sent no more.
    pub drained: bool,
    /// The version that it is of; unknown while its container does not tell.
    pub version: Option<Version>,
    /// The action on it that has been started and not finished.
    pub under_way: Option<ActionKind>,
    /// What is known where its last health check got no answer in time; `None` where it got one, or
    /// where not all of this is known.
    pub silent: Option<SilentCheck>,
    /// Whether it is known to have run its version's release command, which ended well.
    pub released: bool,
}

/// An instance whose last health check got no answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentCheck {
    /// Whether the load balancer sends it nothing any more: more than one check was in vain.
    pub is_down: bool,
    /// Requests that it has answered since it began.
    pub answered: u64,
    /// CPU time that it has used since it began.
    pub cpu_time: Duration,
}

/// An instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name.
    pub name: InstanceName,
    /// What it is doing.
    pub phase: Phase,
    /// Since when it has been doing that, as far as this process has observed.
    pub since: Timestamp,
    /// Requests given to it and not answered yet; unknown without statistics.
    pub in_flight: Option<u32>,
    /// Whether it drains, has answered all its requests and will be sent no more.
    pub drained: bool,
    /// The version that it is of; unknown while its container does not tell.
    pub version: Option<Version>,
    /// The action on it that has been started and not finished.
    pub under_way: Option<ActionKind>,
    /// Whether its health checks have failed for longer than a moment while it was in rotation. It
    /// stays so while it drains for that.
    pub unhealthy: bool,
    /// Whether it has given no sign of life for longer than a moment: no answer to a check or a request,
    /// and no CPU time. So are a process that was stopped, a frozen one, and one that waits for ever.
    pub stuck: bool,
    /// Whether an operator wants it gone.
    #[serde(default)]
    pub to_be_removed: bool,
    unhealthy_since: Option<Timestamp>,
    silence: Option<Silence>,
}

/// Since when an instance is silent, and what it had done by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Silence {
    since: Timestamp,
    answered: u64,
    cpu_time: Duration,
}

impl Silence {
    /// The silence that goes on, or begins now.
    fn goes_on(known: Option<Self>, check: SilentCheck, now: Timestamp) -> Self {
        let SilentCheck { answered, cpu_time, .. } = check;
        let begins = Self { since: now, answered, cpu_time };
        known.filter(|known| known.holds(check)).unwrap_or(begins)
    }

    /// Whether nothing was done since. A worker of the load balancer that is new counts from 0.
    fn holds(self, check: SilentCheck) -> bool {
        check.answered == self.answered && check.cpu_time.saturating_sub(self.cpu_time) < AT_REST
    }
}

impl Instance {
    /// Its slot.
    pub fn slot(&self) -> Slot {
        self.name.slot()
    }

    /// Whether it is of this version, as far as is known.
    pub fn is_of(&self, version: Version) -> bool {
        self.version.is_none_or(|own| own == version)
    }

    /// Whether it serves, or will without further decisions while `serving` is the version that
    /// serves: one of another version that starts has to prove itself, or comes too late.
    pub fn counts_as_capacity(&self, serving: Version) -> bool {
        match self.phase {
            Phase::Ready => true,
            Phase::Starting => self.is_of(serving),
            Phase::Draining | Phase::Failed => false,
        }
    }

    /// Whether another should take its place. An unhealthy instance is replaced like an outdated
    /// one and not stopped at once: where all are slow together, stopping all would end every
    /// request there is. So is one that an operator wants gone: the number is the decision's matter.
    pub fn should_be_replaced(&self, serving: Version) -> bool {
        !self.is_of(serving) || !self.is_well() || self.to_be_removed
    }

    /// Whether it takes its share of the requests beside the fleet to be watched: it is neither capacity nor
    /// too much of it.
    pub fn is_watched(&self, rollout: &Rollout) -> bool {
        self.phase == Phase::Ready && self.version.is_some() && self.version == rollout.watched()
    }

    /// Whether it is stuck, and is sent requests or still has some.
    pub fn is_stuck_in_use(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Draining) && self.stuck
    }

    /// Whether it is neither unhealthy nor stuck.
    pub fn is_well(&self) -> bool {
        !self.unhealthy && !self.stuck
    }
}

/// The instances of one service, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fleet {
    instances: Vec<Instance>,
}

impl Fleet {
    /// The fleet that these observations show. The fleet of the turn before tells since when each instance
    /// has been in its phase; one that starts for longer than `launch_timeout` has failed.
    #[must_use]
    pub fn observed(
        before: &Self,
        instances: Vec<InstanceObservation>,
        launch_timeout: Duration,
        now: Timestamp,
    ) -> Self {
        let instance = |observed: InstanceObservation| {
            instance(before.get(&observed.name), observed, launch_timeout, now)
        };
        let mut instances: Vec<Instance> = instances.into_iter().map(instance).collect();
        instances.sort_by(|a, b| a.name.cmp(&b.name));
        Self { instances }
    }

    /// The same, where an operator wants these instances gone and no others.
    #[must_use]
    pub fn marked(mut self, removals: &[InstanceName]) -> Self {
        for instance in &mut self.instances {
            instance.to_be_removed = removals.contains(&instance.name);
        }
        self
    }

    /// The instances of the fleet of before that are gone although nothing was to end them: those that an
    /// action was on are told by its end.
    pub(crate) fn ended_since<'a>(
        &self,
        before: &'a Self,
        done: &[Done],
    ) -> impl Iterator<Item = &'a Instance> {
        before.instances.iter().filter(|instance| {
            let served = matches!(instance.phase, Phase::Starting | Phase::Ready);
            let is_told = instance.under_way.is_some()
                || done.iter().any(|done| done.instance == instance.name);
            served && !is_told && self.get(&instance.name).is_none()
        })
    }

    /// The instances, in the order of their names.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// One instance by its name.
    pub fn get(&self, name: &InstanceName) -> Option<&Instance> {
        let found = self.instances.binary_search_by(|instance| instance.name.cmp(name));
        found.ok().map(|index| &self.instances[index])
    }

    /// The instances in `phase`.
    pub fn in_phase(&self, phase: Phase) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(move |instance| instance.phase == phase)
    }

    /// How many serve, or will without further decisions: clones under way count, draining
    /// instances do not.
    pub fn capacity(&self, serving: Version) -> u32 {
        count(self.instances.iter().filter(|i| i.counts_as_capacity(serving)))
    }

    /// The version that most ready instances are of.
    pub fn main_version(&self) -> Option<Version> {
        let mut counts: BTreeMap<Version, u32> = BTreeMap::new();
        for version in self.in_phase(Phase::Ready).filter_map(|instance| instance.version) {
            *counts.entry(version).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(version, _)| version)
    }

    /// Whether most of what serves looks unwell at once. That speaks against what all of them share, be it
    /// the host or their version, and not against each of them.
    pub fn is_doubted(&self) -> bool {
        let ready = count(self.in_phase(Phase::Ready));
        count(self.in_phase(Phase::Ready).filter(|instance| !instance.is_well())) > ready / 2
    }

    /// How many instances are in each phase.
    pub fn counts(&self) -> PhaseCounts {
        let mut counts = PhaseCounts::default();
        for instance in &self.instances {
            let count = match instance.phase {
                Phase::Starting => &mut counts.starting,
                Phase::Ready => &mut counts.ready,
                Phase::Draining => &mut counts.draining,
                Phase::Failed => &mut counts.failed,
            };
            *count += 1;
        }
        counts
    }
}

/// The number of these instances.
pub(crate) fn count<'a>(instances: impl Iterator<Item = &'a Instance>) -> u32 {
    u32::try_from(instances.count()).unwrap_or(u32::MAX)
}

/// One instance, from what was known and what is observed.
fn instance(
    known: Option<&Instance>,
    observed: InstanceObservation,
    launch_timeout: Duration,
    now: Timestamp,
) -> Instance {
    let unhealthy_since = match observed.rotation {
        RotationState::In { healthy: false } => {
            Some(known.and_then(|known| known.unhealthy_since).unwrap_or(now))
        }
        // Nobody asks whether it got well while it leaves.
        RotationState::Drain => {
            known.filter(|known| known.unhealthy).and_then(|known| known.unhealthy_since)
        }
        _ => None,
    };
    let is_in_use =
        observed.container == ContainerPresence::Running && observed.rotation != RotationState::Out;
    let silent = observed.silent.filter(|_| is_in_use);
    let silence =
        silent.map(|check| Silence::goes_on(known.and_then(|known| known.silence), check, now));
    let is_down = silent.is_some_and(|check| check.is_down);
    let phase = match visible_phase(&observed) {
        Phase::Starting => {
            let late = |known: &Instance| match known.phase {
                Phase::Failed => true,
                Phase::Starting => now.since(known.since) >= launch_timeout,
                _ => false,
            };
            let gave_up = observed.under_way.is_none() && known.is_some_and(late);
            if gave_up { Phase::Failed } else { Phase::Starting }
        }
        phase => phase,
    };
    let since = known.filter(|known| known.phase == phase).map_or(now, |known| known.since);
    Instance {
        name: observed.name,
        phase,
        since,
        in_flight: observed.in_flight,
        drained: observed.drained,
        version: observed.version,
        under_way: observed.under_way,
        unhealthy: unhealthy_since.is_some_and(|at| now.since(at) >= UNHEALTHY_GRACE),
        stuck: is_down && silence.is_some_and(|silence| now.since(silence.since) >= SILENCE_GRACE),
        to_be_removed: false,
        unhealthy_since,
        silence,
    }
}

/// The phase that one observation shows, without the past.
fn visible_phase(observed: &InstanceObservation) -> Phase {
    match (observed.under_way, observed.container, observed.rotation) {
        // `lxc-copy` makes the container before it starts it, so a stopped one is no failure yet.
        (Some(ActionKind::Clone), _, _) => Phase::Starting,
        // An action under way counts as done: the next plan must neither repeat nor double it.
        (Some(ActionKind::Stop), _, RotationState::Out) => Phase::Draining,
        // It does not serve any more, and another is to be launched without waiting for its end.
        (Some(ActionKind::Kill), _, _) => Phase::Draining,
        (Some(ActionKind::Drain), ContainerPresence::Running, _) => Phase::Draining,
        (Some(ActionKind::Admit), ContainerPresence::Running, RotationState::Drain) => {
            Phase::Starting
        }
        (_, ContainerPresence::Absent | ContainerPresence::Stopped, _) => Phase::Failed,
        (_, ContainerPresence::Running, RotationState::Out) => Phase::Starting,
        (_, ContainerPresence::Running, RotationState::In { .. }) => Phase::Ready,
        (_, ContainerPresence::Running, RotationState::Drain) => Phase::Draining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{observation, seconds};

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn phase_of(before: &Fleet, observed: InstanceObservation, at: u64) -> (Fleet, Phase) {
        let fleet = Fleet::observed(before, vec![observed], TIMEOUT, seconds(at));
        let phase = fleet.instances[0].phase;
        (fleet, phase)
    }

    #[test]
    fn a_container_being_cloned_is_starting_although_it_does_not_run() {
        let mut observed = observation(1, ContainerPresence::Stopped, RotationState::Out);
        assert_eq!(phase_of(&Fleet::default(), observed.clone(), 0).1, Phase::Failed);
        observed.under_way = Some(ActionKind::Clone);
        assert_eq!(phase_of(&Fleet::default(), observed, 0).1, Phase::Starting);
    }

    #[test]
    fn what_is_gone_although_nothing_was_to_end_it_has_ended_by_itself() {
        let running = ContainerPresence::Running;
        let up = RotationState::In { healthy: true };
        let being_killed = InstanceObservation {
            under_way: Some(ActionKind::Kill),
            ..observation(5, running, up)
        };
        let seen = vec![
            observation(1, running, up),
            observation(2, running, RotationState::Out),
            observation(3, running, RotationState::Drain),
            observation(4, running, up),
            being_killed,
            observation(6, ContainerPresence::Stopped, RotationState::Out),
            observation(7, running, up),
        ];
        let stays = seen[6].clone();
        let before = Fleet::observed(&Fleet::default(), seen, TIMEOUT, seconds(0));
        let after = Fleet::observed(&before, vec![stays], TIMEOUT, seconds(1));
        // Its end came back in the same turn.
        let stopped = Done {
            kind: ActionKind::Stop,
            instance: before.instances[3].name.clone(),
            slot: before.instances[3].slot(),
            version: None,
            planned_at: seconds(0),
            finished_at: seconds(1),
            error: None,
            last_lines: Vec::new(),
            release: None,
            steps: Vec::new(),
        };
        let ended = after.ended_since(&before, std::slice::from_ref(&stopped));
        assert_eq!(ended.map(|it| it.slot().get()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn an_instance_that_never_comes_up_fails_after_the_launch_timeout_and_stays_failed() {
        let observed = observation(1, ContainerPresence::Running, RotationState::Out);
        let (fleet, phase) = phase_of(&Fleet::default(), observed.clone(), 0);
        assert_eq!(phase, Phase::Starting);
        let (fleet, phase) = phase_of(&fleet, observed.clone(), 10);
        assert_eq!(phase, Phase::Failed);
        assert_eq!(phase_of(&fleet, observed, 11).1, Phase::Failed);
    }

    #[test]
    fn a_server_is_unhealthy_once_it_has_been_down_for_longer_than_a_moment() {
        let down = observation(1, ContainerPresence::Running, RotationState::In { healthy: false });
        let up = observation(1, ContainerPresence::Running, RotationState::In { healthy: true });
        let mut fleet = Fleet::default();
        let mut unhealthy = Vec::new();
        for (second, observed) in (0..).zip([&down, &up, &down, &down, &down, &up]) {
            let phase;
            (fleet, phase) = phase_of(&fleet, observed.clone(), second);
            assert_eq!(phase, Phase::Ready);
            unhealthy.push(fleet.instances[0].unhealthy);
        }
        assert_eq!(unhealthy, [false, false, false, false, true, false]);
    }

    #[test]
    fn an_instance_is_stuck_when_it_gave_no_sign_of_life_for_a_second() {
        let check = |is_down, answered, cpu_ms| {
            Some(SilentCheck { is_down, answered, cpu_time: Duration::from_millis(cpu_ms) })
        };
        let activity = |answered, cpu_ms| check(true, answered, cpu_ms);
        // What is seen every half second, and whether it is stuck then.
        let stuck = |rotation, seen: &[Option<SilentCheck>]| {
            let mut fleet = Fleet::default();
            let mut stuck = Vec::new();
            for (step, silent) in (0..).zip(seen) {
                let observed = InstanceObservation {
                    silent: *silent,
                    ..observation(1, ContainerPresence::Running, rotation)
                };
                let now = seconds(0).after(Duration::from_millis(step * 500));
                fleet = Fleet::observed(&fleet, vec![observed], TIMEOUT, now);
                stuck.push(fleet.instances[0].stuck);
            }
            stuck
        };
        let down = RotationState::In { healthy: false };
        let quiet = activity(7, 100);
        assert_eq!(stuck(down, &[quiet, quiet, quiet]), [false, false, true]);
        assert_eq!(stuck(RotationState::Drain, &[quiet; 3]), [false, false, true]);
        // One check was in vain, and another may be answered; the silence began with the first.
        let once = check(false, 7, 100);
        assert_eq!(stuck(down, &[once, once, once]), [false; 3]);
        assert_eq!(stuck(down, &[once, once, quiet]), [false, false, true]);
        // Nothing is sent to it.
        assert_eq!(stuck(RotationState::Out, &[quiet; 3]), [false; 3]);
        // A check was answered in between.
        assert_eq!(stuck(down, &[quiet, None, quiet, quiet]), [false; 4]);
        // A request was answered, or it works.
        assert_eq!(stuck(down, &[quiet, activity(8, 100), activity(8, 100)]), [false; 3]);
        assert_eq!(stuck(down, &[quiet, activity(7, 109), activity(7, 115)]), [false; 3]);
        assert_eq!(stuck(down, &[quiet, activity(7, 102), activity(7, 104)]), [false, false, true]);
        // The load balancer counts anew.
        assert_eq!(stuck(down, &[quiet, activity(0, 100), activity(0, 100)]), [false; 3]);
    }

    #[test]
    fn a_phase_is_dated_from_its_first_observation() {
        let ready = observation(1, ContainerPresence::Running, RotationState::In { healthy: true });
        let (fleet, _) = phase_of(&Fleet::default(), ready.clone(), 3);
        let (fleet, _) = phase_of(&fleet, ready, 7);
        assert_eq!(fleet.instances[0].since, seconds(3));
    }
}
