//! The instances of a service, as the host and the load balancer show them.

use std::collections::BTreeMap;
use std::time::Duration;

use model::action::ActionKind;
use model::instance::{Phase, PhaseCounts};
use model::names::{InstanceName, Slot};
use model::time::Timestamp;
use model::version::Version;

/// How long an instance in rotation may fail its health checks before it is to be replaced. A
/// single refused connection marks a server down for the 200 ms to its next check.
const UNHEALTHY_GRACE: Duration = Duration::from_secs(2);

/// What the host says of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerPresence {
    /// There is none: it is still being cloned, or it is gone.
    Absent,
    /// It exists and does not run.
    Stopped,
    /// It runs.
    Running,
}

/// What the load balancer does with an instance's slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// An instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    unhealthy_since: Option<Timestamp>,
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
    /// request there is.
    pub fn should_be_replaced(&self, serving: Version) -> bool {
        !self.is_of(serving) || self.unhealthy
    }
}

/// The instances of one service, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
        unhealthy_since,
    }
}

/// The phase that one observation shows, without the past.
fn visible_phase(observed: &InstanceObservation) -> Phase {
    match (observed.under_way, observed.container, observed.rotation) {
        // `lxc-copy` makes the container before it starts it, so a stopped one is no failure yet.
        (Some(ActionKind::Clone), _, _) => Phase::Starting,
        // An action under way counts as done: the next plan must neither repeat nor double it.
        (Some(ActionKind::Stop), _, RotationState::Out) => Phase::Draining,
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
    fn a_phase_is_dated_from_its_first_observation() {
        let ready = observation(1, ContainerPresence::Running, RotationState::In { healthy: true });
        let (fleet, _) = phase_of(&Fleet::default(), ready.clone(), 3);
        let (fleet, _) = phase_of(&fleet, ready, 7);
        assert_eq!(fleet.instances[0].since, seconds(3));
    }
}
