//! What is observed of the host at one turn: containers, statistics, CPU time. Nothing is decided on
//! half an observation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use host::haproxy::{
    AnswersBySlot, Counters, Increase, LoadBalancer, ServerState, ServerStats, ServerStatus, Stats,
};
use host::lxc::{Container, ContainerState, Containers};
use host::probe::Probe;
use model::feed::InstanceFigures;
use model::names::{InstanceName, ServiceName, Slot};
use model::service::{Protocol, ServiceSpec};
use model::version::Version;
use model::watch::Answers;
use policy::fleet::{ContainerPresence, InstanceObservation, RotationState, SilentCheck};
use policy::load::LoadObservation;

use crate::act::Actor;
use crate::cpu::{CpuObserver, CpuUse};
use crate::memory::MemoryObserver;
use crate::services::Deployed;
use crate::under_way::{Started, UnderWay};

/// The host at one moment.
#[derive(Debug)]
pub(crate) struct HostObservation {
    /// Every instance's container.
    pub(crate) containers: BTreeMap<InstanceName, Container>,
    /// The load balancer's figures.
    pub(crate) stats: Stats,
    /// Slots that have drained.
    pub(crate) drained: BTreeSet<(ServiceName, Slot)>,
    /// CPU time that was used since the observation before.
    pub(crate) cpu: CpuUse,
    /// The memory that each instance needs, in bytes; nothing where nobody is told.
    pub(crate) memory: Arc<BTreeMap<InstanceName, u64>>,
}

impl HostObservation {
    /// Every instance of the services, those included that are being cloned and do not show yet.
    /// `wanted` says what an instance whose server is down is there for, and `has_released` whether the release command
    /// of one has ended well, where its service has one that is to be run.
    pub(crate) fn instances(
        &self,
        services: &Deployed,
        under_way: &UnderWay,
        wanted: impl Fn(&InstanceName) -> ServerState,
        has_released: impl Fn(&InstanceName) -> bool,
    ) -> BTreeMap<ServiceName, Vec<InstanceObservation>> {
        let mut instances: BTreeMap<_, Vec<_>> =
            services.keys().map(|name| (name.clone(), Vec::new())).collect();
        let names: BTreeSet<_> = self.containers.keys().chain(under_way.instances()).collect();
        for name in names {
            let Some(own) = instances.get_mut(name.service()) else { continue };
            let is_due = services.get(name.service()).is_some_and(|deployed| deployed.release);
            let released = is_due && has_released(name);
            own.push(InstanceObservation {
                released,
                ..self.instance(name, under_way.on(name), wanted(name))
            });
        }
        instances
    }

    /// The version of an instance, as its container tells.
    pub(crate) fn version(&self, instance: &InstanceName) -> Option<Version> {
        Some(self.containers.get(instance)?.template.as_ref()?.version())
    }

    /// Every instance that is there or is being made, with its version.
    pub(crate) fn versions<'a>(
        &'a self,
        under_way: &'a UnderWay,
    ) -> impl Iterator<Item = (&'a InstanceName, Option<Version>)> {
        let there = self.containers.keys().map(|name| (name, self.version(name)));
        let made = under_way.instances().filter(|name| !self.containers.contains_key(*name));
        let made = made.map(|name| (name, under_way.on(name).and_then(|started| started.version)));
        there.chain(made)
    }

    /// The answers of instances by the version of these.
    pub(crate) fn answers(
        &self,
        by_slot: &AnswersBySlot,
    ) -> BTreeMap<ServiceName, BTreeMap<Version, Answers>> {
        let mut answers: BTreeMap<ServiceName, BTreeMap<Version, Answers>> = BTreeMap::new();
        for name in self.containers.keys() {
            let counted = by_slot.get(name.service()).and_then(|slots| slots.get(&name.slot()));
            if let Some((counted, version)) = counted.zip(self.version(name)) {
                let versions = answers.entry(name.service().clone()).or_default();
                *versions.entry(version).or_default() += *counted;
            }
        }
        answers
    }

    /// Whether an instance's container runs.
    pub(crate) fn runs(&self, instance: &InstanceName) -> bool {
        let state = self.containers.get(instance).map(|container| container.state);
        state == Some(ContainerState::Running)
    }

    /// What the console is told of an instance.
    pub(crate) fn figures(&self, name: &InstanceName) -> InstanceFigures {
        let servers = self.stats.services.get(name.service()).map(|service| &service.servers);
        let server = servers.and_then(|servers| servers.get(&name.slot()));
        let cpu_time = self.cpu.times.get(name);
        InstanceFigures {
            cpu_time_us: cpu_time.and_then(|time| u64::try_from(time.as_micros()).ok()),
            memory_bytes: self.memory.get(name).copied(),
            in_flight: server.and_then(|server| narrow(server.in_flight?)),
            requests: server.and_then(|server| server.sessions),
            ..unknown(name)
        }
    }

    fn instance(
        &self,
        name: &InstanceName,
        under_way: Option<&Started>,
        wanted: ServerState,
    ) -> InstanceObservation {
        let slot = name.slot();
        let container = self.containers.get(name);
        let server = self.stats.services.get(name.service()).and_then(|s| s.servers.get(&slot));
        InstanceObservation {
            name: name.clone(),
            container: match container.map(|container| container.state) {
                None => ContainerPresence::Absent,
                Some(ContainerState::Stopped) => ContainerPresence::Stopped,
                Some(ContainerState::Running) => ContainerPresence::Running,
            },
            rotation: server.map_or(RotationState::Out, |server| rotation(server.status, wanted)),
            in_flight: server.and_then(|server| narrow(server.in_flight? + server.queued?)),
            drained: self.drained.contains(&(name.service().clone(), slot)),
            version: self.version(name).or(under_way.and_then(|started| started.version)),
            under_way: under_way.map(|started| started.kind),
            silent: server.and_then(|server| self.silent(name, server)),
            released: false,
        }
    }

    /// What is known of an instance whose last check got no answer; `None` also where a figure is missing.
    fn silent(&self, name: &InstanceName, server: &ServerStats) -> Option<SilentCheck> {
        let cpu_time = *self.cpu.times.get(name).filter(|_| server.is_silent())?;
        let is_down = server.status == ServerStatus::Down;
        Some(SilentCheck { is_down, answered: server.answers?, cpu_time })
    }

    /// What the load balancer counted for `service`; `None` where a figure is missing or absurd.
    pub(crate) fn load(
        &self,
        service: &ServiceSpec,
        increase: &Increase,
    ) -> Option<LoadObservation> {
        let figures = self.stats.services.get(&service.name)?;
        let counted: &Counters = increase.services.get(&service.name)?;
        if increase.elapsed == Duration::ZERO {
            return None;
        }
        let (queued, held) = (figures.queued?, figures.in_flight?);
        let (served, rejected) = outcomes(&service.instance.protocol, counted)?;
        Some(LoadObservation {
            elapsed: increase.elapsed,
            arrivals: counted.sessions?,
            served,
            rejected,
            queued: narrow(queued)?,
            in_flight: narrow(held.saturating_sub(queued))?,
        })
    }
}

/// An instance of which nothing was observed.
pub(crate) fn unknown(name: &InstanceName) -> InstanceFigures {
    InstanceFigures {
        name: name.clone(),
        cpu_time_us: None,
        memory_bytes: None,
        in_flight: None,
        requests: None,
    }
}

/// How many were served and how many were not. A connection has no status: it was served where it came to an
/// instance.
fn outcomes(protocol: &Protocol, counted: &Counters) -> Option<(u64, u64)> {
    match protocol {
        Protocol::Http { .. } => {
            let served = [counted.success?, counted.redirection?, counted.client_error?];
            Some((served.iter().sum(), counted.server_error?))
        }
        Protocol::Tcp => {
            let failed = counted.connection_errors?;
            Some((counted.sessions?.saturating_sub(failed), failed))
        }
    }
}

/// What a server's status says of its slot.
fn rotation(status: ServerStatus, wanted: ServerState) -> RotationState {
    match (status, wanted) {
        (ServerStatus::Maint, _) => RotationState::Out,
        (ServerStatus::Drain, _) | (ServerStatus::Down, ServerState::Drain) => RotationState::Drain,
        (ServerStatus::Down, _) => RotationState::In { healthy: false },
        (ServerStatus::Up | ServerStatus::Nolb | ServerStatus::NoCheck, _) => {
            RotationState::In { healthy: true }
        }
    }
}

fn narrow(figure: u64) -> Option<u32> {
    u32::try_from(figure).ok()
}

/// Observes again and again, and remembers the CPU time and the memory.
#[derive(Debug, Default)]
pub(crate) struct HostObserver {
    cpu: CpuObserver,
    memory: MemoryObserver,
}

impl HostObserver {
    /// Observes the host; `is_told` says whether anybody is told of what no decision goes by.
    ///
    /// # Errors
    /// Part of it cannot be observed.
    pub(crate) async fn observe<C, L, P>(
        &mut self,
        actor: &Actor<C, L, P>,
        is_told: bool,
    ) -> anyhow::Result<HostObservation>
    where
        C: Containers,
        L: LoadBalancer,
        P: Probe,
    {
        let balancer = actor.rotation().load_balancer();
        let stats = balancer.scrape().await?;
        let drained = balancer.drained(&stats).await?;
        let listed = actor.containers().list().await?;
        let containers: BTreeMap<_, _> =
            listed.into_iter().map(|container| (container.name.clone(), container)).collect();
        let runs = |(name, container): (_, &Container)| {
            (container.state == ContainerState::Running).then_some(name)
        };
        let running = containers.iter().filter_map(runs).collect();
        let serves = |name: &InstanceName| {
            let servers = stats.services.get(name.service()).map(|service| &service.servers);
            let server = servers.and_then(|servers| servers.get(&name.slot()));
            server.is_some_and(|server| server.status != ServerStatus::Maint)
        };
        let cpu = self.cpu.look(actor.containers(), &running, serves);
        let memory = self.memory.look(actor.containers(), &running, is_told);
        Ok(HostObservation { containers, stats, drained, cpu, memory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_came_to_no_instance_was_not_served() {
        let counted = Counters {
            sessions: Some(9),
            connection_errors: Some(2),
            requests: None,
            success: None,
            ..Counters::ZERO
        };
        assert_eq!(outcomes(&Protocol::Tcp, &counted), Some((7, 2)));
        let http = Protocol::Http { health: None };
        assert_eq!(outcomes(&http, &counted), None);
        let unknown = Counters { connection_errors: None, ..counted };
        assert_eq!(outcomes(&Protocol::Tcp, &unknown), None);
    }

    #[test]
    fn a_server_that_is_down_is_what_it_was_wanted_for() {
        let down = |wanted| rotation(ServerStatus::Down, wanted);
        assert_eq!(down(ServerState::Ready), RotationState::In { healthy: false });
        assert_eq!(down(ServerState::Drain), RotationState::Drain);
        assert_eq!(rotation(ServerStatus::Maint, ServerState::Ready), RotationState::Out);
    }
}
