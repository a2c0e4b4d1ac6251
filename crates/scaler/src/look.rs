//! One look at the host: containers, statistics, CPU time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use host::haproxy::{HaproxyError, Increase, LoadBalancer, ServerState, Stats, StatsError};
use host::lxc::{Container, ContainerError, Containers};
use host::probe::Probe;
use host::records::Deployed;
use policy::fleet::Sighting;
use policy::load::Sample;
use policy::names::{InstanceName, ServiceName, Slot};
use policy::plan::ActionKind;
use policy::slots::SlotsError;
use tokio::time::Instant;

use crate::act::Actor;
use crate::observe::{View, sample};
use crate::rotation::RotationError;

/// Why the host cannot be seen whole. Nothing is decided on half a look.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    /// The containers cannot be listed.
    #[error(transparent)]
    Containers(#[from] ContainerError),
    /// The load balancer's statistics cannot be had, or not be trusted.
    #[error(transparent)]
    Stats(#[from] StatsError),
    /// The load balancer cannot be asked which slots have drained.
    #[error(transparent)]
    Drained(#[from] HaproxyError),
    /// The load balancer differs from what is wanted, and does not take it.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The services together ask for more slots than there are.
    #[error(transparent)]
    Slots(#[from] SlotsError),
}

/// The host at one moment.
#[derive(Debug)]
pub(crate) struct Look {
    /// Every instance's container.
    pub(crate) containers: BTreeMap<InstanceName, Container>,
    /// The load balancer's figures.
    pub(crate) stats: Stats,
    /// Slots that have drained.
    pub(crate) drained: BTreeSet<(ServiceName, Slot)>,
    /// CPU time that each service's instances used since the look before, in cores.
    pub(crate) cpu_cores: BTreeMap<ServiceName, f64>,
}

impl Look {
    /// Every instance of a service, those included that are being made.
    pub(crate) fn sightings(
        &self,
        deployed: &Deployed,
        under_way: &BTreeMap<InstanceName, ActionKind>,
        wanted: impl Fn(Slot) -> ServerState,
    ) -> Vec<Sighting> {
        let Self { containers, stats, drained, .. } = self;
        let view = View { containers, under_way, stats, drained };
        view.sightings(&deployed.spec.name, &deployed.template, wanted)
    }

    /// What the load balancer counted for a service.
    pub(crate) fn sample(&self, service: &ServiceName, increase: &Increase) -> Option<Sample> {
        sample(service, &self.stats, increase)
    }
}

/// Looks again and again, and remembers the CPU time, which only grows.
#[derive(Debug, Default)]
pub(crate) struct Looker {
    cpu_time: BTreeMap<InstanceName, Duration>,
    cpu_read_at: Option<Instant>,
}

impl Looker {
    /// Looks at the host.
    ///
    /// # Errors
    /// Part of it cannot be seen.
    pub(crate) async fn look<C, L, P>(&mut self, actor: &Actor<C, L, P>) -> Result<Look, LookError>
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
        let cpu_cores = self.cpu_cores(actor.containers(), containers.keys()).await;
        Ok(Look { containers, stats, drained, cpu_cores })
    }

    /// The CPU time that these instances used since the last call, by service.
    async fn cpu_cores(
        &mut self,
        host: &impl Containers,
        instances: impl Iterator<Item = &InstanceName>,
    ) -> BTreeMap<ServiceName, f64> {
        let now = Instant::now();
        let elapsed = self.cpu_read_at.replace(now).map(|before| now - before);
        let mut read = BTreeMap::new();
        let mut used: BTreeMap<ServiceName, Duration> = BTreeMap::new();
        for name in instances {
            let Some(usage) = host.usage(name).await else { continue };
            let time = Duration::from_micros(usage.cpu_us);
            let before = self.cpu_time.get(name).copied().unwrap_or_default();
            *used.entry(name.service().clone()).or_default() += time.saturating_sub(before);
            read.insert(name.clone(), time);
        }
        self.cpu_time = read;
        let Some(seconds) = elapsed.map(|e| e.as_secs_f64()).filter(|s| *s > 0.0) else {
            return BTreeMap::new();
        };
        used.into_iter().map(|(name, time)| (name, time.as_secs_f64() / seconds)).collect()
    }
}
